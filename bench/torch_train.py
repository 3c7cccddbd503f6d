#!/usr/bin/python3
"""Images per second of training VGG-16 (CIFAR form) in PyTorch: the peer of `fastdeepiot bench train`.

Called by bench/compare_train.sh, which sets the environment that PyTorch is fastest with. Prints one line of JSON.
"""
import argparse
import json
import time

import torch

from torch_vgg import vgg16

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--width", type=float, default=1.0)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--layout", choices=["nchw", "channels_last"], default="nchw")
arguments = parser.parse_args()

torch.manual_seed(1)
torch.set_num_threads(arguments.threads)
memory_format = torch.channels_last if arguments.layout == "channels_last" else torch.contiguous_format
model = vgg16(arguments.width).to(memory_format=memory_format).train()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4)
images = torch.randn(arguments.batch, 3, 32, 32).to(memory_format=memory_format)
labels = torch.randint(0, 10, (arguments.batch,))
loss = torch.nn.CrossEntropyLoss()


def step():
    optimizer.zero_grad(set_to_none=True)
    loss(model(images), labels).backward()
    optimizer.step()


step()  # warm-up
seconds = []
for _ in range(arguments.runs):
    start = time.perf_counter()
    step()
    seconds.append(time.perf_counter() - start)
seconds.sort()
median = seconds[len(seconds) // 2]
deviations = sorted(abs(s - median) for s in seconds)
print(json.dumps({
    "images_per_s": arguments.batch / median,
    "rel_mad": deviations[len(deviations) // 2] / median,
    "torch": torch.__version__,
    "threads": torch.get_num_threads(),
    "layout": arguments.layout,
    "mkldnn": torch.backends.mkldnn.is_available(),
}))
