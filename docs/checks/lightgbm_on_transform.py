"""Trains LightGBM on what `emma transform` makes of a table, and says how well it does.

    pip install lightgbm==4.7.0 numpy==2.4.6
    emma transform --model model.safetensors --data train.csv --out train_transformed.csv
    emma transform --model model.safetensors --data test.csv --out test_transformed.csv
    python docs/checks/lightgbm_on_transform.py train_transformed.csv test_transformed.csv [LABEL]

Both files need the label, a column of 0 and 1 that is called LABEL (default `label`). All columns but it and `row` are
features, so any table will do: the original one gives the figure to compare with. LightGBM has its default settings, a fixed seed
and one thread. The threshold is the one of the highest F1 on a fifth of the training rows that the trees have not seen; what is
printed is F1 on the test file at that threshold, as JSON, with the versions and the files' digests.

Gated features of rows that the model was trained on are a little better than those of others: its density has seen them clean.
What is measured on the test file is fair, as long as neither the model nor the trees have seen its rows.
"""

import csv
import hashlib
import json
import sys

import lightgbm
import numpy as np

SEED = 0
ROUNDS = 200


def read(path, label):
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    header = rows[0]
    if label not in header:
        sys.exit(f"{path}: expected a column {label!r}, it is missing")
    features = [place for place, name in enumerate(header) if name not in (label, "row")]
    number = lambda field: float(field) if field else float("nan")
    values = np.array([[number(row[place]) for place in features] for row in rows[1:]])
    labels = np.array([int(float(row[header.index(label)])) for row in rows[1:]])
    return [header[place] for place in features], values, labels


def f1(predicted, labels):
    hits = np.sum(predicted & (labels == 1))
    wrong = np.sum(predicted != (labels == 1))
    return float(2 * hits / (2 * hits + wrong)) if hits else 0.0


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    train, test = sys.argv[1:3]
    label = sys.argv[3] if len(sys.argv) == 4 else "label"
    names, values, labels = read(train, label)
    test_names, test_values, test_labels = read(test, label)
    if names != test_names:
        sys.exit(f"{test}: expected the columns of {train}")
    held_out = np.random.default_rng(SEED).random(len(labels)) < 0.2
    settings = {"objective": "binary", "seed": SEED, "num_threads": 1, "deterministic": True, "verbosity": -1}
    rows = lightgbm.Dataset(values[~held_out], labels[~held_out])
    trees = lightgbm.train(settings, rows, num_boost_round=ROUNDS)
    chosen_on = trees.predict(values[held_out])
    candidates = np.unique(chosen_on)
    threshold = max(candidates, key=lambda candidate: f1(chosen_on >= candidate, labels[held_out]))
    report = {
        "f1": f1(trees.predict(test_values) >= threshold, test_labels),
        "threshold": float(threshold),
        "rows": {"train": len(labels), "test": len(test_labels)},
        "features": len(names),
        "rounds": ROUNDS,
        "seed": SEED,
        "lightgbm": lightgbm.__version__,
        "numpy": np.__version__,
        "sha256": {"train": digest(train), "test": digest(test)},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
