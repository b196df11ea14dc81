#!/usr/bin/env python3
"""Runs an int8 model in NumPy, from docs/format.md alone, and holds every layer against the arrays of `mnv1_qat dump-codes`.

    read_int8.py MODEL.int8.safetensors FOLDER      exit code 0 when all codes are equal
"""
import json
import os
import struct
import sys

import numpy as np

F = np.float32
DTYPES = {"F32": "<f4", "I8": "|i1", "U8": "|u1", "I32": "<i4"}


def crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def read(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    digits = metadata["octet.checksum"].removeprefix("crc32c:")
    at = data.index(b'"octet.checksum":"crc32c:') + len(b'"octet.checksum":"crc32c:')
    assert crc32c(data[:at] + b"0" * 8 + data[at + 8:]) == int(digits, 16), "checksum"
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = data[8 + length + begin:8 + length + end]
        tensors[name] = np.frombuffer(raw, DTYPES[entry["dtype"]]).reshape(entry["shape"])
    assert metadata["octet.kind"] == "int8" and metadata["octet.format"] == "1"
    return json.loads(metadata["octet.graph"]), tensors


def away(x):
    whole = np.trunc(x)
    return np.where(np.abs(x - whole) >= F(0.5), whole + np.sign(x), whole).astype(F)


def step(grid):
    scale = F(grid["scale"])
    return scale if grid["rule"] == "onnx" else scale / F(grid["hi"])


def store(q, grid):
    return q.astype(np.uint8 if grid["hi"] > 127 else np.int8)


def to_codes(t, node):
    """rint(clamp(t, c_lo - z, c_hi - z)) + z"""
    z, (lo, hi) = node["grid"]["zero_point"], node["clamp"]
    return store(np.rint(np.clip(t, F(lo - z), F(hi - z))).astype(np.int64) + z, node["grid"])


def quantize(x, node):
    grid = node["grid"]
    scale, z, lo, hi = F(grid["scale"]), grid["zero_point"], grid["lo"], grid["hi"]
    if grid["rule"] == "onnx":
        t = np.clip((x / scale).astype(F), F(lo - z), F(hi - z))
        return store(np.where(np.isnan(t), 0, np.rint(t)).astype(np.int64) + z, grid)
    inverse = F(1) / scale if scale > F(1e-30) else F(1) / (scale + F(1e-6))
    t = away((F(hi) * inverse) * np.clip(x, -scale, scale))
    return store(np.where(np.isnan(t), 0, t).astype(np.int64), grid)


def dequantize(q, grid):
    if grid["rule"] == "onnx":
        return (q.astype(np.int64) - grid["zero_point"]).astype(F) * F(grid["scale"])
    return q.astype(F) * F(grid["scale"]) / F(grid["hi"])


def windows(x, node, fill):
    """[n, p, q, r, s, c] of a padded picture."""
    (r, s), (sh, sw), (ph, pw) = node["window"], node["stride"], node["padding"]
    x = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, (r, s), axis=(1, 2))
    return view[:, ::sh, ::sw].transpose(0, 1, 2, 4, 5, 3)


def activate(x, node):
    kind = node.get("activation")
    if kind is None:
        return x
    x = np.maximum(x, F(0))
    return np.minimum(x, F(6)) if kind == "relu6" else x


def conv(x, node, source, tensors):
    name, z_x = node["name"], source["grid"]["zero_point"]
    patches = windows(x.astype(np.int64), node, z_x) - z_x
    weight = tensors[name + ".weight"].astype(np.int64)
    if node["op"] == "dwconv2d":
        a = np.einsum("npqrsc,crs->npqc", patches, weight[..., 0])
    else:
        n, p, q = patches.shape[:3]
        # Products of codes and their sums are whole numbers below 2^53: a matrix product in double is exact.
        a = (patches.reshape(n * p * q, -1).astype(np.float64) @ weight.reshape(len(weight), -1).T.astype(np.float64)).astype(np.int64)
        a = a.reshape(n, p, q, -1)
    a = a + tensors.get(name + ".bias", np.zeros(len(weight), np.int32)).astype(np.int64)
    assert np.abs(a).max() < 2**31
    product = step(source["grid"]) * tensors[name + ".weight_step"]
    float_bias = tensors.get(name + ".float_bias")
    if "grid" not in node:
        y = a.astype(F) * product
        return activate(y if float_bias is None else y + float_bias, node)
    s = step(node["grid"])
    t = a.astype(F) * (product / s)
    if node["rule"] == "onnx":
        return to_codes(t, node)
    if float_bias is not None:
        t = t + float_bias / s
    lo, hi = node["clamp"]
    return store(away(np.clip(t, F(lo), F(hi))), node["grid"])


def avg_pool(x, node, source):
    inside = windows(np.ones(x.shape, np.int64), node, 0).sum((3, 4))
    if "grid" not in node:
        patches = windows(x, node, F(0))
        total = np.zeros(inside.shape, F)
        for r in range(patches.shape[3]):
            for s in range(patches.shape[4]):
                total = total + patches[:, :, :, r, s]
        return total / inside.astype(F)
    z_x = source["grid"]["zero_point"]
    total = (windows(x.astype(np.int64), node, z_x) - z_x).sum((3, 4))
    factor = step(source["grid"]) / (step(node["grid"]) * inside.astype(F))
    return to_codes(total.astype(F) * factor, node)


def max_pool(x, node):
    least = -np.inf if x.dtype == F else np.iinfo(x.dtype).min
    return windows(x, node, least).max((3, 4))


def add(a, b, node, sources):
    if "grid" not in node:
        return a + b
    s = step(node["grid"])
    terms = [(q.astype(np.int64) - src["grid"]["zero_point"]).astype(F) * (step(src["grid"]) / s) for q, src in zip((a, b), sources)]
    return to_codes(terms[0] + terms[1], node)


def run(graph, tensors, pictures):
    values, nodes = [pictures], graph["nodes"]
    for node in nodes[1:]:
        sources, inputs = [nodes[i] for i in node["inputs"]], [values[i] for i in node["inputs"]]
        op = node["op"]
        if op == "quantize":
            value = quantize(inputs[0], node)
        elif op == "dequantize":
            value = dequantize(inputs[0], sources[0]["grid"])
        elif op in ("conv2d", "dwconv2d"):
            value = conv(inputs[0], node, sources[0], tensors)
        elif op == "add":
            value = add(*inputs, node, sources)
        elif op == "concat":
            value = np.concatenate(inputs, -1)
        elif op == "max_pool":
            value = max_pool(inputs[0], node)
        elif op == "avg_pool":
            value = avg_pool(inputs[0], node, sources[0])
        elif op == "flatten":
            value = inputs[0].reshape(len(inputs[0]), 1, 1, -1)
        elif op == "activation":
            value = activate(inputs[0], node)
        else:
            sys.exit(f"unknown op {op}")
        assert list(value.shape[1:]) == node["extent"], (node["name"], value.shape)
        values.append(value)
    return values


def main():
    graph, tensors = read(sys.argv[1])
    pictures = np.load(os.path.join(sys.argv[2], "pictures.npy"))
    normalised = (pictures.astype(F) - F(127.5)) / F(127.5)
    values = run(graph, tensors, normalised)
    differing = 0
    for node, value in zip(graph["nodes"], values):
        theirs = np.load(os.path.join(sys.argv[2], node["name"].replace("/", "_") + ".npy"))
        assert theirs.dtype == value.dtype and theirs.shape == value.shape, (node["name"], theirs.dtype, value.dtype)
        wrong = int((theirs.view(np.uint8) != value.view(np.uint8)).sum())
        if wrong:
            print(f"{node['name']}: {wrong} bytes differ")
        differing += wrong
    print(f"{len(values)} values of {len(pictures)} pictures, {differing} bytes differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
