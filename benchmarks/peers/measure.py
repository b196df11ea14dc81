"""What bars.py measures: octet_bench and mnv1_qat are run, and one bar's value with its spread is taken from each."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

PICTURES, TEST_PICTURES, EPOCHS = 50000, 10000, 5 + 2


class NotMeasured(Exception):
    """Why a bar has no value."""


def log(text):
    print(f"bars.py: {text}", file=sys.stderr, flush=True)


def program(options, name):
    path = os.path.join(options.bin, name)
    if not os.access(path, os.X_OK):
        raise NotMeasured(f"there is no {path}: build it, or name its folder with --bin")
    return path


def bench(options, *arguments):
    """The JSON report of an octet_bench run. A side that could not run leaves the rest valid."""
    command = [program(options, "octet_bench"), "-o", "json", "--threads", str(options.threads), *arguments]
    command += ["--quick"] if options.quick else ["--batch", str(options.batch)]
    log(" ".join(arguments))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise NotMeasured(f"octet_bench exits with {done.returncode} and no report") from None


def side(report, name):
    for line in report["steps"]:
        if line["side"] == name:
            if "error" in line:
                raise NotMeasured(line["error"])
            return line
    raise NotMeasured(f"no side {name}")


def ratio(report, above, below):
    """Of two steps: median over rounds of the ratio within a round."""
    a, b = side(report, above), side(report, below)
    figures, key = report["figures"], f"{above}/{below}"
    times = f"{1e3 * a['seconds']:.0f} / {1e3 * b['seconds']:.0f} ms"
    return figures[key], f"{figures[key + ' low']:.3f} to {figures[key + ' high']:.3f}; {times}"


def pointwise(report, key, passes):
    """The worst of the passes: its mean, or its lowest shape."""
    found = {share["pass"]: share for share in report["pointwise_shares"] if share["dtypes"] == "f32"}
    wanted = [found[name] for name in passes if name in found]
    if len(wanted) < len(passes) or any(share["shapes"] < share["of"] for share in wanted):
        raise NotMeasured("not every pass and shape was measured")
    worst = min(wanted, key=lambda share: share[key])
    named = ", ".join(f"{s['pass']} {100 * s[key]:.1f} %" + (f" ({s['lowest_shape']})" if key == "lowest" else "") for s in wanted)
    fused = ", ".join(f"{name} {100 * found[name][key]:.1f} %" for name in ("conv2d_bn_fwd", "conv2d_bn_bwd") if name in found)
    return worst[key], named + (f"; fused: {fused}" if fused else "")


def depthwise(network, step):
    seconds = sum(line["seconds"] for line in network["network"]
                  if line["pass"] == "sum" and line["kind"] == "depthwise" and line["section"] in ("forward", "backward"))
    whole = side(step, "fp32")["seconds"]
    return seconds / whole, f"{1e3 * seconds:.1f} of {1e3 * whole:.0f} ms; {100 * network['figures']['depthwise_share']:.1f} % of the kernels"


def memory(report):
    own, peer = side(report, "fp32")["peak_rss_bytes"], side(report, "eager")["peak_rss_bytes"]
    return own / peer, f"{own / 1e6:.0f} / {peer / 1e6:.0f} MB resident"


def loading(report):
    seconds = report["figures"].get("batch with crop and flip")
    if seconds is None:
        raise NotMeasured("no batch was loaded")
    return report["figures"]["data share"], f"{1e3 * seconds:.2f} ms a batch on one thread"


def data_of(options):
    if not options.data:
        raise NotMeasured("needs --data, CIFAR-10's binary files")
    return options.data


def start_to_first_step(options, runs=7):
    """Until mnv1_qat begins to write the checkpoint of step 1, all pictures loaded. The first run only warms the page cache."""
    command = [program(options, "mnv1_qat"), "pretrain", "--data", data_of(options), "--epochs", "1", "--checkpoint-every", "1",
               "--threads", str(options.threads), "--batch-size", str(options.batch), "--quiet"]
    times = []
    for i in range(runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            times.append(seconds_to_checkpoint([*command, "--out", os.path.join(folder, "run")], os.path.join(folder, "run")))
    times = times[1:]
    return statistics.median(times), f"{min(times):.3f} to {max(times):.3f} s in {runs} runs"


def seconds_to_checkpoint(command, folder, patience=60):
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while time.perf_counter() - start < patience:
            if os.path.isdir(folder) and any("checkpoint" in name for name in os.listdir(folder)):
                return time.perf_counter() - start
            if child.poll() is not None:
                raise NotMeasured(f"mnv1_qat exits with {child.returncode}: {child.stderr.read().strip()[:200]}")
            time.sleep(0.0005)
        raise NotMeasured(f"mnv1_qat did no step in {patience} s")
    finally:
        child.kill()
        child.communicate()


def recipe(options, report):
    """Wall time of the tutorial, against steps and evaluations at the machine's peaks."""
    if not options.recipe:
        raise NotMeasured("asked for with --recipe, takes minutes")
    if "floor" not in report["figures"]:
        raise NotMeasured("the floor is known for the whole net only")
    steps = EPOCHS * PICTURES / options.batch
    evaluations = 2 * TEST_PICTURES / options.batch  # fp32 and QAT; what integers need at least is not counted
    floor = steps * report["figures"]["floor"] + evaluations * report["figures"]["forward floor"]
    with tempfile.TemporaryDirectory() as folder:
        command = [program(options, "mnv1_qat"), "run", "--data", data_of(options), "--out", os.path.join(folder, "run"),
                   "--threads", str(options.threads), "--batch-size", str(options.batch), "--json"]
        log("the recipe: " + " ".join(command[1:2]))
        start = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise NotMeasured(f"mnv1_qat exits with {done.returncode}")
    summary = json.loads(done.stdout)
    return seconds / floor, f"{seconds:.0f} s / {floor:.0f} s, one run; int8 top-1 {100 * summary['int8_top1']:.2f} %"
