"""Checks a results folder of experiment 3 with other code: NumPy and scikit-learn, no Rust.

    pip install numpy==2.4.6 scikit-learn==1.9.1 safetensors==0.8.0
    python docs/checks/experiment3.py results/experiment3 data/htru2/HTRU_2.csv

Part 1 scores the saved models by the formula in docs/formats.md, with 30 draws of the test noise
instead of one. Part 2 measures how well the potentials tell clean validation rows from noisy ones
(area under the ROC curve). Part 3 trains scikit-learn's MLP as `base` and `without` on the same splits, and on
splits by scikit-learn itself, with 8 draws of the test noise.
"""

import copy
import json
import sys

import numpy as np
from safetensors import safe_open
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

MODES = {"ip": slice(0, 4), "dm": slice(4, 8)}
NOISE = 0.5


def f1(predicted, labels):
    return 2 * (predicted & labels).sum() / (predicted.sum() + labels.sum())


def noisy(z, mode, rng):
    z = z.copy()
    if mode:
        z[:, MODES[mode]] += NOISE * rng.normal(size=z[:, MODES[mode]].shape)
    return z


def summary(values):
    values = np.array(values)
    half_width = 2.262 * values.std(ddof=1) / np.sqrt(len(values))  # t(0.975, 9)
    return f"{values.mean():.3f} ± {half_width:.3f}"


# Part 1: saved models.


def load(path):
    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name).astype(float) for name in file.keys()}
        return tensors, json.loads(file.metadata()["emma"])


def potential(t, mode, x):
    w, b, c = (t[f"energy.{mode}.{k}"] for k in ("weight", "encoder_bias", "decoder_bias"))
    return 0.5 * ((x - c) ** 2).sum(1) - np.logaddexp(0, x @ w.T + b).sum(1)


def attention(t, coldness, parts):
    own = []
    for i, mode in enumerate(MODES):
        excess = potential(t, mode, parts[i]) - t["attention.minimum_potential"][i]
        corrected = np.maximum(np.e, excess + np.e)
        own.append(t["attention.self_weight"][i] * corrected + t["attention.self_bias"][i])
    w, gamma = t["attention.coupling_weight"], t["attention.coupling_exponent"]
    shared = lambda i, j: w[i, j] * own[i] ** gamma[i, j] * own[j] ** (1 - gamma[i, j])
    energy = np.stack([own[0] + shared(0, 1), own[1] + shared(1, 0)], 1)
    importance = np.exp(-coldness * (energy - energy.min(1, keepdims=True)))
    importance /= importance.sum(1, keepdims=True)
    return np.maximum(0, np.tanh(t["attention.gain"] * importance - t["attention.attention_bias"]))


def probability(t, metadata, z):
    parts = [z[:, columns] for columns in MODES.values()]
    weights = None
    if metadata["energy"]:
        weights = attention(t, metadata["coldness"], parts)
    elif "alternative.weight" in t:
        score = z @ t["alternative.weight"].T + t["alternative.bias"]
        weights = np.exp(score - score.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
    if weights is not None:
        parts = [part * weights[:, [i]] for i, part in enumerate(parts)]
    hidden, layer = np.concatenate(parts, 1), 0
    while f"network.{layer}.weight" in t:
        hidden = np.maximum(hidden, 0) if layer else hidden
        hidden = hidden @ t[f"network.{layer}.weight"].T + t[f"network.{layer}.bias"]
        layer += 1
    return 1 / (1 + np.exp(-hidden[:, 0]))


def rescore(folder, seeds, x, y):
    print(f"{'model':12} {'uncorrupted':>15} {'ip noisy':>15} {'dm noisy':>15}")
    for name in ("base", "without", "alternative", "with"):
        scores = {None: [], "ip": [], "dm": []}
        for seed in seeds:
            t, metadata = load(f"{folder}/models/seed{seed}/{name}.safetensors")
            rows = json.load(open(f"{folder}/models/seed{seed}/split.json"))["test"]
            mean = np.concatenate([t[f"standardize.{mode}.mean"] for mode in MODES])
            std = np.concatenate([t[f"standardize.{mode}.std"] for mode in MODES])
            z, labels = (x[rows] - mean) / std, y[rows] == 1
            rng = np.random.default_rng(seed)
            for mode in scores:
                draws = [noisy(z, mode, rng) for _ in range(30 if mode else 1)]
                hits = [f1(probability(t, metadata, d) >= metadata["threshold"], labels) for d in draws]
                scores[mode].append(np.mean(hits))
        print(f"{name:12}", *(f"{summary(v):>15}" for v in scores.values()), flush=True)


def energies(folder, seeds, x):
    found = {mode: [] for mode in MODES}
    for seed in seeds:
        t, _ = load(f"{folder}/models/seed{seed}/with.safetensors")
        rows = json.load(open(f"{folder}/models/seed{seed}/split.json"))["validation"]
        rng = np.random.default_rng(seed)
        for mode, columns in MODES.items():
            z = (x[rows][:, columns] - t[f"standardize.{mode}.mean"]) / t[f"standardize.{mode}.std"]
            clean = potential(t, mode, z)
            corrupted = potential(t, mode, z + NOISE * rng.normal(size=z.shape))
            truth = np.repeat([0, 1], len(z))
            found[mode].append(roc_auc_score(truth, np.concatenate([clean, corrupted])))
    for mode, areas in found.items():
        print(f"{mode:12} {summary(areas)}")


# Part 3: another learner on the same rows.


def threshold(p, y):
    order = np.argsort(-p, kind="stable")
    p, y = p[order], y[order]
    last = np.append(p[1:] < p[:-1], True)
    score = (2 * np.cumsum(y) / (np.arange(1, len(y) + 1) + y.sum()))[last]
    p = np.append(p[last], 0)
    smooth = [score[max(0, i - 4) : i + 5].mean() for i in range(len(score))]
    best = int(np.argmax(smooth))
    return (p[best] + p[best + 1]) / 2


def mixture(z, rng):
    z, order, half = z.copy(), rng.permutation(len(z)), len(z) // 2
    quarter = (len(z) - half) // 2
    for mode, rows in (("ip", order[half : half + quarter]), ("dm", order[half + quarter :])):
        z[rows] = noisy(z[rows], mode, rng)
    return z


def fit(network, rows_of_epoch, y, validation, validation_y):
    best = (np.inf, None)
    for _ in range(35):
        network.partial_fit(rows_of_epoch(), y, classes=[0, 1])
        loss = log_loss(validation_y, network.predict_proba(validation)[:, 1])
        if loss < best[0]:
            best = loss, copy.deepcopy((network.coefs_, network.intercepts_))
    network.coefs_, network.intercepts_ = best[1]
    network._optimizer = AdamOptimizer(network.coefs_ + network.intercepts_, 1e-3)


def learn(split, seed, x, y):
    train, validation, test = split
    rng = np.random.default_rng(seed)
    z = (x - x[train].mean(0)) / x[train].std(0)
    network = MLPClassifier((8, 4), batch_size=32, alpha=0, random_state=seed)
    found = []
    for rows_of_epoch, rows in (
        (lambda: z[train], z[validation]),
        (lambda: mixture(z[train], rng), mixture(z[validation], rng)),
    ):
        fit(network, rows_of_epoch, y[train], rows, y[validation])
        limit = threshold(network.predict_proba(rows)[:, 1], y[validation])
        score = lambda rows: f1(network.predict_proba(rows)[:, 1] >= limit, y[test] == 1)
        found += [score(z[test]), np.mean([score(noisy(z[test], "ip", rng)) for _ in range(8)])]
    return found


def stored_split(folder, seed):
    split = json.load(open(f"{folder}/models/seed{seed}/split.json"))
    return [np.array(split[part]) for part in ("train", "validation", "test")]


def other_split(seed, y):
    train, rest = train_test_split(np.arange(len(y)), test_size=0.33, stratify=y, random_state=seed)
    return [train, *train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=seed)]


if __name__ == "__main__":
    folder, table = sys.argv[1:]
    data = np.loadtxt(table, delimiter=",")
    x, y = data[:, :8], data[:, 8].astype(int)
    seeds = json.load(open(f"{folder}/results.json"))["seeds"]
    print("1. Saved models, 30 draws of the test noise")
    rescore(folder, seeds, x, y)
    print("\n2. Potentials of clean and of noisy validation rows, area under the ROC curve")
    energies(folder, seeds, x)
    print("\n3. scikit-learn's MLP: base uncorrupted, ip noisy; without uncorrupted, ip noisy")
    for name, split in (
        ("same splits", lambda seed: stored_split(folder, seed)),
        ("other splits", lambda seed: other_split(seed, y)),
    ):
        found = np.array([learn(split(seed), seed, x, y) for seed in seeds])
        print(f"{name:12}", *(summary(column) for column in found.T), flush=True)
