"""Measures the engine beside ONNX Runtime and OpenVINO, in one run in turns, and prints a table, bar by bar.

    deploy.py --model qat.safetensors --int8 int8.safetensors --onnx int8.onnx --onnx-fp32 fp32.onnx

docs/deploy.md says how to make the files and how to read the table.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile

import deploy_sides
from bars import Bar, show
from deploy_sides import Sides
from measure import NotMeasured

PEERS = ("onnxruntime", "openvino")


class Results:
    def __init__(self, sides, folder):
        self.sides, self.options, self.folder, self.taken = sides, sides.options, folder, {}

    def once(self, name, take):
        if name not in self.taken:
            self.taken[name] = take()
        return self.taken[name]

    def ratio(self, above, below):
        """Of two cases (side, model, batch, threads): median over rounds of the ratio within a round."""
        a, b = self.sides.rounds(*above), self.sides.rounds(*below)
        ratios = [x / y for x, y in zip(a, b)]
        low, high = quartiles(ratios)
        return statistics.median(ratios), f"{low:.3f} to {high:.3f}; {self.ms(above)} / {self.ms(below)} ms"

    def ms(self, case):
        value = 1e3 * statistics.median(self.sides.rounds(*case))
        return f"{value:.1f}" if value >= 10 else f"{value:.3f}"

    def best(self, side, batch):
        """The case of this side's int8 with the thread count that is fastest."""
        cases = [(side, "int8", batch, threads) for threads in sorted({1, self.options.threads})]
        return min(cases, key=lambda case: statistics.median(self.sides.rounds(*case)))

    def int8(self, peer):
        many = max(self.options.batches)
        value, spread = self.ratio(("octet", "int8", many, self.options.threads), (peer, "int8", many, self.options.threads))
        if peer == "onnxruntime" and (peer + "-precise", "int8", many, self.options.threads) in self.sides.times:
            precise = self.ratio(("octet", "int8", many, self.options.threads), (peer + "-precise", "int8", many, self.options.threads))
            spread += f"; with x64quantprecision=1: {precise[0]:.3f}"
        return value, spread

    def one_picture(self):
        few = min(self.options.batches)
        peers, absent = [], []
        for peer in PEERS:
            try:
                peers.append(self.best(peer, few))
            except NotMeasured as reason:
                absent.append(reason)
        if not peers:
            raise absent[0]
        ours = self.best("octet", few)
        peer = min(peers, key=lambda case: statistics.median(self.sides.rounds(*case)))
        value, spread = self.ratio(ours, peer)
        remark = f"; {absent[0]}" if absent else ""
        return value, f"{spread}; {peer[0]}, {ours[3]} / {peer[3]} threads{remark}"

    def fp32(self):
        many, threads = max(self.options.batches), self.options.threads
        return self.ratio(("octet", "fp32", many, threads), ("onnxruntime", "fp32", many, threads))

    def int8_over_fp32(self, isa):
        """How many times the throughput, on a step of the ladder."""
        usable = self.sides.all["octet"].ready["isa"] if "octet" in self.sides.all else "nothing"
        side = "octet" if usable == isa else "octet-avx2"
        if isa != "avx2" and usable != isa:
            raise NotMeasured(f"this machine runs {usable}")
        many, threads = max(self.options.batches), self.options.threads
        return self.ratio((side, "fp32", many, threads), (side, "int8", many, threads))

    def exported(self):
        many, threads = max(self.options.batches), self.options.threads
        return self.ratio(("onnxruntime", "int8", many, threads), ("onnxruntime", "ort-int8", many, threads))

    def layers(self):
        return self.once("layers", lambda: deploy_sides.layers(self.options))

    def layers_sum(self):
        figures = self.layers()
        pairs = f", with pairs in s16 {figures['batch_pairs_ratio']:.3f}" if "batch_pairs_ratio" in figures else ""
        return max(figures["tile_sum_ratio"], figures["batch_sum_ratio"]), (
            f"medians; a tile, 1 thread {figures['tile_sum_ratio']:.3f}; the batch {figures['batch_sum_ratio']:.3f}, "
            f"least times {figures['batch_least_ratio']:.3f}{pairs}")

    def worst_layer(self):
        figures = self.layers()
        return max(figures["tile_worst_ratio"], figures["batch_worst_ratio"]), (
            f"a tile, 1 thread {figures['tile_worst_ratio']:.3f}, {figures['tile_worst_layer']}; "
            f"the batch {figures['batch_worst_ratio']:.3f}, {figures['batch_worst_layer']}, least times {figures['batch_worst_least_ratio']:.3f}")

    def start(self):
        if "octet" not in self.sides.all:
            raise NotMeasured(self.sides.failed.get("octet", "no octet"))
        seconds = self.once("start", lambda: self.sides.all["octet"].ask(f"load int8 {self.options.loads}"))
        low, high = quartiles(seconds)
        return 1e3 * statistics.median(seconds), f"{1e3 * low:.2f} to {1e3 * high:.2f} ms in {len(seconds)} loads"

    def probe(self):
        return self.once("probe", lambda: deploy_sides.probe(self.options, self.folder))

    def size(self):
        return self.probe()["stripped_bytes"] / 1e6, "a program with octet::engine alone, stripped"

    def memory(self):
        probe = self.probe()
        return probe["peak_beyond_weights"] / 1e6, (f"VmHWM - VmRSS before - {probe['weight_bytes'] / 1e6:.2f} MB packed; afterwards "
                                                    f"{probe['now_beyond_weights'] / 1e6:.2f} MB, session {probe['session_bytes'] / 1e6:.2f} MB")


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def bars(options):
    many, t = max(options.batches), options.threads
    return [
        Bar(f"int8, batch {many}, {t} threads: time / OpenVINO's", 1.0, 0.6, lambda r: r.int8("openvino")),
        Bar(f"int8, batch {many}, {t} threads: time / ONNX Runtime's", 0.65, 0.4, lambda r: r.int8("onnxruntime")),
        Bar(f"int8, batch {min(options.batches)}, best threads: time / the better of the two", 0.9, 0.5, lambda r: r.one_picture()),
        Bar(f"fp32, batch {many}, {t} threads: time / ONNX Runtime's", 0.9, 0.6, lambda r: r.fp32()),
        Bar("int8 / own fp32 throughput, AVX-512 VNNI", 2.8, 3.4, lambda r: r.int8_over_fp32("avx512vnni"), more=True),
        Bar("int8 / own fp32 throughput, OCTET_ISA=avx2", 1.6, 1.9, lambda r: r.int8_over_fp32("avx2"), more=True),
        Bar("int8 layers: sum / oneDNN's sum", 0.9, 0.6, lambda r: r.layers_sum()),
        Bar("int8 layers: the worst / oneDNN's", 1.1, 0.9, lambda r: r.worst_layer()),
        Bar("load file to first answer", 20, 5, lambda r: r.start(), "ms"),
        Bar("engine in a program, stripped", 2, 1, lambda r: r.size(), "MB"),
        Bar("peak memory of one picture beyond the weights", 8, 3, lambda r: r.memory(), "MB"),
        Bar("exported int8 in ONNX Runtime: time / of its own quantized model", 1.1, 1.0, lambda r: r.exported()),
    ]


def parse():
    here = os.path.dirname(os.path.abspath(__file__))
    release = os.path.join(os.path.dirname(os.path.dirname(here)), "build", "release", "bin")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, metavar="QAT", help="qat.safetensors: ours, in integers and in floats")
    parser.add_argument("--int8", metavar="FILE", help="int8.safetensors of it, for size and memory")
    parser.add_argument("--onnx", metavar="FILE", help="the integer model as ONNX")
    parser.add_argument("--onnx-fp32", metavar="FILE", help="the model of floats as ONNX")
    parser.add_argument("--bin", default=release, metavar="DIR", help="where our programs are (%(default)s)")
    parser.add_argument("--python", default=sys.executable, metavar="PY", help="an interpreter with onnxruntime and openvino (this one)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")], default=[1, 256], metavar="N,N")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each side (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="timed runs in a turn (%(default)s)")
    parser.add_argument("--runs-of-one", type=int, default=50, help="the same for a batch of 1 (%(default)s)")
    parser.add_argument("--loads", type=int, default=21, help="loads of the file (%(default)s)")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between turns (%(default)s)")
    parser.add_argument("--no-layers", action="store_true", help="leave octet_bench's layers out")
    parser.add_argument("-o", "--output", choices=("table", "md", "json"), default="table", help="what stdout gets (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write bars, times and conditions here too")
    options = parser.parse_args()
    for name in ("rounds", "runs", "runs_of_one", "loads", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be 1 or more")
    if min(options.batches) < 1:
        parser.error("--batches must be 1 or more")
    return options


def times_of(sides):
    """Every case that ran: medians and quartiles over rounds."""
    lines = []
    for (side, model, batch, threads), times in sides.times.items():
        low, high = quartiles(times)
        median = statistics.median(times)
        lines.append({"side": side, "model": model, "batch": batch, "threads": threads, "ms": 1e3 * median, "low_ms": 1e3 * low, "high_ms": 1e3 * high,
                      "pictures_per_second": batch / median})
    return lines


def show_times(lines, form):
    head = ("side", "model", "batch", "threads", "ms", "quartiles", "pictures/s")
    rows = [(l["side"], l["model"], l["batch"], l["threads"], f"{l['ms']:.3f}", f"{l['low_ms']:.3f} to {l['high_ms']:.3f}",
             f"{l['pictures_per_second']:.0f}") for l in lines]
    if form == "md":
        print("\n| " + " | ".join(head) + " |\n|---|---|--:|--:|--:|--:|--:|")
        for row in rows:
            print("| " + " | ".join(map(str, row)) + " |")
        return
    print()
    for row in [head, *rows]:
        print("{:20} {:9} {:>6} {:>8} {:>10} {:>20} {:>11}".format(*map(str, row)))


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(options)
        try:
            sides.start_all(folder)
            sides.measure()
            results = Results(sides, folder)
            chosen = [bar for bar in bars(options) if not (options.no_layers and bar.question.startswith("int8 layers"))]
            lines = [bar.line(results) for bar in chosen]
            versions = {name: side.ready["ready"] for name, side in sides.all.items()}
        finally:
            sides.close()
    report = {"versions": versions, "bars": lines, "times": times_of(sides), "failed": sides.failed, "load_average": os.getloadavg()[0]}
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)
    if options.output == "json":
        print(json.dumps(report, indent=2))
    else:
        show(lines, options.output)
        show_times(report["times"], options.output)
    return 1 if any(line["verdict"] == "MISSED" for line in lines) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except NotMeasured as reason:
        sys.exit(f"deploy.py: {reason}")
