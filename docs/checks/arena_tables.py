"""The tables of docs/arena.md from an arena's results, as Markdown.

    python docs/checks/arena_tables.py results/arena/results.json
"""

import json
import sys

# Columns of single conditions: heading and condition.
OF_TWO_MODES = {
    "clean": "uncorrupted",
    "`ip` .5": "ip:noise:0.5",
    "`dm` .5": "dm:noise:0.5",
    "`ip` noise 4": "ip:noise:4",
    "`ip` missing": "ip:missing",
}
OF_FOUR_MODES = {
    "clean": "uncorrupted",
    "`subbands` noise 4": "subbands:noise:4",
    "all noise 1": "both:noise:1",
    "all noise 4": "both:noise:4",
    "`profile` missing": "profile:missing",
}
MEAN = "mean_over_conditions"


def interval(figure, sign=""):
    return f"{figure['mean']:{sign}.3f} ± {figure['ci95']:.3f}"


def rows_of(regime):
    """Name, learner and gain over it, the best mean first."""
    gains = {gain["over"]: gain["gain"] for gain in regime["gains"]}
    found = [(f"`{name}`", own, gains.get(name)) for name, own in regime["learners"].items()]
    scripted = regime.get("from_script") or {"learners": {}, "gains": []}
    gains = {gain["over"]: gain["gain"] for gain in scripted["gains"]}
    found += [(f"`{name}` †", own, gains.get(name)) for name, own in scripted["learners"].items()]
    return sorted(found, key=lambda row: -row[1]["f1"][MEAN]["mean"])


def table(regime, has_oracle, single):
    headings = ["learner", "mean F1", *(["of oracle"] if has_oracle else []), "mean rank", *single]
    headings += ["parameters", "EMMA+ less it"]
    yield headings
    yield ["---"] * len(headings)
    for name, own, gain in rows_of(regime):
        line = [name, interval(own["f1"][MEAN])]
        if has_oracle:
            line.append(interval(own["of_oracle"]))
        line.append(f"{own['mean_rank']:.2f}" if "mean_rank" in own else "")
        line += [f"{own['f1'][condition]['mean']:.3f}" for condition in single.values()]
        line.append(f"{own['n_parameters']:,}" if "n_parameters" in own else "")
        line.append(interval(gain, "+") if gain else "")
        yield line


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)
    is_pair = len(results["settings"]["data"]["modes"]) == 2
    single = OF_TWO_MODES if is_pair else OF_FOUR_MODES
    for name in ["narrow", "broad"]:
        if name not in results["regimes"]:
            continue
        print(f"**{name.capitalize()} training**\n")
        for line in table(results["regimes"][name], bool(results.get("oracle")), single):
            print("| " + " | ".join(line) + " |")
        print()


if __name__ == "__main__":
    main()
