"""Compares exported models with `emma score --explain`: ONNX by ONNX Runtime and by ONNX's own reference in NumPy, the
state_dict by PyTorch where that is installed.

    pip install -r docs/checks/export-requirements.txt
    emma export --model model.safetensors --format onnx --out case/model.onnx
    emma export --model model.safetensors --format torch --out case/model.torch.safetensors
    emma score --model model.safetensors --data rows.csv --explain --out case/scores.csv
    cp rows.csv case/rows.csv
    python docs/checks/export.py case

Each argument is such a folder, rows.csv with a header. Every number must agree to 1e-6, relative to its size where
that is above 1, since both are rounded to 32 bits at the end and only there; labels must be equal. Without scores.csv
the rows are ones that `emma score` refuses: every number must be none, and the label -1.
"""

import csv
import importlib.util
import json
import pathlib
import sys

import numpy as np
import onnx.reference
import onnxruntime

TOLERANCE = 1e-6
OUTPUTS_OF_MODES = ["potential", "energy", "importance", "attention"]


def table(path):
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def features(rows, columns):
    return np.array([rows[column] for column in columns], dtype=np.float32).T.reshape(-1, len(columns))


def expected(scores, modes):
    """What `emma score --explain` wrote, under the names of the outputs."""
    found = {}
    for name in ("probability", "prediction", "total_energy"):
        if name in scores:
            found[name] = np.array(scores[name], dtype=np.float64)
    classes = [name for name in scores if name.startswith("probability_")]
    if classes:
        found["probability"] = np.array([scores[name] for name in classes], dtype=np.float64).T
    if "label" in scores:
        found["label"] = np.array(scores["label"], dtype=np.int64)
    if "total_energy" in scores:
        for name in OUTPUTS_OF_MODES:
            columns = [scores[f"{name}_{mode}"] for mode in modes]
            found[name] = np.array(columns, dtype=np.float64).T
    return found


def worst(case, got, want):
    """Largest difference, relative to what is above 1; one that is too large ends the check."""
    if set(got) != set(want):
        sys.exit(f"{case}: expected outputs {sorted(want)}, got {sorted(got)}")
    largest = 0.0
    for name, values in want.items():
        if got[name].shape != values.shape:
            sys.exit(f"{case}: expected {name} of shape {values.shape}, got {got[name].shape}")
        if name == "label":
            difference = np.abs(got[name] - values).astype(float)
        else:
            difference = np.abs(got[name].astype(float) - values) / np.maximum(1, np.abs(values))
        if not (difference <= TOLERANCE).all():  # What is no number is not.
            at = np.unravel_index(np.nanargmax(np.where(np.isnan(difference), np.inf, difference)), difference.shape)
            sys.exit(f"{case}: {name} at {at}: expected {values[at]}, got {got[name][at]}")
        largest = max(largest, difference.max(initial=0))
    return largest


def check_onnx(case, rows, want):
    path = str(case / "model.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    names = {item.name for item in model.graph.input} | {item.name for item in model.graph.output}
    inputs = json.loads(properties["emma_inputs"])
    modes = json.loads(properties["emma"])["modes"]
    assert [(item["mode"], item["columns"]) for item in inputs] == [(m["name"], m["columns"]) for m in modes]
    assert len(names) == len(model.graph.input) + len(model.graph.output), names
    # Warnings would be of graphs that are optimized away.
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs = [item.name for item in session.get_outputs()]
    feed = {item["input"]: features(rows, item["columns"]) for item in inputs}
    run = lambda feed: dict(zip(outputs, session.run(None, feed)))
    got = run(feed)
    if want is None:
        refused(got)
        return "refused as they should be"
    difference = worst(case, got, want)
    reference = onnx.reference.ReferenceEvaluator(model)
    by_reference = worst(case, dict(zip(outputs, reference.run(None, feed))), want)
    # Any number of rows, and none of them touches another.
    few = run({name: values[1:4] for name, values in feed.items()})
    worst(case, few, {name: values[1:4] for name, values in want.items()})
    none = run({name: values[:0] for name, values in feed.items()})
    assert all(len(values) == 0 for values in none.values()), none
    # What `emma score` refuses is told apart: no number, and the label -1; beside it nothing changes.
    for strange in (np.nan, np.inf, -np.inf):
        spoilt = {name: values.copy() for name, values in feed.items()}
        next(iter(spoilt.values()))[2, 0] = strange
        got = run(spoilt)
        refused({name: values[2:3] for name, values in got.items()})
        others = np.arange(len(next(iter(got.values())))) != 2
        part = lambda values: {name: value[others] for name, value in values.items()}
        worst(case, part(got), part(want))
    return f"ONNX Runtime {difference:.1e}, reference {by_reference:.1e}"


def refused(got):
    assert "label" not in got or (got["label"] == -1).all(), got["label"]
    assert all(np.isnan(values).all() for name, values in got.items() if name != "label"), got


def check_torch(case, rows, want):
    import torch

    path = pathlib.Path(__file__).parents[1] / "emma_torch.py"
    spec = importlib.util.spec_from_file_location("emma_torch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load(case / "model.torch.safetensors")
    feed = [torch.from_numpy(features(rows, mode["columns"])) for mode in model.settings["modes"]]
    # The module gives 64-bit numbers; `emma score` prints what is beyond the largest 32-bit number as that.
    largest = float(np.finfo(np.float32).max)
    got = {name: value.numpy().clip(-largest, largest) for name, value in model(feed).items()}
    return worst(case, got, want)


def main():
    np.seterr(all="ignore")  # ONNX's reference overflows on its way to a sigmoid of 0 or 1.
    has_torch = importlib.util.find_spec("torch") is not None
    if not has_torch:
        print("PyTorch is not there: state_dicts are not checked")
    for case in map(pathlib.Path, sys.argv[1:]):
        rows, want = table(case / "rows.csv"), None
        if (case / "scores.csv").exists():
            scores = table(case / "scores.csv")
            modes = [name.removeprefix("attention_") for name in scores if name.startswith("attention_")]
            want = expected(scores, modes)
        said = check_onnx(case, rows, want)
        if has_torch and want is not None:
            said += f", PyTorch {check_torch(case, rows, want):.1e}"
        print(f"{case.name}: {len(next(iter(rows.values())))} rows, largest difference: {said}")


main()
