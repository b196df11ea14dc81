"""PyTorch's side of gpu_bars.py. Says {"ready": ...}, then answers a JSON object a line until stdin ends:

    {"what": "step", "precision": "fp32" | "tf32", "batch": 256, "steps": 30}     {"seconds": [...]}
    {"what": "depthwise", "pass": "dwconv2d_fwd" …, "geometry": {…}}              {"seconds": [...]}, of one call

Steps: MobileNetV1, channels_last, torch.compile(mode="reduce-overhead"), which records CUDA graphs; loss read in each. Depthwise:
what PyTorch calls cuDNN for, recorded as a CUDA graph of many calls.
"""
import json
import math
import os
import sys
import time
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers"))
try:
    import torch
    from mobilenet_v1 import MobileNetV1, pictures
except ImportError as missing:
    print(json.dumps({"error": f"no PyTorch: {missing}"}), flush=True)
    sys.exit(1)

ROUNDS, ROUND_SECONDS, MOST_CALLS = 9, 0.01, 500
steps = {}


def set_precision(name):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"


def make_step(batch):
    torch.manual_seed(1)
    net = MobileNetV1().train().cuda().to(memory_format=torch.channels_last)
    x, labels = pictures(batch)
    x, labels = x.cuda().to(memory_format=torch.channels_last), labels.cuda()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)
    compiled = torch.compile(lambda images, wanted: torch.nn.functional.cross_entropy(net(images), wanted), mode="reduce-overhead")

    def step():
        torch.compiler.cudagraph_mark_step_begin()
        loss = compiled(x, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def time_steps(precision, batch, count):
    set_precision(precision)
    key = precision, batch
    if key not in steps:
        torch._dynamo.reset()  # graphs of another precision
        steps[key] = make_step(batch)
        for _ in range(10):
            steps[key]()
    step, seconds = steps[key], []
    step()
    for _ in range(count):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds


def depthwise_call(name, g):
    make = lambda n, h, w: torch.randn(n, g["c"], h, w, device="cuda").to(memory_format=torch.channels_last)
    out = [(g[side] + 2 * pad - window) // stride + 1
           for side, pad, window, stride in zip("hw", g["pad"], (g["r"], g["s"]), g["stride"])]
    x, d = make(g["n"], g["h"], g["w"]), make(g["n"], *out)
    weight = torch.randn(g["c"], 1, g["r"], g["s"], device="cuda").to(memory_format=torch.channels_last)
    if name == "dwconv2d_fwd":
        return lambda: torch.nn.functional.conv2d(x, weight, None, g["stride"], g["pad"], 1, g["c"])
    mask = [name == "dwconv2d_bwd_data", name == "dwconv2d_bwd_weight", False]
    return lambda: torch.ops.aten.convolution_backward(d, x, weight, None, g["stride"], g["pad"], [1, 1], False, [0, 0], g["c"], mask)


def recorded(call, count):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(count):
            call()
    return graph


def seconds_of(graph):
    torch.cuda.synchronize()
    start = time.perf_counter()
    graph.replay()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def time_depthwise(name, geometry):
    set_precision("fp32")
    call = depthwise_call(name, geometry)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):  # chooses its algorithm, as recording wants it
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = recorded(call, 1)
    seconds_of(graph)
    calls = max(1, min(MOST_CALLS, math.ceil(ROUND_SECONDS / max(seconds_of(graph), 1e-7))))
    graph = recorded(call, calls)
    seconds_of(graph)
    return [seconds_of(graph) / calls for _ in range(ROUNDS)]


def answer(question):
    with torch.enable_grad() if question["what"] == "step" else torch.no_grad():
        if question["what"] == "step":
            return time_steps(question["precision"], question["batch"], question["steps"])
        return time_depthwise(question["pass"], question["geometry"])


def say(**what):
    print(json.dumps(what), flush=True)


def main():
    warnings.filterwarnings("ignore")
    if not torch.cuda.is_available():
        return say(error=f"torch {torch.__version__} sees no CUDA device")
    torch.backends.cudnn.benchmark = True
    say(ready=f"torch {torch.__version__}, {torch.cuda.get_device_name(0)}, cuDNN {torch.backends.cudnn.version()}")
    for line in sys.stdin:
        try:
            say(seconds=answer(json.loads(line)))
        except Exception as error:
            say(error=f"{type(error).__name__}: {error}".replace("\n", " ")[:500])


if __name__ == "__main__":
    main()
