"""The workload of `cargo xtask bench`, and how a contestant answers: as benches/kernels/src/ in Rust.

Numbers come from a hash, so that every contestant works on the same bits and states the same `check`.
"""

import json
import re
import sys
import time

import numpy as np

ROWS, BATCH, MODES, FEATURES, HIDDEN, SCORED = 12_000, 32, 2, 4, 12, 1_000_000
STEPS = ROWS // BATCH
LEARNING_RATE, FLOOR = 1e-3, float(np.e)
# Coldness, lambda_c, lambda_e of a single model.
ONE = (0.3, 1e-3, 1e-2)
NAMES = ("w", "b", "wij", "g", "ga", "ba", "W1", "b1", "W2", "b2", "W3", "b3")
LOWEST = {"w": 1e-3, "b": 0.0, "wij": -1.0, "g": 0.0, "ga": 0.0, "ba": 0.0}
HIGHEST = {"wij": 1.0, "g": 1.0, "ba": 1.0}
OFF_DIAGONAL = np.array([[0, 1], [1, 0]], np.float32)


def uniform(stream, *shape):
    """Numbers of [0, 1): the finalizer of SplitMix64, of a counter."""
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = (np.uint64((stream << 32) + 1) + np.arange(n, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)


def symmetric(stream, bound, *shape):
    return (2 * uniform(stream, *shape) - 1) * np.float32(bound)


def data():
    """Rows `[rows, 8]`, corruption signs `[rows, 2]`, labels `[rows]`, the first mode with noise `[rows, 4]`."""
    labels = (uniform(1, ROWS) < np.float32(0.1)).astype(np.float32)
    rows = symmetric(2, 1.5, ROWS, MODES * FEATURES) + (labels - np.float32(0.1))[:, None]
    signs = np.where(uniform(3, ROWS, MODES) < np.float32(0.33), np.float32(-1), np.float32(1))
    return rows, signs, labels, rows[:, :FEATURES] + symmetric(8, 0.8, ROWS, FEATURES)


def autoencoders():
    """Weights `[modes, 12, 4]`, encoder and decoder biases."""
    return (
        symmetric(4, 0.8, MODES, HIDDEN, FEATURES),
        symmetric(5, 0.2, MODES, HIDDEN),
        symmetric(6, 0.2, MODES, FEATURES),
    )


def parameters():
    """Of the gate and of the network, by name."""
    f = np.float32
    values = {
        "w": np.ones(2, f),
        "b": np.full(2, 3, f),
        "wij": f(0.2) * OFF_DIAGONAL,
        "g": np.full((2, 2), 0.5, f),
        "ga": np.array(2, f),
        "ba": np.array(0.3, f),
    }
    flat, start = symmetric(7, 0.35, 8 * 9 + 4 * 9 + 5), 0
    for k, (inputs, outputs) in enumerate(((8, 8), (8, 4), (4, 1)), 1):
        values[f"W{k}"] = flat[start : start + inputs * outputs].reshape(outputs, inputs)
        start += inputs * outputs
        values[f"b{k}"] = flat[start : start + outputs]
        start += outputs
    return values


def settings(models):
    """Coldness, lambda_c, lambda_e of each model of a grid of 5 x 5 x 5."""
    i = np.arange(models)
    columns = 0.1 + 0.1 * (i % 5), 1e-3 * (1 + i // 5 % 5), 1e-2 * (i // 25 % 5)
    return tuple(column.astype(np.float32) for column in columns)


def many_modes(modes, rows):
    """Potentials `[rows, modes]`, coupling weights and exponents `[modes, modes]`, gradient of modal energies."""
    weights = uniform(10, modes, modes) / np.float32(modes)
    return uniform(9, rows, modes) * np.float32(10), weights, uniform(11, modes, modes), symmetric(12, 1, rows, modes)


class Memory:
    """Most bytes that this process took since the object was made; known on Linux only."""

    def __init__(self):
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
            self.before = self.field("VmRSS")
        except OSError:
            self.before = None

    @staticmethod
    def field(name):
        with open("/proc/self/status") as file:
            return int(re.search(rf"{name}:\s+(\d+) kB", file.read()).group(1)) * 1024

    def extra(self):
        return None if self.before is None else self.field("VmHWM") - self.before


def answer(work, units, check, samples=None, extra_bytes=None, **more):
    """Works once for every line of input, or so many times; one JSON line each."""

    def say(**line):
        print(json.dumps(line), flush=True)

    say(ready={"check": [float(value) for value in check], "extra_bytes": extra_bytes, **more})
    for _ in sys.stdin if samples is None else range(samples):
        start = time.perf_counter()
        work()
        say(microseconds=(time.perf_counter() - start) * 1e6 / units)
