#!/usr/bin/env python3
"""Runs an ONNX file in a runtime and holds its logits against given ones. Prints one line of JSON:

    {"runtime", "version", "optimised", "pictures", "bit_equal", "classes_equal", "largest_difference"}

bit_equal: every logit has the same bits. classes_equal: share of pictures with the same class (ties go to the lower one).
With --labels also top1 (the runtime's) and top1_given (of the given logits).
Exit code: 0 when the file ran, 77 when the runtime is not installed, 1 or 2 with one line when something is wrong.
"""
import argparse
import json
import sys

MISSING = 77


def stop(code, text):
    print(f"verify_onnx: {text}", file=sys.stderr)
    sys.exit(code)


try:
    import numpy as np
except ImportError:
    stop(MISSING, "NumPy is not installed")


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", metavar="MODEL.onnx")
    p.add_argument("--pictures", required=True, metavar="FILE.npy", help="N,H,W,C: f32, or u8 pixels, normalised here")
    p.add_argument("--logits", required=True, metavar="FILE.npy", help="f32 N,classes (or N,1,1,classes)")
    p.add_argument("--labels", metavar="FILE.npy", help="N classes, for top-1")
    p.add_argument("--runtime", choices=["onnxruntime", "openvino"], default="onnxruntime")
    p.add_argument("--no-optimisation", action="store_true", help="ONNX Runtime: run every node as it stands in the file")
    p.add_argument("--batch-size", type=int, default=250)
    p.add_argument("--threads", type=int, default=0, help="0: the runtime's choice")
    p.add_argument("--save-optimised", metavar="FILE.onnx", help="ONNX Runtime: write the graph that it runs")
    p.add_argument("--save-logits", metavar="FILE.npy", help="write the runtime's logits")
    args = p.parse_args()
    if args.batch_size < 1:
        p.error("--batch-size must be 1 or more")
    if args.runtime != "onnxruntime" and (args.no_optimisation or args.save_optimised):
        p.error("--no-optimisation and --save-optimised are for --runtime onnxruntime")
    return args


def onnxruntime_runner(args):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = args.threads
    # Processors with AVX2 but no VNNI: without this, sums of two u8·s8 products saturate at 16 bits.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if args.no_optimisation:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if args.save_optimised:
        options.optimized_model_filepath = args.save_optimised
    session = ort.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return ort.__version__, lambda batch: session.run(None, {name: batch})[0]


def openvino_runner(args):
    import openvino as ov
    config = {"INFERENCE_PRECISION_HINT": "f32"}
    if args.threads:
        config["INFERENCE_NUM_THREADS"] = args.threads
    compiled = ov.Core().compile_model(args.model, "CPU", config)
    return ov.__version__, lambda batch: np.array(compiled(batch)[0])


def load_pictures(path):
    pictures = np.load(path)
    if pictures.ndim != 4:
        raise ValueError(f"'{path}' has shape {pictures.shape}, N,H,W,C is needed")
    if pictures.dtype == np.uint8:
        middle = np.float32(127.5)
        pictures = (pictures.astype(np.float32) - middle) / middle
    return np.ascontiguousarray(pictures.astype(np.float32).transpose(0, 3, 1, 2))


def load_logits(path, count):
    logits = np.load(path)
    logits = logits.reshape(len(logits), -1)
    if logits.dtype != np.float32 or len(logits) != count:
        raise ValueError(f"'{path}' holds {logits.dtype} {logits.shape}, float32 of {count} pictures is needed")
    return logits


def compare(args):
    pictures = load_pictures(args.pictures)
    given = load_logits(args.logits, len(pictures))
    version, run = {"onnxruntime": onnxruntime_runner, "openvino": openvino_runner}[args.runtime](args)
    made = np.concatenate([run(pictures[i:i + args.batch_size]) for i in range(0, len(pictures), args.batch_size)])
    if made.shape != given.shape:
        raise ValueError(f"the runtime gives logits {made.shape}, '{args.logits}' holds {given.shape}")
    if args.save_logits:
        np.save(args.save_logits, made)
    result = {"runtime": args.runtime, "version": version.split("-")[0], "optimised": not args.no_optimisation, "pictures": len(pictures),
              "bit_equal": bool(np.array_equal(made.view(np.uint32), given.view(np.uint32))),
              "classes_equal": float(np.mean(made.argmax(1) == given.argmax(1))),
              "largest_difference": float(np.max(np.abs(made - given)))}
    if args.labels:
        labels = np.load(args.labels).reshape(-1)
        result["top1"] = float(np.mean(made.argmax(1) == labels))
        result["top1_given"] = float(np.mean(given.argmax(1) == labels))
    return result


def main():
    args = parse()
    try:
        print(json.dumps(compare(args)))
    except ImportError as error:
        stop(MISSING, f"SKIPPED: {error} ---> HINT pip install {args.runtime}")
    except Exception as error:  # the runtimes throw types of their own
        stop(1, str(error).replace("\n", " "))


if __name__ == "__main__":
    main()
