"""What the golden scripts share: Octet's names and layouts, the frozen pictures, and the store."""
import os
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))


def nhwc(activation):
    """[N,C,H,W] -> [N,H,W,C]."""
    return np.ascontiguousarray(np.transpose(activation, (0, 2, 3, 1)))


def nchw(activation):
    """[N,H,W,C] -> [N,C,H,W]."""
    return np.ascontiguousarray(np.transpose(activation, (0, 3, 1, 2)))


def krsc(weight):
    """[K,C/groups,R,S] -> [K,R,S,C/groups]; a depthwise weight [C,1,R,S] becomes [C,R,S,1]."""
    return nhwc(weight)


def kcrs(weight):
    """[K,R,S,C/groups] -> [K,C/groups,R,S]."""
    return nchw(weight)


def frozen_pictures(seed, count):
    """u8 [count,32,32,3]: a smooth random colour field with noise, so that neighbouring pixels belong together."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(count, 5, 5, 3))
    grid = np.linspace(0, 4 - 1e-9, 32)
    low, part = grid.astype(int), grid % 1
    rows = coarse[:, low] * (1 - part)[None, :, None, None] + coarse[:, low + 1] * part[None, :, None, None]
    field = rows[:, :, low] * (1 - part)[None, None, :, None] + rows[:, :, low + 1] * part[None, None, :, None]
    noisy = 127.5 + 60 * field + 12 * rng.normal(size=field.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def normalise(pictures):
    """The tutorial's (x - 127.5) / 127.5, in f32."""
    return (pictures.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)


def f32(values):
    return np.ascontiguousarray(np.asarray(values, dtype=np.float32))


def store(name, tensors, **facts):
    """Writes HERE/name; with --check compares against the stored file instead and exits 1 on a difference."""
    path = os.path.join(HERE, name)
    tensors = {key: np.ascontiguousarray(tensors[key]) for key in sorted(tensors)}
    if "--check" in sys.argv:
        compare(name, tensors, load_file(path))
        return
    # One metadata entry: the library writes several in an order of its own, which would change the file's bytes.
    save_file(tensors, path, metadata={"made_with": ", ".join(f"{key} {value}" for key, value in facts.items())})
    os.chmod(path, 0o644)
    print(f"{name}: {len(tensors)} tensors, {os.path.getsize(path)} bytes")


def stored(name, prefix):
    """The stored tensors under prefix, without it; empty when the file is not there or --fresh asks for new ones."""
    path = os.path.join(HERE, name)
    if "--fresh" in sys.argv or not os.path.exists(path):
        return {}
    return {key[len(prefix):]: value for key, value in load_file(path).items() if key.startswith(prefix)}


def compare(name, made, stored):
    """Same keys, shapes, dtypes; values to 1e-5 of the tensor's largest magnitude (other CPUs sum in another order)."""
    wrong = sorted(set(made) ^ set(stored))
    for key in sorted(set(made) & set(stored)):
        a, b = made[key], stored[key]
        same_kind = a.shape == b.shape and a.dtype == b.dtype
        room = 1e-5 * max(np.abs(b).max(initial=0), 1e-30)
        if not same_kind or (a.size and np.abs(a.astype(np.float64) - b.astype(np.float64)).max() > room):
            wrong.append(key)
    print(f"{name}: {len(wrong)} of {len(made)} tensors differ", *wrong[:5])
    if wrong:
        sys.exit(1)
