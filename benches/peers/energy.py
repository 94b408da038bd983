#!/usr/bin/env python3
"""Scores a million rows of four features on one core, by NumPy and by PyTorch.

The same arithmetic as the groups `potential_energy` and `gaussian_mixture` of
crates/emma-energy/benches/energy.rs: the potential of an autoencoder with 12 hidden units, and the negative
log-likelihood of a mixture of 10 Gaussians with full covariances, in f32.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy torch
    /tmp/peers/bin/python benches/peers/energy.py

Prints millions of rows a second, the median of several runs and their range.
"""

import os
import statistics
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402  (threads are set first)

try:
    import torch
except ImportError:
    torch = None

ROWS, FEATURES, HIDDEN, COMPONENTS = 1_000_000, 4, 12, 10
CHUNKS = (1 << 12, 1 << 14, 1 << 16, ROWS)
RUNS = 7


def data():
    rng = np.random.default_rng(1)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    factors = np.tril(normal(COMPONENTS, FEATURES, FEATURES)) * np.float32(0.3)
    factors += np.eye(FEATURES, dtype=np.float32)
    weights = rng.dirichlet(np.ones(COMPONENTS)).astype(np.float32)
    return {
        "rows": normal(ROWS, FEATURES),
        "weight": normal(HIDDEN, FEATURES),
        "encoder_bias": normal(HIDDEN),
        "decoder_bias": normal(FEATURES),
        "means": normal(COMPONENTS, FEATURES),
        "factors": factors,
        "log_weights": np.log(weights),
    }


def numpy_potential(rows, p):
    hidden = np.logaddexp(np.float32(0), rows @ p["weight"].T + p["encoder_bias"])
    deviation = rows - p["decoder_bias"]
    return 0.5 * (deviation * deviation).sum(1) - hidden.sum(1)


def numpy_mixture(rows, p):
    constants = p["log_weights"] + np.log(np.abs(np.diagonal(p["factors"], axis1=1, axis2=2))).sum(1)
    constants -= np.float32(0.5 * FEATURES * np.log(2 * np.pi))
    deviation = rows[:, None, :] - p["means"]
    projected = np.einsum("kij,nkj->nki", p["factors"], deviation, optimize=True)
    terms = constants - 0.5 * (projected * projected).sum(2)
    highest = terms.max(1)
    return -(highest + np.log(np.exp(terms - highest[:, None]).sum(1)))


def torch_potential(rows, p):
    hidden = torch.nn.functional.softplus(torch.addmm(p["encoder_bias"], rows, p["weight"].T))
    deviation = rows - p["decoder_bias"]
    return 0.5 * (deviation * deviation).sum(1) - hidden.sum(1)


def torch_mixture(rows, p):
    diagonal = torch.diagonal(p["factors"], dim1=1, dim2=2).abs()
    constants = p["log_weights"] + torch.log(diagonal).sum(1) - 0.5 * FEATURES * np.log(2 * np.pi)
    deviation = rows[:, None, :] - p["means"]
    projected = torch.einsum("kij,nkj->nki", p["factors"], deviation)
    return -torch.logsumexp(constants - 0.5 * (projected * projected).sum(2), 1)


def measure(name, score, parameters):
    rows = parameters["rows"]
    best = None
    for chunk in CHUNKS:
        rates = []
        for _ in range(RUNS):
            start = time.perf_counter()
            for begin in range(0, ROWS, chunk):
                score(rows[begin : begin + chunk], parameters)
            rates.append(ROWS / (time.perf_counter() - start) / 1e6)
        if best is None or statistics.median(rates) > statistics.median(best[1]):
            best = (chunk, rates)
    chunk, rates = best
    median = statistics.median(rates)
    print(f"{name:28} {median:8.2f}  ({min(rates):.2f} to {max(rates):.2f}; chunks of {chunk})")


def main():
    arrays = data()
    print("million rows a second, one core, f32")
    measure("potential, NumPy", numpy_potential, arrays)
    measure("mixture, NumPy", numpy_mixture, arrays)
    if torch is None:
        print("PyTorch is not installed")
        return
    torch.set_num_threads(1)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.inference_mode():
        measure("potential, PyTorch", torch_potential, tensors)
        measure("mixture, PyTorch", torch_mixture, tensors)


if __name__ == "__main__":
    main()
