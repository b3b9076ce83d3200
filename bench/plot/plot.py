"""Draws what bench/growth.py has measured, which comes as JSON on standard input: plot.py FILE.svg"""
import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "synod"  # the same figures give the same bytes
import matplotlib.pyplot as plt  # noqa: E402


def main():
    said = json.load(sys.stdin)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for side, points in said["found"].items():
        for place, axis in enumerate(axes):
            axis.plot(said["values"], [point[place] for point in points], marker="o", label=side.removeprefix("build/bin/"))
    for axis, title in zip(axes, ["requests/s", "server CPU, us a request"]):
        wide = said["values"][-1] / said["values"][0] > 10
        axis.set(title=title, xlabel=said["grows"], xscale="log" if wide else "linear", yscale="log")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
