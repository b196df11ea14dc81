"""PyTorch's side of `octet_bench --step`: trains MobileNetV1 a few steps whenever a line on stdin asks for it.

    torch_step.py eager|compile|fx-qat [--batch 256] [--scale 1] [--threads 2]

Says {"ready": ...}, then obeys "run N": one step to get warm, N timed, answered by {"seconds": [...],
"minor_faults": per step, "peak_rss_bytes": so far}. Ends with its stdin. One JSON object a line, as
benchmarks/step_worker.h has it.
"""
import argparse
import json
import logging
import resource
import sys
import time
import warnings


def parse():
    parser = argparse.ArgumentParser(description="One side of octet_bench --step, in PyTorch.")
    parser.add_argument("side", choices=("eager", "compile", "fx-qat"))
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def make_step(side, batch, scale):
    import torch
    from mobilenet_v1 import MobileNetV1, pictures
    torch.manual_seed(1)
    net = MobileNetV1(scale=scale).train()
    x, labels = pictures(batch)
    if side == "fx-qat":
        from torch.ao.quantization import get_default_qat_qconfig_mapping, quantize_fx
        # Batch norm fused into the convolutions, per-channel weights, as users of the x86 backend get it.
        net = quantize_fx.prepare_qat_fx(net, get_default_qat_qconfig_mapping("x86"), (x[:2],))
    else:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    run = torch.compile(net) if side == "compile" else net

    def step():
        loss = torch.nn.functional.cross_entropy(run(x), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def minor_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak_rss_bytes():
    """Not ru_maxrss: exec() hands the parent's on."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def run(step, count):
    step()
    seconds, before = [], minor_faults()
    for _ in range(count):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "minor_faults": (minor_faults() - before) / count, "peak_rss_bytes": peak_rss_bytes()}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    options = parse()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)  # what it says about GPUs
    import torch
    torch.set_num_threads(options.threads)
    step = make_step(options.side, options.batch, options.scale)
    step()  # torch.compile works here
    say({"ready": f"torch {torch.__version__}"})
    for line in sys.stdin:
        word, _, count = line.strip().partition(" ")
        if word != "run" or not count.isdigit() or not 1 <= int(count) <= 1000:
            sys.exit(f"torch_step.py: '{line.strip()}' is no command: run N, with N from 1 to 1000")
        say(run(step, int(count)))


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)  # octet_bench reports the last line
        sys.exit(1)
