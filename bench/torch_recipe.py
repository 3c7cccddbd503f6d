#!/usr/bin/python3
"""The training recipe of `fastdeepiot train --zoo vgg16 --width 0.25 --epochs 10` in PyTorch, for the accuracy.

CIFAR-10 (JPEG) from DATA/{train,test}.tar.xz; one-cycle SGD to 0.1, Nesterov 0.9, weight decay 5e-4, batch 128,
pad-crop 4 and flip, per-channel normalisation. Prints one line of JSON at the end, progress on standard error.
"""
import argparse
import io
import json
import sys
import tarfile
import time

import numpy
import torch
from PIL import Image

from torch_vgg import vgg16

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", default="../shared/data/cifar10")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--width", type=float, default=0.25)
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()
torch.manual_seed(arguments.seed)
torch.set_num_threads(arguments.threads)


def load(split):
    """(images (n, 3, 32, 32) as bytes, labels), classes in alphabetical order."""
    examples = []
    with tarfile.open(f"{arguments.data}/{split}.tar.xz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg"):
                pixels = numpy.asarray(Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB"))
                examples.append((member.name.split("/")[-2], pixels))
    classes = sorted({name for name, _ in examples})
    images = torch.from_numpy(numpy.stack([pixels for _, pixels in examples])).permute(0, 3, 1, 2).contiguous()
    return images, torch.tensor([classes.index(name) for name, _ in examples])


train_images, train_labels = load("train")
test_images, test_labels = load("test")
sample = train_images.float() / 255
mean = sample.mean((0, 2, 3), keepdim=True)
deviation = sample.std((0, 2, 3), keepdim=True)
del sample


def normalise(images):
    return (images.float() / 255 - mean) / deviation


def augment(images):
    """Shift by up to 4 pixels (black comes in at the border), mirror half of the images."""
    n = len(images)
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    rows = torch.randint(0, 9, (n, 1)) + torch.arange(32)
    columns = torch.randint(0, 9, (n, 1)) + torch.arange(32)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)
    return padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


model = vgg16(arguments.width)
optimizer = torch.optim.SGD(model.parameters(), lr=arguments.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
steps = (len(train_images) + arguments.batch - 1) // arguments.batch
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=arguments.lr, total_steps=steps * arguments.epochs,
                                               cycle_momentum=False)
loss_of = torch.nn.CrossEntropyLoss()
seconds = 0.0
for epoch in range(arguments.epochs):
    model.train()
    start, total = time.perf_counter(), 0.0
    for chosen in torch.randperm(len(train_images)).split(arguments.batch):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(normalise(augment(train_images[chosen]))), train_labels[chosen])
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item() * len(chosen)
    seconds += time.perf_counter() - start
    print(f"epoch {epoch + 1}: loss {total / len(train_images):.4f}", file=sys.stderr)

model.eval()
with torch.no_grad():
    correct = sum((model(normalise(images)).argmax(1) == labels).sum().item()
                  for images, labels in zip(test_images.split(500), test_labels.split(500)))
print(json.dumps({
    "test_accuracy": correct / len(test_labels),
    "images_per_s": len(train_images) * arguments.epochs / seconds,
    "epochs": arguments.epochs,
    "seed": arguments.seed,
    "torch": torch.__version__,
}))
