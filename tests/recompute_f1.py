"""Recomputes F1 of the saved models of a results folder of experiment 3, with nothing of EMMA's code.

    python tests/recompute_f1.py results/experiment3 data/htru2/HTRU_2.csv

Needs Python's standard library and NumPy. Reads results.json, split.json, the model files (byte by byte,
as docs/formats.md says) and the table; scores the test rows of every seed and model by the formulas
of docs/formats.md in 64-bit numbers; and compares F1 with results.json in the five conditions that draw
nothing: uncorrupted, and each mode missing and shifted by 2. Any difference at all is an error: F1 is a
ratio of counts. In the conditions of Gaussian noise, whose draws are EMMA's own, it draws its
own and compares the mean over seeds, which must agree within four standard errors.

Ends with 1 if something differs.
"""

import json
import struct
import sys

import numpy as np

TOLERANCE = 1e-12  # of ratios of the same counts
DRAWS = 5
NOISY = ("ip:noise:0.5", "dm:noise:0.5", "ip:noise:2", "dm:noise:2", "both:noise:1")


def read_model(path):
    """Tensors by name, as 64-bit numbers, and the metadata of a model file."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = json.loads(header.pop("__metadata__")["emma"])
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", name
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).astype(float)
    return tensors, metadata


def read_table(path):
    with open(path) as file:
        lines = [line for line in file if line.strip()]
    if any(not is_number(field) for field in lines[0].split(",")[:8]):
        lines = lines[1:]
    # Features are 32-bit numbers, as the program keeps them.
    table = np.array([[float(field) for field in line.split(",")] for line in lines])
    return table[:, :8].astype(np.float32), table[:, 8] == 1


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def potential(t, mode, x):
    w, b, c = (t[f"energy.{mode}.{part}"] for part in ("weight", "encoder_bias", "decoder_bias"))
    return 0.5 * ((x - c) ** 2).sum(1) - np.logaddexp(0, x @ w.T + b).sum(1)


def attention(t, metadata, parts):
    names = [mode["name"] for mode in metadata["modes"]]
    own = []
    for i, mode in enumerate(names):
        excess = potential(t, mode, parts[i]) - t["attention.minimum_potential"][i]
        corrected = np.maximum(np.e, excess + np.e)
        own.append(t["attention.self_weight"][i] * corrected + t["attention.self_bias"][i])
    w, gamma = t["attention.coupling_weight"], t["attention.coupling_exponent"]
    energy = np.stack(own, 1)
    for i in range(len(names)):
        for j in range(len(names)):
            if i != j:
                energy[:, i] += w[i, j] * own[i] ** gamma[i, j] * own[j] ** (1 - gamma[i, j])
    importance = np.exp(-metadata["coldness"] * (energy - energy.min(1, keepdims=True)))
    importance /= importance.sum(1, keepdims=True)
    gain, bias = t["attention.gain"], t["attention.attention_bias"]
    return np.maximum(0, np.tanh(gain * importance - bias))


def predict(t, metadata, modes):
    """Predicted labels, from standard scores by mode name."""
    parts = [modes[mode["name"]] for mode in metadata["modes"]]
    weights = None
    if metadata["energy"]:
        weights = attention(t, metadata, parts)
    elif "alternative.weight" in t:
        score = np.concatenate(parts, 1) @ t["alternative.weight"].T + t["alternative.bias"]
        weights = np.exp(score - score.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
    if weights is not None:
        parts = [part * weights[:, [i]] for i, part in enumerate(parts)]
    hidden, layer = np.concatenate(parts, 1), 0
    while f"network.{layer}.weight" in t:
        hidden = np.maximum(hidden, 0) if layer else hidden
        hidden = hidden @ t[f"network.{layer}.weight"].T + t[f"network.{layer}.bias"]
        layer += 1
    with np.errstate(over="ignore"):
        probability = (1 / (1 + np.exp(-hidden[:, 0]))).astype(np.float32)
    return probability.astype(float) >= metadata["threshold"]


def f1(predicted, labels):
    positives = predicted.sum() + labels.sum()
    return 2 * (predicted & labels).sum() / positives if positives else 0.0


def corrupted(clean, condition, rng):
    """Standard scores by mode, as 32-bit numbers, under a condition."""
    modes = dict(clean)
    if condition == "uncorrupted":
        return modes
    where, kind, *level = condition.split(":")
    for mode in modes if where == "both" else (where,):
        if kind == "missing":
            modes[mode] = np.zeros_like(modes[mode])
        elif kind == "offset":
            modes[mode] = modes[mode] + np.float32(level[0])
        else:
            noise = rng.normal(size=modes[mode].shape).astype(np.float32)
            modes[mode] = modes[mode] + np.float32(level[0]) * noise
    return modes


def main(folder, table):
    x, y = read_table(table)
    with open(f"{folder}/results.json") as file:
        results = json.load(file)
    names = results["data"]["modes"]
    n_features = 8 // len(names)
    columns = {mode: slice(i * n_features, (i + 1) * n_features) for i, mode in enumerate(names)}
    exact = ["uncorrupted"]
    exact += [f"{mode}:{fault}" for mode in names for fault in ("missing", "offset:2")]
    n_checked, wrong = 0, []
    for model, stored in results["models"].items():
        differences = {condition: [] for condition in NOISY}
        for position, seed in enumerate(results["seeds"]):
            t, metadata = read_model(f"{folder}/models/seed{seed}/{model}.safetensors")
            with open(f"{folder}/models/seed{seed}/split.json") as file:
                split = json.load(file)
            rows, train = split["test"], split["train"]
            labels = y[rows]
            scores, precise = {}, {}
            for mode, part in columns.items():
                training = x[train][:, part].astype(float)
                fitted = {"mean": training.mean(0), "std": training.std(0)}
                for name, value in fitted.items():
                    stored_value = t.get(f"standardize.{mode}.{name}", value)
                    if not np.allclose(stored_value, value, rtol=1e-6, atol=1e-7):
                        wrong.append(f"{model} seed {seed}: {name} of {mode}")
                    fitted[name] = stored_value.astype(np.float32)
                raw, mean, std = x[rows][:, part], fitted["mean"], fitted["std"]
                # Before faults in 32-bit numbers; clean rows by the model, in 64-bit ones.
                scores[mode] = (raw - mean) / std
                precise[mode] = (raw.astype(float) - mean) / std
            rng = np.random.default_rng([seed, position])
            for condition in exact + list(NOISY):
                figure = stored["f1"][condition]["per_seed"][position]
                if condition in NOISY:
                    found = np.mean([
                        f1(predict(t, metadata, widen(corrupted(scores, condition, rng))), labels)
                        for _ in range(DRAWS)
                    ])
                    differences[condition].append(found - figure)
                    continue
                modes = precise if condition == "uncorrupted" else corrupted(scores, condition, rng)
                found = f1(predict(t, metadata, widen(modes)), labels)
                n_checked += 1
                if abs(found - figure) > TOLERANCE:
                    wrong.append(f"{model} seed {seed} {condition}: {found} here, {figure} there")
        for condition, found in differences.items():
            found = np.array(found)
            if len(found) < 2:
                continue
            error = found.std(ddof=1) / np.sqrt(len(found))
            print(f"{model:12} {condition:14} mean difference {found.mean():+.4f}, "
                  f"standard error {error:.4f}")
            if abs(found.mean()) > 4 * error + TOLERANCE:
                wrong.append(f"{model} {condition}: mean difference {found.mean()}")
    print(f"{n_checked} F1 compared to the digit, {len(wrong)} findings")
    print("\n".join(wrong))
    return 1 if wrong else 0


def widen(modes):
    return {mode: values.astype(float) for mode, values in modes.items()}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
