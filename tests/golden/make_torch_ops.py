"""torch_ops.safetensors: plain ops against PyTorch, computed in f64 from f32 inputs and stored as f32 (NHWC, KRSC)."""
import numpy as np
import torch
import torch.nn.functional as F

from common import f32, kcrs, krsc, nchw, nhwc, store

torch.set_num_threads(1)
RNG = np.random.default_rng(5)


def draw(*shape, scale=1.0):
    return f32(RNG.normal(size=shape) * scale)


def leaf(array):
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def keep(out, at, **arrays):
    out.update({f"{at}/{key}": np.ascontiguousarray(v) if v.dtype == np.int32 else f32(v) for key, v in arrays.items()})


def grown(result):
    """A random gradient for a result (NCHW or NC), f32."""
    return draw(*result.shape)


def convolutions(out):
    """attributes: stride_h, stride_w, pad_h, pad_w."""
    cases = {"conv2d/3x3_s1_p1": ((2, 7, 5, 3), 4, (3, 3), (1, 1), (1, 1)),
             "conv2d/3x3_s2_p1_odd": ((2, 9, 6, 5), 7, (3, 3), (2, 2), (1, 1)),
             "conv2d/3x3_s2_p0": ((1, 8, 8, 2), 3, (3, 3), (2, 2), (0, 0)),
             "conv2d/1x1": ((2, 4, 3, 6), 5, (1, 1), (1, 1), (0, 0)),
             "conv2d/1x1_s2": ((2, 5, 4, 6), 3, (1, 1), (2, 2), (0, 0)),
             "conv2d/5x3_mixed": ((1, 8, 7, 3), 2, (5, 3), (2, 1), (2, 0)),
             "conv2d/map_1x1_3x3_p1": ((3, 1, 1, 4), 4, (3, 3), (1, 1), (1, 1)),
             "dwconv2d/3x3_s1_p1": ((2, 6, 5, 7), None, (3, 3), (1, 1), (1, 1)),
             "dwconv2d/3x3_s2_p1_odd": ((2, 7, 4, 9), None, (3, 3), (2, 2), (1, 1)),
             "dwconv2d/5x5_s1_p2": ((1, 6, 6, 3), None, (5, 5), (1, 1), (2, 2)),
             "dwconv2d/map_2x2_s2_p1": ((3, 2, 2, 5), None, (3, 3), (2, 2), (1, 1)),
             "dwconv2d/map_1x1_p1": ((4, 1, 1, 6), None, (3, 3), (1, 1), (1, 1))}
    for at, (src_shape, filters, window, stride, pad) in cases.items():
        channels = src_shape[3]
        depthwise = filters is None
        x, w = draw(*src_shape), draw(filters or channels, *window, 1 if depthwise else channels, scale=0.5)
        b = draw(filters or channels)
        tx, tw, tb = leaf(nchw(x)), leaf(kcrs(w)), leaf(b)
        y = F.conv2d(tx, tw, tb, stride, pad, groups=channels if depthwise else 1)
        d_y = grown(y)
        y.backward(torch.tensor(d_y, dtype=torch.float64))
        keep(out, at, src=x, weight=w, bias=b, attributes=np.int32([*stride, *pad]), dst=nhwc(y.detach().numpy()), d_dst=nhwc(d_y),
             d_src=nhwc(tx.grad.numpy()), d_weight=krsc(tw.grad.numpy()), d_bias=tb.grad.numpy())


def linear(out):
    x, w, b = draw(5, 7), draw(3, 7), draw(3)
    tx, tw, tb = leaf(x), leaf(w), leaf(b)
    y = F.linear(tx, tw, tb)
    d_y = grown(y)
    y.backward(torch.tensor(d_y, dtype=torch.float64))
    keep(out, "linear/5x7_3", src=x, weight=w, bias=b, dst=y.detach().numpy(), d_dst=d_y, d_src=tx.grad.numpy(),
         d_weight=tw.grad.numpy(), d_bias=tb.grad.numpy())


def batchnorm(out):
    """Momentum 0.9 of the old value, epsilon 1e-5; running_var_unbiased is PyTorch's, running_var_biased Paddle's."""
    for name, shape in (("map", (4, 3, 5, 6)), ("two_values", (2, 1, 1, 5))):
        x = draw(*shape) * np.float32(2) + np.float32(1.5)
        gamma, beta, mean, var = draw(shape[3]), draw(shape[3]), draw(shape[3]), f32(np.abs(draw(shape[3])) + 0.2)
        at = f"batchnorm/{name}"
        keep(out, at, src=x, gamma=gamma, beta=beta, running_mean=mean, running_var=var)
        for mode in ("train", "eval"):
            tx, tg, tb = leaf(nchw(x)), leaf(gamma), leaf(beta)
            new_mean, new_var = torch.tensor(mean, dtype=torch.float64), torch.tensor(var, dtype=torch.float64)
            y = F.batch_norm(tx, new_mean, new_var, tg, tb, training=mode == "train", momentum=0.1, eps=1e-5)
            d_y = grown(y)
            y.backward(torch.tensor(d_y, dtype=torch.float64))
            keep(out, f"{at}/{mode}", dst=nhwc(y.detach().numpy()), d_dst=nhwc(d_y), d_src=nhwc(tx.grad.numpy()),
                 d_gamma=tg.grad.numpy(), d_beta=tb.grad.numpy())
            if mode == "train":
                biased = 0.9 * var.astype(np.float64) + 0.1 * x.astype(np.float64).reshape(-1, shape[3]).var(0)
                keep(out, f"{at}/train", running_mean=new_mean.numpy(), running_var_unbiased=new_var.numpy(), running_var_biased=biased)


def elementwise(out):
    x = f32(np.concatenate([[0, 6, -6, 1e-30, 7], RNG.normal(size=67) * 5])).reshape(2, 3, 4, 3)
    for name, call in (("relu", F.relu), ("relu6", F.relu6)):
        tx = leaf(x)
        y = call(tx)
        d_y = grown(y)
        y.backward(torch.tensor(d_y, dtype=torch.float64))
        keep(out, name, src=x, dst=y.detach().numpy(), d_dst=d_y, d_src=tx.grad.numpy())
    a, b = draw(2, 3, 4, 3), draw(2, 3, 4, 3)
    keep(out, "add", a=a, b=b, dst=a.astype(np.float64) + b)
    parts = [draw(2, 3, 2, c) for c in (3, 1, 4)]
    keep(out, "concat", a=parts[0], b=parts[1], c=parts[2], dst=torch.cat([torch.tensor(p) for p in parts], 3).numpy())


def pools(out):
    """attributes: window_h, window_w, stride_h, stride_w, pad_h, pad_w. avg_pool does not count padding."""
    cases = {"2x2_s2": ((2, 6, 4, 3), (2, 2), (2, 2), (0, 0)), "3x3_s2_p1": ((2, 7, 5, 4), (3, 3), (2, 2), (1, 1)),
             "3x2_s1x2_p1x0": ((1, 5, 7, 2), (3, 2), (1, 2), (1, 0))}
    calls = {"max_pool": lambda x, *a: F.max_pool2d(x, *a),
             "avg_pool": lambda x, *a: F.avg_pool2d(x, *a, count_include_pad=False),
             "avg_pool_padding_counted": lambda x, *a: F.avg_pool2d(x, *a, count_include_pad=True)}
    for kind, call in calls.items():
        for name, (shape, window, stride, pad) in cases.items():
            x = draw(*shape) - np.float32(1)   # mostly negative: padding must not win a maximum
            tx = leaf(nchw(x))
            y = call(tx, window, stride, pad)
            d_y = grown(y)
            y.backward(torch.tensor(d_y, dtype=torch.float64))
            keep(out, f"{kind}/{name}", src=x, attributes=np.int32([*window, *stride, *pad]), dst=nhwc(y.detach().numpy()),
                 d_dst=nhwc(d_y), d_src=nhwc(tx.grad.numpy()))
    x = draw(3, 4, 5, 6)
    tx = leaf(nchw(x))
    y = F.adaptive_avg_pool2d(tx, 1)
    d_y = grown(y)
    y.backward(torch.tensor(d_y, dtype=torch.float64))
    keep(out, "global_avg_pool", src=x, dst=nhwc(y.detach().numpy()), d_dst=nhwc(d_y), d_src=nhwc(tx.grad.numpy()))


def cross_entropy(out):
    x = draw(6, 10, scale=3)
    x[4] = x[4] * 30 + 200      # far beyond what exp() can hold
    labels = np.int32([3, 0, 9, 3, 5, 1])
    keep(out, "softmax_cross_entropy", logits=x, labels=labels, probabilities=torch.softmax(torch.tensor(x).double(), 1).numpy())
    for name, smoothing in (("smoothing0", 0.0), ("smoothing0.1", 0.1)):
        tx = leaf(x)
        loss = F.cross_entropy(tx, torch.tensor(labels).long(), label_smoothing=smoothing)
        loss.backward()
        keep(out, f"softmax_cross_entropy/{name}", loss=np.array([loss.item()]), d_logits=tx.grad.numpy())


def momentum(out):
    """attributes: momentum, weight_decay, nesterov. Five steps with the learning rates and gradients given."""
    start, gradients, rates = draw(12), draw(5, 12), f32([0.1, 0.1, 0.02, 0.5, 0.1])
    keep(out, "momentum", start=start, gradients=gradients, rates=rates)
    for name, mu, decay, nesterov in (("plain", 0.9, 0, False), ("nesterov", 0.9, 0, True), ("decay", 0.9, 0.01, False),
                                      ("nesterov_decay", 0.8, 0.05, True), ("no_momentum", 0.0, 0.01, False)):
        w = leaf(start)
        rule = torch.optim.SGD([w], lr=0.1, momentum=mu, weight_decay=decay, nesterov=nesterov)
        rows = []
        for rate, gradient in zip(rates, gradients):
            rule.param_groups[0]["lr"] = float(rate)
            w.grad = torch.tensor(gradient, dtype=torch.float64)
            rule.step()
            rows.append(w.detach().numpy().copy())
        keep(out, f"momentum/{name}", attributes=np.array([mu, decay, nesterov]), weights=np.array(rows))


def main():
    out = {}
    for part in (convolutions, linear, batchnorm, elementwise, pools, cross_entropy, momentum):
        part(out)
    store("torch_ops.safetensors", out, torch=torch.__version__, numpy=np.__version__, arithmetic="f64")


if __name__ == "__main__":
    main()
