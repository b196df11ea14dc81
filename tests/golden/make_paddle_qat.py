"""paddle_qat_mobilenet.safetensors: the small MobileNetV1 of paddle_mobilenet.safetensors after PaddleSlim's QAT.quantize.

Weights: init/ of that file. Three configurations: cw8 (channel_wise_abs_max, 8 bits), cw4 (4 bits), am4 (abs_max, 4 bits).

A value next to the middle between two codes may fall on either side when sums are taken in another order, and with 8
pictures one such code moves logits by tenths. PICTURES is a seed out of some hundred for which 9 of 10 runs with all weights
nudged by 7e-7 gave the same codes throughout the first batch; at 4 bits ties are rarer."""
from importlib.metadata import version

import numpy as np
import paddle
from paddle.nn.quant.quant_layers import QuantizedConv2D, QuantizedLinear
from paddleslim.dygraph.quant import QAT

from common import f32, frozen_pictures, nchw, nhwc, normalise, store, stored
from paddle_common import layer_name, load_values, our_layout, our_name, small_net

CONFIGS = {"cw8": ("channel_wise_abs_max", 8), "cw4": ("channel_wise_abs_max", 4), "am4": ("abs_max", 4)}
PICTURES, LABELS = 416, np.array([3, 1, 4, 1, 5, 9, 2, 6])
FORCED = ["conv1", "blocks.5.dw", "blocks.5.pw", "fc"]
LR, MOMENTUM, STEPS = 0.01, 0.9, 5


def quantized_net(start, weight_type, bits):
    net = small_net()
    load_values(net, start)
    config = {"weight_preprocess_type": None, "weight_quantize_type": weight_type, "weight_bits": bits, "activation_bits": bits,
              "activation_quantize_type": "moving_average_abs_max", "quantizable_layer_type": ["Conv2D", "Linear"]}
    QAT(config=config).quantize(net)
    net.train()
    return net


def quantized_layers(net):
    """{our layer name: Paddle's quantized layer}, such as blocks.0.dw or fc."""
    found = {}
    for name, layer in net.named_sublayers():
        if isinstance(layer, (QuantizedConv2D, QuantizedLinear)):
            path = name.replace("._layer", "")
            found[layer_name(path.removesuffix(".0"))] = layer
    return found


def gradients(net):
    clean = {n.replace("._layer", ""): p for n, p in net.named_parameters()}
    return {our_name(n): our_layout(our_name(n), p.grad.numpy()) for n, p in clean.items()
            if not p.stop_gradient and p.grad is not None}


def record_layers(net, out, at):
    """Stores what the FORCED layers receive and return; returns a function that stops it."""
    def keeper(name):
        def keep(_, inputs, result):
            for key, value in (("input", inputs[0]), ("output", result)):
                if name == "conv1" and key == "input":
                    continue  # the normalised pictures
                array = value.numpy()
                out[f"{at}/{key}/{name}"] = nhwc(array) if array.ndim == 4 else array.copy()
        return keep
    hooks = [layer.register_forward_post_hook(keeper(n)) for n, layer in quantized_layers(net).items() if n in FORCED]
    return lambda: [hook.remove() for hook in hooks]


def run(name, start, batches, out, detail):
    net = quantized_net(start, *CONFIGS[name])
    layers = quantized_layers(net)
    if detail:
        stop = record_layers(net, out, f"{name}/train_layer")
    x, y = paddle.to_tensor(nchw(batches[0])), paddle.to_tensor(LABELS)
    logits = net(x)
    loss = paddle.nn.functional.cross_entropy(logits, y)
    loss.backward()
    scales = {n: [layer._fake_quant_input._scale.numpy()[0]] for n, layer in layers.items()}
    if detail:
        stop()
        grads = gradients(net)
        out.update({f"{name}/grad_norm/{k}": np.float64([np.linalg.norm(v.astype(np.float64).ravel())]) for k, v in grads.items()})
        out.update({f"{name}/grad/{k}": grads[k] for k in ("conv1.conv.weight", "blocks.5.dw.conv.weight", "blocks.5.pw.bn.gamma",
                                                           "fc.weight", "fc.bias")})
        out.update({f"{name}/weight_scale/{n}": layer._fake_quant_weight._scale.numpy() for n, layer in layers.items()})
    for n, p in net.named_parameters():
        if n.endswith(("._mean", "._variance")):
            p.set_value(start[our_name(n)])
    net.eval()
    if detail:
        stop = record_layers(net, out, f"{name}/eval_layer")
    evaluated = net(x).numpy()
    if detail:
        stop()
    net.train()
    for images in batches[1:]:
        net(paddle.to_tensor(nchw(images)))
        for n, layer in layers.items():
            scales[n].append(layer._fake_quant_input._scale.numpy()[0])
    out.update({f"{name}/logits": logits.numpy(), f"{name}/loss": f32([float(loss)]), f"{name}/eval_logits": evaluated})
    out.update({f"{name}/act_scale/{n}": f32(v) for n, v in scales.items()})


def losses(name, start, batches):
    net = quantized_net(start, *CONFIGS[name])
    rule = paddle.optimizer.Momentum(learning_rate=LR, momentum=MOMENTUM, parameters=net.parameters())
    x, y = paddle.to_tensor(nchw(batches[0])), paddle.to_tensor(LABELS)
    values = []
    for _ in range(STEPS):
        loss = paddle.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        rule.step()
        rule.clear_grad()
        values.append(float(loss))
    return f32(values)


def room(name, out, start, batches, seed):
    """Largest changes when every weight moves by about one unit in the last place: what rounding alone may do."""
    rng = np.random.default_rng(seed)
    nudged = {k: f32(v * (1 + 1e-7 * rng.choice([-1, 1], v.shape))) if v.dtype == np.float32 else v for k, v in start.items()}
    other = {}
    run(name, nudged, batches, other, False)
    far = {key: np.abs(other[f"{name}/{key}"] - out[f"{name}/{key}"]).max() for key in ("logits", "loss")}
    far["eval_logits"] = np.abs(other[f"{name}/eval_logits"] - out[f"{name}/eval_logits"]).max(1)
    far["act_scale"] = np.max([np.abs(other[k] / out[k] - 1) for k in out if k.startswith(f"{name}/act_scale/")], 0)
    return far | {"losses": np.abs(losses(name, nudged, batches) - out[f"{name}/losses"])}


def main():
    start = stored("paddle_mobilenet.safetensors", "init/")
    pictures = np.stack([frozen_pictures(seed, 8) for seed in (PICTURES, 21, 22)])
    batches = [normalise(p) for p in pictures]
    out = {"pictures": pictures, "labels": LABELS.astype(np.int32), "hyper": f32([LR, MOMENTUM])}
    for name in CONFIGS:
        run(name, start, batches, out, name == "cw8")
        out[f"{name}/losses"] = losses(name, start, batches)
        print(name, "losses", out[f"{name}/losses"], "largest logit", np.abs(out[f"{name}/logits"]).max())
        for seed in (1, 2):
            print("  rounding alone:", {k: np.round(v, 7) for k, v in room(name, out, start, batches, seed).items()})
    store("paddle_qat_mobilenet.safetensors", out, paddle=paddle.__version__, paddleslim=version("paddleslim"), numpy=np.__version__)


if __name__ == "__main__":
    main()
