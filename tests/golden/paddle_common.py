"""Paddle's small MobileNetV1 under Octet's names and layouts."""
import warnings

import numpy as np
import paddle

from common import kcrs, krsc

warnings.filterwarnings("ignore")
paddle.set_device("cpu")

BLOCKS = ["conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv4_2"] + [f"conv5_{i}" for i in range(1, 7)] + ["conv6"]
PARTS = {"0.weight": "conv.weight", "1.weight": "bn.gamma", "1.bias": "bn.beta", "1._mean": "bn.running_mean",
         "1._variance": "bn.running_var"}


def layer_name(name):
    """Paddle's layer path -> ours: conv2_1._depthwise_conv -> blocks.0.dw."""
    head, _, rest = name.partition(".")
    if head in BLOCKS:
        return f"blocks.{BLOCKS.index(head)}." + {"_depthwise_conv": "dw", "_pointwise_conv": "pw"}[rest]
    return head


def our_name(name):
    """Paddle's parameter or buffer name -> ours: conv2_1._depthwise_conv.1.weight -> blocks.0.dw.bn.gamma."""
    if name.startswith("fc."):
        return name
    layer, first, last = name.rsplit(".", 2)
    return f"{layer_name(layer)}.{PARTS[first + '.' + last]}"


def our_layout(name, value):
    """Conv weights to KRSC, the linear weight [in,out] to [out,in]."""
    if value.ndim == 4:
        return krsc(value)
    return np.ascontiguousarray(value.T) if name == "fc.weight" else value


def their_layout(name, value):
    """The inverse of our_layout."""
    if value.ndim == 4:
        return kcrs(value)
    return np.ascontiguousarray(value.T) if name == "fc.weight" else value


def small_net(seed=1, scale=0.25):
    paddle.seed(seed)
    return paddle.vision.models.mobilenet_v1(pretrained=False, scale=scale, num_classes=10)


def named_values(net):
    """Every parameter and BN statistic (Paddle keeps both as parameters) as {our name: array in our layout}, in the net's dtype."""
    return {our_name(n): our_layout(our_name(n), p.numpy()) for n, p in net.named_parameters()}


def named_gradients(net):
    trained = [(n, p) for n, p in net.named_parameters() if not p.stop_gradient]
    return {our_name(n): our_layout(our_name(n), p.grad.numpy()) for n, p in trained}


def load_values(net, values):
    """Sets the net to {our name: array in our layout}."""
    for name, parameter in net.named_parameters():
        parameter.set_value(their_layout(our_name(name), values[our_name(name)]))
