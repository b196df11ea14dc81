"""Measures Octet beside PyTorch and prints a table, bar by bar. README.md says how to get a Python for it."""
import argparse
import json
import os
import sys

import measure
from measure import NotMeasured, log

STEP_SIDES = "fp32,qat,fp32-avx2,bf16,eager,compile,fx-qat"


class Bar:
    """A line of the table. `bar` and `goal` are limits: upper ones, lower ones where `more` is better."""

    def __init__(self, question, bar, goal, take, unit="", more=False):
        self.question, self.bar, self.goal, self.take, self.unit, self.more = question, bar, goal, take, unit, more

    def limit(self, value):
        scale = 100 if self.unit == "%" else 1
        return f"{'≥' if self.more else '≤'} {value * scale:g}{' ' + self.unit if self.unit else ''}"

    def number(self, value):
        if self.unit == "%":
            return f"{100 * value:.1f} %" if value >= 0.1 else f"{100 * value:.2f} %"
        return f"{value:.3f}{' ' + self.unit if self.unit else ''}"

    def verdict(self, value):
        reached = (lambda limit: value >= limit) if self.more else (lambda limit: value <= limit)
        return "goal" if reached(self.goal) else "bar" if reached(self.bar) else "MISSED"

    def line(self, results):
        line = {"question": self.question, "bar": self.limit(self.bar), "goal": self.limit(self.goal),
                "measured": "not measured", "spread": "", "verdict": "-"}
        try:
            value, spread = self.take(results)
        except NotMeasured as reason:
            line["spread"] = str(reason)
            return line
        line.update(value=value, measured=self.number(value), spread=spread, verdict=self.verdict(value))
        return line


def bars():
    step = lambda above, below: lambda results: measure.ratio(results.step(), above, below)
    share = lambda key, *passes: lambda results: measure.pointwise(results.convolutions(), key, passes)
    both = ("conv2d_fwd", "conv2d_bwd_data")
    return [
        Bar("fp32 step / torch.compile's", 0.60, 0.40, step("fp32", "compile")),
        Bar("fp32 step / PyTorch eager, channels_last", 0.40, 0.25, step("fp32", "eager")),
        Bar("QAT step / own fp32 step", 1.10, 0.95, step("qat", "fp32")),
        Bar("QAT step / torch.ao FX QAT step", 0.25, 0.15, step("qat", "fx-qat")),
        Bar("whole recipe, wall time / floor", 2.5, 1.7, lambda results: results.recipe()),
        Bar("1x1 conv forward and dX, share of FMA, mean", 0.75, 0.88, share("geomean", *both), "%", True),
        Bar("1x1 conv forward and dX, lowest shape", 0.55, 0.70, share("lowest", *both), "%", True),
        Bar("1x1 conv dW, share of FMA, mean", 0.60, 0.80, share("geomean", "conv2d_bwd_weight"), "%", True),
        Bar("1x1 conv dW, lowest shape", 0.40, 0.60, share("lowest", "conv2d_bwd_weight"), "%", True),
        Bar("depthwise forward + backward, share of the step", 0.15, 0.08, lambda results: results.depthwise(), "%"),
        Bar("OCTET_ISA=avx2: step / PyTorch eager", 0.8, 0.5, step("fp32-avx2", "eager")),
        Bar("peak memory / PyTorch eager's", 0.5, 0.3, lambda results: measure.memory(results.step())),
        Bar("loading with crop-flip, share of the step", 0.02, 0.005, lambda results: measure.loading(results.step()), "%"),
        Bar("program start to first step done", 0.7, 0.3, lambda results: results.start(), "s"),
        Bar("bf16 step / own fp32 step", 0.85, 0.65, step("bf16", "fp32")),
    ]


class Measurements:
    """Each is taken once, when the first bar asks for it; what failed stays failed."""

    def __init__(self, options):
        self.options, self.taken = options, {}

    def once(self, name, take):
        if name not in self.taken:
            try:
                self.taken[name] = take()
            except NotMeasured as reason:
                self.taken[name] = reason
        if isinstance(self.taken[name], NotMeasured):
            raise self.taken[name]
        return self.taken[name]


class Results(Measurements):
    def step(self):
        o = self.options
        return self.once("step", lambda: measure.bench(o, "--step", "--sides", STEP_SIDES, "--python", o.python, "--rounds",
                                                       str(o.rounds), "--steps", str(o.steps)))

    def convolutions(self):
        batch = 2 if self.options.quick else self.options.batch
        return self.once("convolutions", lambda: measure.bench(
            self.options, "--chosen", "--filter", f"^conv2d(_bn)?/[^/]*/pw[0-9-]*/b{batch}/f32/"))

    def network(self):
        return self.once("network", lambda: measure.bench(self.options, "--network", "--parts", "fp32"))

    def depthwise(self):
        return measure.depthwise(self.network(), self.step())

    def start(self):
        return self.once("start", lambda: measure.start_to_first_step(self.options))

    def recipe(self):
        return self.once("recipe", lambda: measure.recipe(self.options, self.step()))


def parse():
    here = os.path.dirname(os.path.abspath(__file__))
    release = os.path.join(os.path.dirname(os.path.dirname(here)), "build", "release", "bin")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=release, metavar="DIR", help="where octet_bench and mnv1_qat are (%(default)s)")
    parser.add_argument("--python", default=sys.executable, metavar="PY", help="an interpreter with PyTorch (this one)")
    parser.add_argument("--data", metavar="DIR", help="CIFAR-10's binary files, for the recipe and the start")
    parser.add_argument("--recipe", action="store_true", help="run the whole recipe too: minutes")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each side (%(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps in a turn (%(default)s)")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", metavar="TEXT", default="", help="only bars whose question contains this")
    parser.add_argument("--quick", action="store_true", help="shows that all works; its figures mean nothing")
    parser.add_argument("-o", "--output", choices=("table", "md", "json"), default="table")
    return parser.parse_args()


def show(lines, form):
    columns = ("question", "bar", "goal", "measured", "verdict", "spread")
    if form == "json":
        print(json.dumps(lines, indent=2))
    elif form == "md":
        print("| " + " | ".join(columns) + " |\n|---|--:|--:|--:|---|---|")
        for line in lines:
            print("| " + " | ".join(line[c] for c in columns) + " |")
    else:
        widths = [max(len(c), *(len(line[c]) for line in lines)) for c in columns]
        for line in [dict(zip(columns, columns))] + lines:
            print("  ".join(line[c].ljust(width) for c, width in zip(columns, widths)).rstrip())


def main():
    options = parse()
    chosen = [bar for bar in bars() if options.only.lower() in bar.question.lower()]
    if not chosen:
        sys.exit(f"bars.py: no bar's question contains '{options.only}'")
    results = Results(options)
    lines = []
    for bar in chosen:
        lines.append(bar.line(results))
        log(f"{bar.question}: {lines[-1]['measured']}")
    show(lines, options.output)
    return 1 if any(line["verdict"] == "MISSED" for line in lines) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
