"""A runtime's side of deploy.py: runs ONNX files whenever a line on stdin asks for it.

    infer_worker.py onnxruntime|onnxruntime-precise|openvino NAME=FILE.onnx …

Says {"ready": ...}, then obeys "run NAME BATCH THREADS N": one run to get warm, N timed, answered by {"seconds": [...]}. Ends with
its stdin. One JSON object a line, as `mnv1_qat bench --serve` has it. onnxruntime-precise sets session.x64quantprecision=1: on
processors without VNNI the default kernels let sums of two products saturate at 16 bits.
"""
import json
import sys
import time

import numpy as np

SIDE = 32


def pictures(batch):
    pixels = np.random.default_rng(1).integers(0, 256, (batch, 3, SIDE, SIDE)).astype(np.float32)
    return (pixels - np.float32(127.5)) / np.float32(127.5)


def onnxruntime_runner(file, batch, threads, precise):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if precise:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: pictures(batch)}
    return lambda: session.run(None, feed)


def openvino_runner(file, batch, threads):
    import openvino as ov
    core = ov.Core()
    model = core.read_model(file)
    model.reshape([batch, 3, SIDE, SIDE])
    request = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads,
                                                "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    feed = {0: pictures(batch)}
    return lambda: request.infer(feed, share_inputs=True)


def version(side):
    if side == "openvino":
        import openvino
        return "OpenVINO " + openvino.__version__.split("-")[0]
    import onnxruntime
    return "ONNX Runtime " + onnxruntime.__version__


class Server:
    def __init__(self, side, files):
        self.side, self.files, self.runners = side, files, {}

    def runner(self, name, batch, threads):
        """One at a time: an idle runtime's threads would take turns from the others."""
        key = (name, batch, threads)
        if key not in self.runners:
            self.runners.clear()
            make = openvino_runner if self.side == "openvino" else onnxruntime_runner
            more = [] if self.side == "openvino" else [self.side.endswith("precise")]
            self.runners[key] = make(self.files[name], batch, threads, *more)
            self.runners[key]()
        return self.runners[key]

    def run(self, name, batch, threads, count):
        run = self.runner(name, batch, threads)
        run()
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}


def main():
    side, *pairs = sys.argv[1:]
    if side not in ("onnxruntime", "onnxruntime-precise", "openvino") or not all("=" in pair for pair in pairs):
        sys.exit("infer_worker.py: takes onnxruntime, onnxruntime-precise or openvino, and NAME=FILE.onnx …")
    server = Server(side, dict(pair.split("=", 1) for pair in pairs))
    print(json.dumps({"ready": version(side)}), flush=True)
    for line in sys.stdin:
        words = line.split()
        if len(words) != 5 or words[0] != "run" or words[1] not in server.files:
            sys.exit(f"infer_worker.py: '{line.strip()}' is no command: run NAME BATCH THREADS N")
        print(json.dumps(server.run(words[1], *(int(word) for word in words[2:]))), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)  # deploy.py reports the last line
        sys.exit(1)
