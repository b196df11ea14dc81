#!/usr/bin/env python3
"""Writes the seeds of the targets picture, cifar10, quant_config and toml: make_files.py CORPUS (needs Pillow)."""
import io
import json
import struct
import sys
import zlib
from pathlib import Path

from PIL import Image

corpus = Path(sys.argv[1])


def write(name, data):
    (corpus / name).parent.mkdir(parents=True, exist_ok=True)
    (corpus / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def picture(mode, size=(9, 7)):
    return Image.frombytes("RGB", size, bytes(i * 7 % 256 for i in range(3 * size[0] * size[1]))).convert(mode)


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def png(width, height, depth, colour, interlace, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
    write(f"picture/good_{mode.lower()}.png", encoded(picture(mode), format="PNG"))
write("picture/good_16_bit.png", png(3, 2, 16, 2, 0, (b"\0" + bytes(range(18))) * 2))
write("picture/good_interlaced.png", png(2, 2, 8, 0, 1, b"\0\1" + b"\0\2" + b"\0\3\4"))
for mode, name, options in (("L", "grey", {}), ("RGB", "rgb", {"subsampling": 0}), ("RGB", "subsampled", {"subsampling": 2}),
                            ("CMYK", "cmyk", {}), ("RGB", "progressive", {"progressive": True})):
    write(f"picture/good_{name}.jpg", encoded(picture(mode, (17, 12)), format="JPEG", quality=60, **options))
write("picture/bad_huge.png", png(8192, 8192, 16, 6, 0, b""))
write("picture/bad_cut.png", encoded(picture("RGB"), format="PNG")[:60])
write("picture/bad_format", b"GIF89a" + bytes(100))

record = bytes([7]) + bytes(i % 251 for i in range(3072))
write("cifar10/good_one", record)
write("cifar10/good_two", record + bytes([0]) + bytes(3072))
write("cifar10/bad_label", bytes([10]) + bytes(3072))
write("cifar10/bad_size", record[:-1])

write("quant_config/good_empty", "{}")
write("quant_config/good_full", json.dumps({
    "scheme": "octet", "weight_preprocess_type": "PACT", "activation_preprocess_type": None, "weight_quantize_type": "abs_max",
    "activation_quantize_type": "range_abs_max", "weight_bits": 4, "activation_bits": 8, "moving_rate": 0.95, "window_size": 100,
    "quantizable_layer_type": ["Conv2D", "DepthwiseConv2D", "Linear"], "fuse_conv_bn": True, "dtype": "int8", "onnx_format": True}))
write("quant_config/bad_key", '{"bits": 8}')
write("quant_config/bad_range", '{"weight_bits": 9}')
write("quant_config/bad_deep", "[" * 2000)

write("toml/good_all", '# words\nepochs = 3\n\n[run]\ndata = "syn thetic" # behind\nquiet = true\nindices = [1, 2,\n 3]\n[qat]\nlr = 1e-3\n')
write("toml/good_empty", "")
write("toml/good_quotes", "data = 'a \\'\nepochs = \"\\u0041\"\n")
write("toml/bad_key", "nothing = 1\n")
write("toml/bad_section", "[elsewhere]\nepochs = 1\n")
write("toml/bad_flag", "quiet = 7\n")
