"""Draws ten simulated pulsars and ten other candidates: pulse profiles and DM-SNR curves.

    pip install numpy==2.4.6 matplotlib==3.11.2
    emma data simulate --rows 2000 --seed 3 --out survey.csv --curves curves.csv
    python docs/checks/survey_figure.py curves.csv survey.truth.csv docs/figures/survey.png
"""

import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

BLUE, ORANGE = "#0072B2", "#D55E00"  # told apart by people who are color-blind
ORDER = ["broadband_interference", "narrowband_interference", "periodic_interference", "noise"]


def choose(truth):
    """The first ten pulsars, and ten others: kinds in turn, as far as there are any."""
    pulsars = [int(t["row"]) for t in truth if t["kind"] == "pulsar"][:10]
    by_kind = [[int(t["row"]) for t in truth if t["kind"] == kind] for kind in ORDER]
    others = [row for turn in zip(*(rows[:10] for rows in by_kind)) for row in turn][:10]
    return pulsars, others


def main(curves_path, truth_path, figure_path):
    with open(truth_path) as file:
        truth = list(csv.DictReader(file))
    curves = np.loadtxt(curves_path, delimiter=",", skiprows=1, dtype=int)[:, 1:]
    figure, axes = plt.subplots(10, 4, figsize=(11, 15), sharey=True)
    for group, (rows, color) in enumerate(zip(choose(truth), (BLUE, ORANGE))):
        for line, row in enumerate(rows):
            left, right = axes[line, 2 * group : 2 * group + 2]
            left.plot(np.arange(128) / 128, curves[row, :128], color=color, linewidth=0.8)
            right.plot(np.arange(1196), curves[row, 128:], color=color, linewidth=0.6)
            kind = truth[row]["kind"].replace("_", " ")
            period = float(truth[row]["period_s"])
            period = f"{period:.3g} s" if period >= 1 else f"{1000 * period:.3g} ms"
            measure = float(truth[row]["dispersion_measure"])
            left.set_title(f"{kind}, {period}", fontsize=8, loc="left")
            right.set_title(f"DM {measure:.3g} pc cm$^{{-3}}$", fontsize=8, loc="left")
            for axis in (left, right):
                axis.tick_params(labelsize=7)
                axis.spines[["top", "right"]].set_visible(False)
    for group in (0, 2):
        axes[-1, group].set_xlabel("phase (turns)", fontsize=8)
        axes[-1, group + 1].set_xlabel("trial of dispersion measure", fontsize=8)
        axes[5, 0].set_ylabel("stored value (0 to 255)", fontsize=8)
    figure.suptitle("Simulated candidates: ten pulsars (left), ten others (right)", fontsize=11)
    figure.tight_layout(rect=(0, 0, 1, 0.985), h_pad=0.3)
    figure.savefig(figure_path, dpi=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
