"""One command for a machine with a GPU: tests on the device, training beside the processor's, and the table of bars.

    gpu_bars.py --python PY --data DIR/cifar-10-batches-bin --recipe --accuracy -o md

PY: an interpreter with PyTorch for CUDA; without it bars that need one say so. docs/cuda.md tells how to read the table. Exit code 1:
a check failed or a bar is missed; nothing is timed when a check failed.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers"))
from bars import Bar, Measurements, show
from measure import NotMeasured, data_of, program

# Which of octet_gpu's steps count as ours: what `mnv1_qat --device cuda` does.
OWN_STEP, OWN_QAT_STEP = "fp32-graph", "qat-graph"
SEEDS = (1, 2, 3)
FEW_TEST_PICTURES = 512  # where only times of training count: the simulator is the processor's


class Failed(Exception):
    """A check that failed: nothing is measured then."""


def log(text):
    print(f"gpu_bars.py: {text}", file=sys.stderr, flush=True)


def environment(options):
    return {**os.environ, "OCTET_GPU": "emulated"} if options.emulated else dict(os.environ)


def octet_gpu(options, *arguments):
    command = [program(options, "octet_gpu"), "--json", *arguments] + (["--emulated"] if options.emulated else [])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise NotMeasured(f"octet_gpu {' '.join(arguments)} exits with {done.returncode} and no report") from None


# Checks.

def check_device(options):
    found = octet_gpu(options, "--identify")
    wanted = "emulated" if options.emulated else "cuda"
    if found["kind"] != wanted:
        raise Failed(f"the device in use is '{found['kind']}' ({found['device']}), not '{wanted}'; --emulated makes a dry run")
    return found["device"]


def check_tests(options):
    """test_gpu on the device. That its tests really ran there, one of them tells."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "tests.json")
        command = [program(options, "test_gpu"), "--gtest_brief=1", f"--gtest_output=json:{report}"]
        code = subprocess.run(command, env=environment(options), stdout=sys.stderr).returncode
        if not os.path.exists(report):
            raise Failed(f"test_gpu exits with {code} and no report")
        with open(report) as file:
            suites = json.load(file)["testsuites"]
    tests = {f"{suite['name']}.{test['name']}": test for suite in suites for test in suite["testsuite"]}
    failed = [name for name, test in tests.items() if test.get("failures")]
    skipped = [name for name, test in tests.items() if test["result"] == "SKIPPED"]
    if code != 0 or failed:
        raise Failed(f"test_gpu exits with {code}; failed: {', '.join(failed) or 'the program itself'}")
    if not options.emulated and "GpuDevice.RealDeviceIsThere" in skipped:
        raise Failed("test_gpu ran on the emulated device")
    return f"{len(tests) - len(skipped)} tests passed, {len(skipped)} skipped"


def train(options, device, folder, *arguments):
    out = os.path.join(folder, device)
    command = [program(options, "mnv1_qat"), *arguments, "--device", device, "--quiet", "--json", "--out", out]
    done = subprocess.run(command, env=environment(options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[1:4])} --device {device} exits with {done.returncode}: {done.stderr.strip()[:300]}")
    return json.loads(done.stdout), out


def loss_of(folder):
    with open(os.path.join(folder, "metrics.jsonl")) as file:
        lines = [json.loads(line) for line in file]
    return [line["loss"] for line in lines if line["event"] == "epoch"][-1]


def check_training(options):
    """The loss of an epoch from the same weights, in the same order; sums of another order may move it a little."""
    small = ("--scale", "0.25", "--limit-train", "16", "--limit-test", "8", "--batch-size", "8")
    whole = ("--limit-train", "2048", "--limit-test", "256", "--batch-size", "256")
    with tempfile.TemporaryDirectory() as folder:
        losses = []
        for device in ("cpu", "cuda"):
            _, out = train(options, device, folder, "pretrain", "--data", "synthetic", "--epochs", "1", "--lr", "0.01", "--seed", "1",
                           *(small if options.emulated else whole))
            losses.append(loss_of(out))
    here, there = losses
    if not abs(here - there) <= options.tolerance * max(1.0, abs(here)):
        raise Failed(f"loss after an epoch: {here:.5f} on the processor, {there:.5f} on the device, tolerance {options.tolerance:g}")
    return f"loss after an epoch: {here:.5f} on the processor, {there:.5f} on the device"


def check_rows(options, results):
    report = results.rows()
    failed = [f"{line['pass']} {line['shape']} {line['row']}: {line['error']}" for line in report["rows"]
              if "error" in line and line["row"] != "cudnn"]
    failed += [f"step {line['side']}: {line['error']}" for line in report["steps"] if "error" in line]
    if failed:
        raise Failed("; ".join(failed))
    return f"{len(report['rows'])} rows beside the processor's, {len(report['steps'])} steps"


# Measurements.

class Torch:
    """PyTorch's side: a process that obeys lines (torch_gpu.py)."""

    def __init__(self, options):
        if not options.python:
            raise NotMeasured("needs --python, an interpreter with PyTorch for CUDA")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_gpu.py")
        try:
            self.child = subprocess.Popen([options.python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise NotMeasured(f"cannot start '{options.python}': {error.strerror}") from None
        log(f"PyTorch: {self.read()['ready']}")

    def read(self):
        line = self.child.stdout.readline()
        try:
            answer = json.loads(line)
        except ValueError:
            raise NotMeasured(f"torch_gpu.py: {line.strip() or 'ended without a word'}") from None
        if "error" in answer:
            raise NotMeasured(answer["error"])
        return answer

    def ask(self, **question):
        try:
            self.child.stdin.write(json.dumps(question) + "\n")
            self.child.stdin.flush()
        except OSError:
            raise NotMeasured("torch_gpu.py has ended") from None
        return self.read()


class Results(Measurements):
    def rows(self):
        quick = ["--quick"] if self.options.emulated else ["--batch", str(self.options.batch)]
        return self.once("rows", lambda: octet_gpu(self.options, *quick))

    def timed_rows(self):
        if self.options.emulated:
            raise NotMeasured("the emulated device says nothing about time")
        return self.rows()

    def torch(self):
        return self.once("torch", lambda: Torch(self.options))

    def own_steps(self):
        """Seconds of each side, one median a round; in the first round those that were measured with the rows."""
        return self.once("own steps", lambda: [steps_of(self.timed_rows())])

    def turns(self, precision):
        """(own, PyTorch's) medians of a step, taking turns."""
        def take():
            self.timed_rows()
            torch = self.torch()
            pairs = []
            for _ in range(self.options.rounds):
                own = steps_of(octet_gpu(self.options, "--parts", "steps", "--batch", str(self.options.batch)))
                peer = torch.ask(what="step", precision=precision, batch=self.options.batch, steps=30)["seconds"]
                pairs.append((own, statistics.median(peer)))
            return pairs
        return self.once("turns " + precision, take)


def steps_of(report):
    return {line["side"]: line["seconds"]["median"] for line in report["steps"] if "seconds" in line}


def spread(values):
    return f"{min(values):.3f} to {max(values):.3f}"


def step_over_compiled(results, precision):
    pairs = [(own, peer) for own, peer in results.turns(precision) if OWN_STEP in own]
    if not pairs:
        raise NotMeasured(f"octet_gpu measured no step '{OWN_STEP}'")
    ratios = [own[OWN_STEP] / peer for own, peer in pairs]
    middle = statistics.median(own[OWN_STEP] for own, _ in pairs), statistics.median(peer for _, peer in pairs)
    graphs = [own["fp32-graph"] for own, _ in pairs if "fp32-graph" in own]
    remark = f"; own, recorded as a graph {1e3 * statistics.median(graphs):.3f} ms" if graphs else ""
    return statistics.median(ratios), f"{spread(ratios)}; {1e3 * middle[0]:.3f} / {1e3 * middle[1]:.3f} ms{remark}"


def bf16_step(results):
    steps = results.own_steps()[0]
    if "bf16-graph" not in steps or OWN_STEP not in steps:
        raise NotMeasured("octet_gpu measured no such step")
    return 1e3 * steps["bf16-graph"], f"{steps['bf16-graph'] / steps[OWN_STEP]:.2f} of own fp32 step"


def qat_over_fp32(results):
    steps = results.own_steps()[0]
    if OWN_QAT_STEP not in steps or OWN_STEP not in steps:
        raise NotMeasured("octet_gpu measured no such step")
    return steps[OWN_QAT_STEP] / steps[OWN_STEP], f"{1e3 * steps[OWN_QAT_STEP]:.3f} / {1e3 * steps[OWN_STEP]:.3f} ms"


def fake_quant_share(results, name):
    report = results.timed_rows()
    copy = report["copy"]["gbytes_per_second"]
    for line in report["rows"]:
        if line["pass"] == name and line["shape"] == "large" and "seconds" in line:
            return line["gbytes_per_second"] / copy, f"{line['gbytes_per_second']:.0f} of {copy:.0f} GB/s"
    raise NotMeasured(f"octet_gpu measured no {name}")


def depthwise(results, name):
    """Time over all depthwise layers of the net, against cuDNN called by PyTorch (channels_last)."""
    rows = [line for line in results.timed_rows()["rows"] if line["pass"] == name and "seconds" in line]
    if not rows:
        raise NotMeasured(f"octet_gpu measured no {name}")
    torch = results.torch()
    own = peer = 0
    worst = (0, "")
    for line in rows:
        there = torch.ask(what="depthwise", **{"pass": name}, geometry=line["geometry"])
        seconds = statistics.median(there["seconds"])
        own, peer = own + line["times"] * line["seconds"]["median"], peer + line["times"] * seconds
        worst = max(worst, (line["seconds"]["median"] / seconds, line["shape"]))
    return own / peer, f"{1e6 * own:.1f} / {1e6 * peer:.1f} us, sum of the net's layers; worst {worst[1]} {worst[0]:.2f}"


def recipe(results):
    options = results.options
    results.timed_rows()
    if not options.recipe:
        raise NotMeasured("asked for with --recipe")
    with tempfile.TemporaryDirectory() as folder:
        summary, _ = train(options, "cuda", folder, "run", "--data", data_of(options), "--limit-test", str(FEW_TEST_PICTURES))
    training = summary["pretrain_seconds"] + summary["qat_seconds"]
    return training, f"pre-training {summary['pretrain_seconds']:.2f} s, fine-tuning {summary['qat_seconds']:.2f} s, one run"


def accuracy(results):
    """The larger difference of the means over seeds: of top-1 in floats and after QAT, in points."""
    options = results.options
    results.timed_rows()
    if not options.accuracy:
        raise NotMeasured("asked for with --accuracy; the processor's part takes minutes")
    means = {}
    for device in ("cpu", "cuda"):
        summaries = []
        for seed in SEEDS:
            log(f"accuracy: {device}, seed {seed}")
            with tempfile.TemporaryDirectory() as folder:
                summaries.append(train(options, device, folder, "run", "--data", data_of(options), "--seed", str(seed))[0])
        means[device] = [100 * statistics.mean(s[key] for s in summaries) for key in ("fp32_top1", "qat_top1")]
    differences = [abs(a - b) for a, b in zip(means["cpu"], means["cuda"])]
    return max(differences), (f"fp32 {means['cuda'][0]:.2f} / {means['cpu'][0]:.2f} %, QAT {means['cuda'][1]:.2f} / {means['cpu'][1]:.2f} %, "
                              f"device / processor, mean of seeds {', '.join(map(str, SEEDS))}")


def absent(reason):
    def take(_):
        raise NotMeasured(reason)
    return take


def bars(options):
    b = options.batch
    return [
        Bar(f"fp32 step, batch {b} / torch.compile with CUDA graphs, fp32", 0.8, 0.4, lambda r: step_over_compiled(r, "fp32")),
        Bar(f"fp32 step, batch {b} / torch.compile with CUDA graphs, TF32", 0.8, 0.4, lambda r: step_over_compiled(r, "tf32")),
        Bar(f"bf16 step, batch {b}", 0.8, 0.3, bf16_step, "ms"),
        Bar("recipe, 5 + 2 epochs after start-up", 3, 1, recipe, "s"),
        Bar("QAT step / own fp32 step", 1.15, 1.0, qat_over_fp32),
        Bar("fake_quant forward, of a copy's bandwidth", 0.85, 0.95, lambda r: fake_quant_share(r, "fake_quant_fwd"), "%", True),
        Bar("fake_quant backward, of a copy's bandwidth", 0.85, 0.95, lambda r: fake_quant_share(r, "fake_quant_bwd"), "%", True),
        Bar("depthwise forward / cuDNN by PyTorch", 0.8, 0.4, lambda r: depthwise(r, "dwconv2d_fwd")),
        Bar("depthwise dX / cuDNN by PyTorch", 0.8, 0.4, lambda r: depthwise(r, "dwconv2d_bwd_data")),
        Bar("depthwise dW / cuDNN by PyTorch", 0.8, 0.4, lambda r: depthwise(r, "dwconv2d_bwd_weight")),
        Bar("int8 engine, batch 4096 / own bf16 inference", 0.75, 0.55, absent("not built yet: there is no bf16 inference on the device")),
        Bar("accuracy, device against processor", 1, 1, accuracy, "points"),
    ]


def parse():
    here = os.path.dirname(os.path.abspath(__file__))
    release = os.path.join(os.path.dirname(os.path.dirname(here)), "build", "release", "bin")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=release, metavar="DIR", help="where test_gpu, octet_gpu and mnv1_qat are (%(default)s)")
    parser.add_argument("--python", metavar="PY", help="an interpreter with PyTorch for CUDA")
    parser.add_argument("--data", metavar="DIR", help="CIFAR-10's binary files, for --recipe and --accuracy")
    parser.add_argument("--recipe", action="store_true", help="time the whole recipe")
    parser.add_argument("--accuracy", action="store_true", help="three seeds on both: minutes")
    parser.add_argument("--emulated", action="store_true", help="a dry run on the emulated device: checks only, no bar is measured")
    parser.add_argument("--no-tests", action="store_true", help="leave test_gpu out")
    parser.add_argument("--rounds", type=int, default=5, help="turns of the steps (%(default)s)")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--tolerance", type=float, default=0.02, help="of the loss after an epoch (%(default)s)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only bars whose question contains this")
    parser.add_argument("-o", "--output", choices=("table", "md", "json"), default="table")
    options = parser.parse_args()
    options.bin = os.path.abspath(options.bin)
    return options


def main():
    options = parse()
    chosen = [bar for bar in bars(options) if options.only.lower() in bar.question.lower()]
    if not chosen:
        sys.exit(f"gpu_bars.py: no bar's question contains '{options.only}'")
    results = Results(options)
    checks = [("device", check_device), ("tests", check_tests), ("training", check_training), ("rows", lambda o: check_rows(o, results))]
    for name, check in checks:
        if name == "tests" and options.no_tests:
            continue
        try:
            log(f"{name}: {check(options)}")
        except (Failed, NotMeasured) as reason:
            sys.exit(f"gpu_bars.py: {name} FAILED: {reason}")
    lines = []
    for bar in chosen:
        try:
            lines.append(bar.line(results))
        except Failed as reason:
            sys.exit(f"gpu_bars.py: {bar.question}: {reason}")
        log(f"{bar.question}: {lines[-1]['measured']}")
    show(lines, options.output)
    return 1 if any(line["verdict"] == "MISSED" for line in lines) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
