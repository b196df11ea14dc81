"""MobileNetV1 in PyTorch with the layers of nn/mobilenet_v1.cpp: 3x32x32 pictures, the paper's strides, 10 classes."""
import torch
from torch import nn

# Output channels and stride of the thirteen separable blocks (Howard et al. 2017, table 1).
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
          (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1))


class ConvBnRelu(nn.Module):
    def __init__(self, inputs, outputs, window, stride=1, depthwise=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, window, stride, window // 2, bias=False,
                              groups=inputs if depthwise else 1)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


class MobileNetV1(nn.Module):
    def __init__(self, classes=10, scale=1.0):
        super().__init__()
        channels = int(32 * scale)
        self.stem = ConvBnRelu(3, channels, 3, 2)
        blocks = []
        for outputs, stride in BLOCKS:
            outputs = int(outputs * scale)
            blocks += [ConvBnRelu(channels, channels, 3, stride, depthwise=True), ConvBnRelu(channels, outputs, 1)]
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        return self.fc(self.flatten(self.pool(self.blocks(self.stem(x)))))


def pictures(batch):
    """A batch that looks like normalised pictures, in [-1, 1], and its labels."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(batch, 3, 32, 32, generator=generator) * 2 - 1
    return x, torch.randint(10, (batch,), generator=generator)
