"""The sides that deploy.py measures, as processes that take turns, and what is measured once."""
import json
import os
import statistics
import subprocess
import sys
import time

from measure import NotMeasured

HERE = os.path.dirname(os.path.abspath(__file__))


def log(text):
    print(f"deploy.py: {text}", file=sys.stderr, flush=True)


def program(options, name):
    path = os.path.join(options.bin, name)
    if not os.access(path, os.X_OK):
        raise NotMeasured(f"there is no {path}: build it, or name its folder with --bin")
    return path


class Side:
    """A process that runs models when told, a line of JSON for each line."""

    def __init__(self, name, command, environment=None):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})
        self.ready = self.answer()

    def answer(self):
        last = ""
        for line in self.process.stdout:
            try:
                answer = json.loads(line)
                if isinstance(answer, dict):
                    return answer
            except ValueError:
                last = line.strip()
        raise NotMeasured(f"{self.name} ended before it answered{': ' if last else ''}{last[:300]}")

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # answer() tells why
        return self.answer()["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ort_quantized(fp32, folder):
    """What ONNX Runtime makes of the fp32 file itself: static, QDQ, per channel. None without a quantizer, with a remark."""
    try:
        import numpy as np
        from infer_worker import pictures
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static, shape_inference
        import onnx
    except ImportError as error:
        log(f"no model quantized by ONNX Runtime: {error}")
        return None
    name = onnx.load(fp32).graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = [np.ascontiguousarray(pictures(64))] * 2

        def get_next(self):
            return {name: self.left.pop()} if self.left else None

    prepared, file = os.path.join(folder, "prepared.onnx"), os.path.join(folder, "ort_int8.onnx")
    shape_inference.quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, file, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8)
    return file


class Sides:
    """All of them, started on demand; `times[side, model, batch, threads]` holds a median per round."""

    def __init__(self, options):
        self.options, self.all, self.models, self.failed, self.times = options, {}, {}, {}, {}

    def start(self, name, models, command, environment=None):
        try:
            self.all[name] = Side(name, command, environment)
            self.models[name] = models
            log(f"{name}: {self.all[name].ready['ready']}")
        except (NotMeasured, OSError) as reason:
            self.failed[name] = str(reason)
            log(f"{name}: {reason}")

    def start_all(self, folder):
        o = self.options
        serve = [program(o, "mnv1_qat"), "bench", o.model, "--serve"]
        self.start("octet", ["int8", "fp32"], serve)
        if "octet" in self.all and self.all["octet"].ready["isa"] != "avx2":
            self.start("octet-avx2", ["int8", "fp32"], serve, {"OCTET_ISA": "avx2"})
        files = {"int8": o.onnx, "fp32": o.onnx_fp32, "ort-int8": ort_quantized(o.onnx_fp32, folder) if o.onnx_fp32 else None}
        files = {name: file for name, file in files.items() if file}
        for runtime in ("onnxruntime", "onnxruntime-precise", "openvino"):
            names = [name for name in files if (name == "int8" or runtime == "onnxruntime" or (runtime == "openvino" and name == "fp32"))]
            pairs = [f"{name}={files[name]}" for name in names]
            if names:
                self.start(runtime, names, [o.python, os.path.join(HERE, "infer_worker.py"), runtime, *pairs])

    def cases(self):
        return [(batch, threads) for batch in self.options.batches for threads in sorted({1, self.options.threads})]

    def measure(self):
        runs = {1: self.options.runs_of_one}
        for batch, threads in self.cases():
            for round_number in range(self.options.rounds):
                for name in list(self.all):
                    for model in self.models[name]:
                        self.turn(name, model, batch, threads, runs.get(batch, self.options.runs))
            log(f"batch {batch}, {threads} threads: {self.options.rounds} rounds")

    def turn(self, name, model, batch, threads, count):
        if name not in self.all:
            return
        time.sleep(self.options.pause)  # the threads of the one before fall asleep
        try:
            seconds = self.all[name].ask(f"run {model} {batch} {threads} {count}")
        except NotMeasured as reason:
            log(str(reason))
            self.failed[name] = str(reason)
            del self.all[name]
            return
        self.times.setdefault((name, model, batch, threads), []).append(statistics.median(seconds))

    def rounds(self, name, model, batch, threads):
        times = self.times.get((name, model, batch, threads))
        if not times:
            raise NotMeasured(self.failed.get(name) or f"no {name} {model}")
        if name in self.failed:
            raise NotMeasured(self.failed[name])
        return times

    def close(self):
        for side in self.all.values():
            side.close()


def probe(options, folder):
    """Size and memory of the program that has the engine alone; the smallest peak of a few runs, since others' pages do not count."""
    path = program(options, "engine_probe")
    stripped = os.path.join(folder, "stripped")
    subprocess.run(["strip", "-o", stripped, path], check=True)
    runs = []
    for _ in range(5):
        done = subprocess.run([path, options.int8 or options.model], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise NotMeasured(done.stderr.strip() or f"engine_probe exits with {done.returncode}")
        runs.append(json.loads(done.stdout))
    return {**min(runs, key=lambda run: run["peak_beyond_weights"]), "stripped_bytes": os.path.getsize(stripped)}


def layers(options):
    """octet_bench --int8-network at the largest batch: its figures."""
    command = [program(options, "octet_bench"), "--int8-network", "-o", "json", "--threads", str(options.threads), "--batch", str(max(options.batches))]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        report = json.loads(done.stdout)
        lines, figures = report["int8_network"], report.get("figures", {})
    except (ValueError, KeyError):
        raise NotMeasured(f"octet_bench exits with {done.returncode} and no report: {done.stderr.strip()[-200:]}") from None
    errors = [f"{line['layer']}: {line['error']}" for line in lines if "error" in line]
    if errors:
        raise NotMeasured(f"{len(errors)} of {len(lines)} layers have no time, {errors[0]}")
    return figures
