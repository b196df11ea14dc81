"""paddle_quantizers.safetensors: PaddlePaddle's fake quantizers and PaddleSlim's PACT, value for value, with gradients.

Every output is also held against the f32 formulas of scheme paddle (see README.md), bit for bit, while it is made."""
from importlib.metadata import version

import numpy as np
import paddle
from paddle.nn.quant.quant_layers import FakeQuantAbsMax, FakeQuantChannelWiseAbsMax, FakeQuantMovingAverageAbsMax
from paddleslim.dygraph.quant.qat import PACT

from common import f32, kcrs, krsc, store
import paddle_common  # noqa: F401 (device and warnings)

ONE = np.float32(1)


def formula(x, s, bits):
    """Scheme paddle in f32: hi * inv(s) * clip(x, -s, s), half away from zero, then * s / hi."""
    hi, s = np.float32(2 ** (bits - 1) - 1), np.float32(s)
    inverse = ONE / (s + np.float32(1e-6)) if s <= np.float32(1e-30) else ONE / s
    t = hi * inverse * np.clip(x, -s, s)
    whole = np.trunc(t)
    q = np.where(np.abs(t - whole) >= np.float32(0.5), whole + np.where(t < 0, -ONE, ONE), whole).astype(np.float32)
    return (q * s / hi).astype(np.float32)


def must_match(made, expected, what):
    """Zeros may differ in sign."""
    wrong = np.flatnonzero(np.asarray(made).ravel() != np.asarray(expected).ravel())
    if wrong.size:
        i = wrong[0]
        print(f"{what}: {wrong.size} of {np.asarray(made).size} differ from the formula, first {np.asarray(made).ravel()[i]!r} "
              f"against {np.asarray(expected).ravel()[i]!r}")
    return not wrong.size


def differentiate(layer, x, rng):
    """out, d_out, d_x of layer(x) with a random d_out."""
    leaf = paddle.to_tensor(x, stop_gradient=False)
    out = layer(leaf)
    d_out = f32(rng.normal(size=x.shape))
    out.backward(paddle.to_tensor(d_out))
    return out.numpy(), d_out, leaf.grad.numpy()


def batches(rng):
    """Six batches of 96 values: plain, wider, all zero, tiny, huge, and one around the running scale."""
    plain = rng.normal(size=(6, 96)) * np.array([1, 3, 0, 1e-20, 1e4, 1])[:, None]
    plain[5] = np.linspace(-400, 400, 96)
    return f32(plain)


def moving_average(out, rng):
    for bits, rate in ((8, 0.9), (4, 0.9), (2, 0.9), (8, 0.5)):
        at = f"moving_average/b{bits}_r{rate}/"
        layer = FakeQuantMovingAverageAbsMax(name=None, moving_rate=rate, quant_bits=bits)
        x, rows = batches(rng), []
        state = accum = ONE
        for batch in x:
            layer.train()
            y, d_out, d_x = differentiate(layer, batch, rng)
            scale, got_state, got_accum = (v.numpy()[0] for v in (layer._scale, layer._state, layer._accum))
            state = np.float32(rate) * state + ONE
            accum = np.float32(rate) * accum + np.abs(batch).max()
            must_match([got_state, got_accum, scale], [state, accum, accum / state], at + "state, accum, scale")
            must_match(y, formula(batch, scale, bits), at + "y")
            layer.eval()
            probe = f32(batch * np.float32(1.5))
            rows.append(dict(y=y, d_y=d_out, d_x=d_x, scale=scale, state=got_state, accum=got_accum, eval_x=probe,
                             eval_y=layer(paddle.to_tensor(probe)).numpy()))
            must_match(rows[-1]["eval_y"], formula(probe, scale, bits), at + "eval")
            assert layer._scale.numpy()[0] == scale and np.array_equal(d_x, d_out)
        out[at + "x"], out[at + "rate_bits"] = x, f32([rate, bits])
        out.update({at + key: f32([row[key] for row in rows]) for key in rows[0]})


def hostile_rows(rng):
    """[12,24]: rows with thresholds that are easy, awkward, tiny, zero, huge, and values at half steps of 8 bits."""
    x = rng.normal(size=(12, 24)).astype(np.float32)
    x[1] *= np.float32(1e-20)
    x[2] *= np.float32(1e-31)   # below 1e-30: the inverse is 1 / (s + 1e-6)
    x[3] = 0
    x[4] *= np.float32(1e30)
    x[5] = np.arange(24) - np.float32(11.5)
    x[5, 0] = 127               # step exactly 1, every other value half way
    x[6] = (np.arange(24) + np.float32(0.5)) / np.float32(127)
    x[6, 0] = 1                 # threshold 1: half steps as near as f32 comes
    x[7] = x[6] * np.float32(0.1)
    x[8] = -np.abs(x[8])        # the threshold comes from a negative value
    x[9] = np.float32(2.5)      # all at the threshold
    x[10] = (np.arange(24) - np.float32(11.5)) * np.float32(3)
    x[10, 0] = 381              # step exactly 3
    x[11, :12] = 0
    return x


def abs_max(out, rng):
    for bits in (8, 4, 2):
        rows, ys, d_ys, d_xs, scales = hostile_rows(rng), [], [], [], []
        for i, row in enumerate(rows):
            layer = FakeQuantAbsMax(name=None, quant_bits=bits, quant_on_weight=True)
            y, d_y, d_x = differentiate(layer, row, rng)
            scales.append(layer._scale.numpy()[0])
            must_match([scales[-1]], [np.abs(row).max()], "abs_max scale")
            must_match(y, formula(row, scales[-1], bits), f"abs_max b{bits} row {i}")
            assert np.array_equal(d_x, d_y)
            ys.append(y), d_ys.append(d_y), d_xs.append(d_x)
        at = f"abs_max/b{bits}/"
        out.update({at + "x": rows, at + "y": f32(ys), at + "scale": f32(scales), at + "d_y": f32(d_ys), at + "d_x": f32(d_xs)})


def channel_wise(out, rng):
    """A conv weight [12,2,3,4] (KRSC), quantized along K as [12,4,2,3] (Paddle's KCRS), and a linear one [12,24]."""
    for bits in (8, 4, 2):
        conv = hostile_rows(rng).reshape(12, 2, 3, 4)
        linear = hostile_rows(rng)
        for kind, ours, theirs, back, axis in (("conv", conv, kcrs(conv), krsc, 0), ("linear", linear, linear.T, np.transpose, 1)):
            layer = FakeQuantChannelWiseAbsMax(name=None, channel_num=12, quant_bits=bits, quant_axis=axis, quant_on_weight=True)
            y, d_y, d_x = (np.ascontiguousarray(back(v)) for v in differentiate(layer, np.ascontiguousarray(theirs), rng))
            scale = layer._scale.numpy()
            must_match(scale, np.abs(ours.reshape(12, -1)).max(1), kind + " scale")
            for c in range(12):
                must_match(y[c], formula(ours[c], scale[c], bits), f"channel-wise {kind} b{bits} channel {c}")
            assert np.array_equal(d_x, d_y)
            at = f"channel_wise/{kind}_b{bits}/"
            out.update({at + "x": ours, at + "y": y, at + "scale": scale, at + "d_y": d_y, at + "d_x": d_x})


def pact(out, rng):
    for alpha in (100.0, 1.0, 0.25, 6.0):
        x = f32(rng.normal(size=64) * 2)
        x[:4] = [alpha, -alpha, 0, 3 * alpha]
        layer = PACT()
        layer.alpha.set_value(f32([alpha]))
        y, d_y, d_x = differentiate(layer, x, rng)
        at = f"pact/alpha{alpha:g}/"
        out.update({at + "x": x, at + "alpha": f32([alpha]), at + "y": y, at + "d_y": d_y, at + "d_x": d_x,
                    at + "d_alpha": layer.alpha.grad.numpy()})
        inside = np.abs(x) <= np.float32(alpha)
        must_match(d_x, np.where(inside, d_y, 0), at + "d_x")
        expected = d_y[x > alpha].sum(dtype=np.float64) - d_y[x < -alpha].sum(dtype=np.float64)
        assert abs(layer.alpha.grad.numpy()[0] - expected) < 1e-5, (at, expected)


def main():
    out, rng = {}, np.random.default_rng(11)
    for part in (moving_average, abs_max, channel_wise, pact):
        part(out, rng)
    store("paddle_quantizers.safetensors", out, paddle=paddle.__version__, paddleslim=version("paddleslim"), numpy=np.__version__)


if __name__ == "__main__":
    main()
