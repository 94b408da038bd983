"""The tables of docs/experiment3.md, from a results folder of `emma experiment3`.

    python docs/checks/experiment3_summary.py results/experiment3

Needs Python's standard library alone. Prints Markdown: F1 by condition and model, the mean over seeds, with the
oracle envelope and how `with` differs from `without`; and for a grid of several combinations, validation F1 by each
hyper-parameter and what the seeds chose.
"""

import json
import sys

MODELS = ["ip_only", "dm_only", "base", "without", "alternative", "with"]
MEAN = "mean_over_conditions"


def short(value, signed=False):
    """Three digits without the zero before the point."""
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.replace("0.", ".", 1)


def with_interval(figure, signed=False):
    return f"{short(figure['mean'], signed)} ± {short(figure['ci95'])}"


def row(cells):
    print("| " + " | ".join(cells) + " |")


def head(cells):
    row(cells)
    row(["---"] * len(cells))


def conditions(results):
    pairs = results["paired_differences"]
    pair = next(p for p in pairs if (p["model"], p["baseline"]) == ("with", "without"))
    models = {name: results["models"][name] for name in MODELS}
    oracle = (results["oracle"] or {}).get("f1", {})
    head(["condition", "oracle", *(f"`{name}`" for name in MODELS), "`with` less `without`"])
    for condition in results["conditions"]:
        star = "*" if pair["tests"]["f1"][condition]["p_holm"] < 0.05 else ""
        known = short(oracle[condition]["mean"]) if condition in oracle else ""
        scores = [short(model["f1"][condition]["mean"]) for model in models.values()]
        difference = with_interval(pair["f1"][condition], signed=True) + star
        row([f"`{condition}`", known, *scores, difference])
    means = [with_interval(model["mean_over_conditions"]["f1"]) for model in models.values()]
    difference = with_interval(pair["mean_over_conditions"]["f1"], signed=True)
    known = with_interval(oracle[MEAN]) if MEAN in oracle else ""
    row(["**mean**", known, *means, difference])
    if known:
        shares = [with_interval(model["of_oracle"][MEAN]) for model in models.values()]
        row(["**of oracle**", "1", *shares, ""])


def grid(results):
    candidates = results["models"]["with"]["grid"]
    seeds = results["seeds"]
    print("\nValidation F1 (mean over seeds and over the other two hyper-parameters; seeds that chose the value):\n")
    head(["", *("value | F1 | seeds".split(" | "))])
    for name in ["coldness", "lambda_c", "lambda_e"]:
        for value in sorted({candidate[name] for candidate in candidates}):
            some = [c for c in candidates if c[name] == value]
            mean = sum(c["validation_f1"]["mean"] for c in some) / len(some)
            chosen = sum(len(c["chosen_by"]) for c in some)
            row([name, f"{value:g}", short(mean), f"{chosen} of {len(seeds)}"])


if __name__ == "__main__":
    with open(f"{sys.argv[1]}/results.json", encoding="utf-8") as file:
        found = json.load(file)
    conditions(found)
    if len(found["models"]["with"]["grid"]) > 1:
        grid(found)
