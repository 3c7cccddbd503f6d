"""VGG-16 in its CIFAR form, as the zoo's `vgg16`: 13 convolutions with batch norm, fc 512, fc 10."""
import torch.nn as nn

BLOCKS = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]


def vgg16(width=1.0, classes=10):
    def scaled(channels):
        return max(1, round(channels * width))

    layers, channels = [], 3
    for out, count in BLOCKS:
        for _ in range(count):
            layers += [nn.Conv2d(channels, scaled(out), 3, padding=1, bias=False), nn.BatchNorm2d(scaled(out)),
                       nn.ReLU(inplace=True)]
            channels = scaled(out)
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(channels, scaled(512)), nn.ReLU(inplace=True), nn.Linear(scaled(512), classes)]
    model = nn.Sequential(*layers)
    for module in model:
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
