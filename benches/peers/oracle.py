"""The oracle envelope of experiment 3: for each fault, the best of two strong models trained on it.

    pip install numpy==2.4.6 scikit-learn==1.9.1 lightgbm==4.7.0
    python benches/peers/oracle.py results/experiment3 data/htru2/HTRU_2.csv \
        crates/emma-cli/oracle/htru2.json --seeds 0-9

Reads the splits of a results folder of `emma experiment3` (`models/seed<S>/split.json`) and nothing
else of it. For each seed and each of the 32 conditions, an MLP 64-64 and a LightGBM model learn from
training rows that all have exactly that fault, are stopped and get their threshold on validation rows
with that fault, and the one of the higher validation F1 is scored on test rows with it. No model
that must serve all conditions at once can be expected to do better, which is what makes it a measure.

Faults are those of docs/experiment3.md, drawn here with NumPy's generator: other draws than those
of `emma`, of the same distributions. Where a fault is random, the MLP sees fresh draws each epoch,
LightGBM and the validation rows have 4 draws together, and the test F1 is the mean over 4 draws.

Seeds that the file has are kept if their splits are the same; the file is written after each seed.
"""

import argparse
import copy
import hashlib
import json
import os
import sys
import warnings
import zlib

import lightgbm
import numpy as np
import sklearn
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

MODES = {"ip": slice(0, 4), "dm": slice(4, 8)}
LEVELS = ("0.25", "0.5", "1", "1.5", "2", "3", "4")
FAULTS = ("missing", "offset:2", "drop:0.5", "student_t:0.5", "swap")
CONDITIONS = (
    ["uncorrupted"]
    + [f"{where}:noise:{level}" for where in ("ip", "dm", "both") for level in LEVELS]
    + [f"{mode}:{fault}" for mode in MODES for fault in FAULTS]
)
DRAWS = 4
EPOCHS = 40
TREES = 600
PATIENCE = 40


def is_random(condition):
    return condition != "uncorrupted" and condition.split(":")[1] not in ("missing", "offset")


def corrupted(z, condition, rng, absent=0):
    """A copy of standardized rows in which every row has the fault; `absent` stands for what is missing."""
    z = z.copy()
    if condition == "uncorrupted":
        return z
    where, kind, *level = condition.split(":")
    level = float(level[0]) if level else None
    for mode in MODES if where == "both" else (where,):
        cells = z[:, MODES[mode]]  # a view
        if kind == "noise":
            cells += level * rng.normal(size=cells.shape)
        elif kind == "student_t":
            cells += level * rng.standard_t(2, size=cells.shape)
        elif kind == "offset":
            cells += level
        elif kind == "drop":
            cells[rng.random(cells.shape) < level] = absent
        elif kind == "missing":
            cells[:] = absent
        elif kind == "swap":
            order = rng.permutation(len(cells))  # one cycle through all rows: none keeps its own
            source = np.empty(len(cells), int)
            source[order] = np.roll(order, 1)
            cells[:] = cells[source]
        else:
            sys.exit(f"unknown condition {condition}")
    return z


def draws(z, condition, rng, absent=0):
    """Several draws of a random fault; one of a fault that draws nothing."""
    n_draws = DRAWS if is_random(condition) else 1
    return [corrupted(z, condition, rng, absent) for _ in range(n_draws)]


def together(drawn, y):
    return np.concatenate(drawn), np.tile(y, len(drawn))


def f1(predicted, labels):
    return 2 * (predicted & labels).sum() / (predicted.sum() + labels.sum())


def threshold(p, y):
    """The largest F1 averaged over nine neighbouring thresholds, as in emma."""
    order = np.argsort(-p, kind="stable")
    p, y = p[order], y[order]
    last = np.append(p[1:] < p[:-1], True)
    score = (2 * np.cumsum(y) / (np.arange(1, len(y) + 1) + y.sum()))[last]
    p = np.append(p[last], 0)
    smooth = [score[max(0, i - 4) : i + 5].mean() for i in range(len(score))]
    best = int(np.argmax(smooth))
    return (p[best] + p[best + 1]) / 2


def mlp(fresh_rows, y, validation, validation_y, seed, epochs=EPOCHS, **options):
    """An MLP 64-64 after the epoch of the lowest validation loss; `fresh_rows()` are those of an epoch."""
    options = {"batch_size": 128, "learning_rate_init": 2e-3, "alpha": 1e-4} | options
    network = MLPClassifier((64, 64), random_state=seed, **options)
    best, parameters = np.inf, None
    for _ in range(epochs):
        network.partial_fit(fresh_rows(), y, classes=[0, 1])
        loss = log_loss(validation_y, network.predict_proba(validation)[:, 1])
        if loss < best:
            best, parameters = loss, copy.deepcopy((network.coefs_, network.intercepts_))
    network.coefs_, network.intercepts_ = parameters
    return lambda rows: network.predict_proba(rows)[:, 1]


def trees(rows, y, validation, validation_y, seed, **options):
    """LightGBM, stopped by the validation loss."""
    options = {"learning_rate": 0.04, "num_leaves": 15} | options
    model = lightgbm.LGBMClassifier(
        n_estimators=TREES,
        min_child_samples=40,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.8,
        reg_lambda=1.0,
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        verbose=-1,
        **options,
    )
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    model.fit(rows, y, eval_set=[(validation, validation_y)], callbacks=[stop])
    return lambda rows: model.predict_proba(rows)[:, 1]


def oracle(z, y, split, condition, seed):
    """The better of the two by validation: its name, validation F1 and test F1."""
    rng = np.random.default_rng([seed, zlib.crc32(condition.encode())])
    train, validation, test = (np.array(split[part]) for part in ("train", "validation", "test"))
    rows, labels = together(draws(z[validation], condition, rng), y[validation])
    test_draws = draws(z[test], condition, rng)
    fits = {
        "lightgbm": lambda: trees(
            *together(draws(z[train], condition, rng), y[train]), rows, labels, seed
        ),
        "mlp": lambda: mlp(
            lambda: corrupted(z[train], condition, rng), y[train], rows, labels, seed
        ),
    }
    found = []
    for name, fit in fits.items():
        predict = fit()
        p = predict(rows)
        limit = threshold(p, labels)
        score = f1(p >= limit, labels == 1)
        test_f1 = np.mean([f1(predict(draw) >= limit, y[test] == 1) for draw in test_draws])
        found.append((float(score), name, float(test_f1)))
    score, name, test_f1 = max(found, key=lambda one: one[0])  # the first of equals
    return {"f1": test_f1, "validation_f1": score, "model": name}


def versions():
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "lightgbm": lightgbm.__version__,
    }


def write(path, content, lines_of):
    """Whole or not at all; one line an entry of each seed's `lines_of`, so that differences can be read."""
    seeds = []
    for seed, found in content["seeds"].items():
        lines = ",\n".join(
            f"        {json.dumps(name)}: {json.dumps(one)}" for name, one in found[lines_of].items()
        )
        rest = json.dumps({key: value for key, value in found.items() if key != lines_of})
        seeds.append(f'    "{seed}": {rest[:-1]}, "{lines_of}": {{\n{lines}\n    }}}}')
    head = json.dumps({key: value for key, value in content.items() if key != "seeds"}, indent=2)
    text = head[:-2] + ',\n  "seeds": {\n' + ",\n".join(seeds) + "\n  }\n}\n"
    assert json.loads(text) == content
    with open(path + ".unfinished", "w") as file:
        file.write(text)
    os.replace(path + ".unfinished", path)


def arguments_of(description):
    """A parser of what scripts that read the splits of experiment 3 are told."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("results", help="results folder of emma experiment3, for its splits")
    parser.add_argument("table", help="HTRU_2.csv")
    parser.add_argument("out", help="JSON file to write or to add to")
    parser.add_argument("--seeds", default="0-9", help="FIRST-LAST or one seed (default 0-9)")
    return parser


class Rows:
    """The table, and the rows of a seed."""

    def __init__(self, arguments):
        self.results = arguments.results
        self.sha256 = hashlib.sha256(open(arguments.table, "rb").read()).hexdigest()
        data = np.loadtxt(arguments.table, delimiter=",", ndmin=2)
        self.x, self.y = data[:, :8], data[:, 8].astype(int)

    def of_seed(self, seed):
        """Digest of the split, its row numbers, and all rows as its training rows standardize them."""
        text = open(f"{self.results}/models/seed{seed}/split.json", "rb").read()
        split = json.loads(text)
        train = self.x[split["train"]]
        z = (self.x - train.mean(0)) / train.std(0)
        return hashlib.sha256(text).hexdigest(), split, z


def continued(content, path):
    """What the file has, with the head of `content`; an error if it was made of or with something else."""
    if os.path.exists(path):
        earlier = json.load(open(path))
        for key in ("data_sha256", "conditions", "versions"):
            if earlier[key] != content[key]:
                sys.exit(f"{path} was made with other {key}: {earlier[key]}")
        content = earlier | {key: value for key, value in content.items() if key != "seeds"}
    return content


def add_seeds(content, rows, arguments, lines_of, find):
    """Adds what `find` finds for each seed that is not there with the same split; writes after each."""
    first, _, last = arguments.seeds.partition("-")
    for seed in range(int(first), int(last or first) + 1):
        digest, split, z = rows.of_seed(seed)
        if content["seeds"].get(str(seed), {}).get("split_sha256") == digest:
            continue
        found = {"split_sha256": digest} | find(z, rows.y, split, seed)
        content["seeds"][str(seed)] = found
        content["seeds"] = dict(sorted(content["seeds"].items(), key=lambda item: int(item[0])))
        write(arguments.out, content, lines_of)
        print(f"seed {seed} done", flush=True)


def envelope(z, y, split, seed):
    found = {condition: oracle(z, y, split, condition, seed) for condition in CONDITIONS}
    mean = float(np.mean([one["f1"] for one in found.values()]))
    return {"mean_f1": mean, "conditions": found}


def main():
    warnings.filterwarnings("ignore", message=".*(feature names|eval_set).*")
    arguments = arguments_of(__doc__).parse_args()
    rows = Rows(arguments)
    content = {
        "format_version": 1,
        "what": "oracle envelope of experiment 3: F1 on test rows of the better on validation of an "
        "MLP 64-64 and LightGBM, trained on exactly one condition",
        "command": "python benches/peers/oracle.py results/experiment3 data/htru2/HTRU_2.csv "
        "crates/emma-cli/oracle/htru2.json",
        "versions": versions(),
        "data_sha256": rows.sha256,
        "conditions": CONDITIONS,
        "seeds": {},
    }
    content = continued(content, arguments.out)
    add_seeds(content, rows, arguments, "conditions", envelope)
    means = [one["mean_f1"] for one in content["seeds"].values()]
    print(f"all {len(means)} seeds: mean F1 {np.mean(means):.4f}")


if __name__ == "__main__":
    main()
