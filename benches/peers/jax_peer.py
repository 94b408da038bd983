#!/usr/bin/env python3
"""JAX as a contestant of `cargo xtask bench`: jit, scan over the steps of an epoch, vmap over models.

    python benches/peers/jax_peer.py --what step --samples 7

An epoch is one compiled program, which gathers its rows in the order that it is given. Parameters are one array, so
that Adam and the projection are a single small kernel; rows are the last axis, because that is where XLA makes vectors.

- step, stage_one: one model.
- grid: vmap over 125 models. With several threads: XLA's own (intra), one host device a thread (devices), or one
  process a thread (processes).
- score: a million rows, in chunks of the best length.
- modes: modal energies of many modes with gradients, chunks of rows at a time.
"""

import argparse
import json
import os
import subprocess
import sys
import time


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=["step", "grid", "stage_one", "score", "modes"], default="step")
    parser.add_argument("--layout", choices=["lanes", "reduce"], help="matrix products, or products and sums")
    parser.add_argument("--parallel", choices=["intra", "devices", "processes"], default="intra")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", type=int, default=125)
    parser.add_argument("--first-model", type=int, default=0)
    parser.add_argument("--modes", type=int, default=512)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--chunk", type=int, help="rows at a time, where the best is not the default")
    parser.add_argument("--unroll", type=int, default=1, help="steps in one turn of the scan")
    parser.add_argument("--samples", type=int, help="samples to take; without it, one for every line of input")
    return parser.parse_args()


def of_processes(o):
    """One process a thread, each with its share of the models; the slowest one's end counts."""
    import workload as w

    first, workers = 0, []
    for k in range(o.threads):
        models = o.models // o.threads + (k < o.models % o.threads)
        command = [sys.executable, __file__, "--what", "grid", "--models", str(models), "--first-model", str(first)]
        first += models
        workers.append((models, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)))
    ready = [json.loads(worker.stdout.readline())["ready"] for _, worker in workers]
    loss = sum(models * line["check"][0] for (models, _), line in zip(workers, ready)) / o.models

    def work():
        for _, worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        for _, worker in workers:
            worker.stdout.readline()

    w.answer(work, o.models * w.STEPS, [loss], o.samples, compile_seconds=max(line["compile_seconds"] for line in ready))
    for _, worker in workers:
        worker.stdin.close()


if __name__ == "__main__":
    OPTIONS = options()
    if OPTIONS.parallel == "processes":
        of_processes(OPTIONS)
        sys.exit()
    # Before jax is imported. The old emitters are the faster ones for steps, the new ones for scoring.
    flags = "" if OPTIONS.what in ("score", "modes") else " --xla_cpu_use_fusion_emitters=false"
    if OPTIONS.threads == 1 or OPTIONS.parallel == "devices":
        flags += " --xla_cpu_multi_thread_eigen=false"
    if OPTIONS.threads > 1 and OPTIONS.parallel == "devices":
        flags += f" --xla_force_host_platform_device_count={OPTIONS.threads}"
    os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") + flags).strip()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax  # noqa: E402  (flags are set first)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import workload as w  # noqa: E402
from jax import lax  # noqa: E402


def potentials(x, weight, encoder_bias, decoder_bias):
    """`[modes, rows]` of `[8, rows]`."""
    x = x.reshape(w.MODES, w.FEATURES, -1)
    hidden = jnp.einsum("mul,mln->mun", weight, x) + encoder_bias[:, :, None]
    return 0.5 * jnp.square(x - decoder_bias[:, :, None]).sum(1) - jax.nn.softplus(hidden).sum(1)


def forward(p, coldness, x, psi, minimum, layout):
    """Logits and log-importance; features and modes first, rows last."""
    if layout == "lanes":
        product = lambda weight, z: weight @ z
        e = [p["w"][i] * (jax.nn.relu(psi[i] - minimum[i]) + w.FLOOR) + p["b"][i] for i in range(2)]
        log = [jnp.log(value) for value in e]
        shared = lambda i, j: p["wij"][i, j] * jnp.exp(p["g"][i, j] * (log[i] - log[j]) + log[j])
        d = -coldness * (e[0] + shared(0, 1) - e[1] - shared(1, 0))
        first = -jax.nn.softplus(-d)
        log_importance = jnp.stack([first, first - d])
    else:
        product = lambda weight, z: (weight[:, :, None] * z[None]).sum(1)
        e = p["w"][:, None] * (jax.nn.relu(psi - minimum[:, None]) + w.FLOOR) + p["b"][:, None]
        log = jnp.log(e)
        other = log[::-1]
        g, weight = (jnp.stack([p[k][0, 1], p[k][1, 0]])[:, None] for k in ("g", "wij"))
        modal = e + weight * jnp.exp(g * (log - other) + other)
        log_importance = -jax.nn.softplus(coldness * (modal - modal[::-1]))
    attention = jax.nn.relu(jnp.tanh(p["ga"] * jnp.exp(log_importance) - p["ba"]))
    z = (x.reshape(w.MODES, w.FEATURES, -1) * attention[:, None]).reshape(w.MODES * w.FEATURES, -1)
    hidden = jax.nn.relu(product(p["W1"], z) + p["b1"][:, None])
    hidden = jax.nn.relu(product(p["W2"], hidden) + p["b2"][:, None])
    return (product(p["W3"], hidden) + p["b3"][:, None])[0], log_importance


def loss_of_model(layout, minimum):
    def loss(p, settings, x, psi, signs, y):
        coldness, capacity, energy = settings
        z, log_importance = forward(p, coldness, x, psi, minimum, layout)
        task = (jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()
        return task + capacity * (p["ga"] - p["ba"]) - energy * (signs * log_importance).sum(0).mean()

    return loss


def loss_of_autoencoder(layout):
    product = (lambda a, z: a @ z) if layout == "lanes" else (lambda a, z: (a[:, :, None] * z[None]).sum(1))

    def loss(p, settings, noisy, clean):
        hidden = jax.nn.sigmoid(product(p["W"], noisy) + p["encoder"][:, None])
        return jnp.square(product(p["W"].T, hidden) + p["decoder"][:, None] - clean).sum(0).mean()

    return loss


class Training:
    """An epoch over rows in a new order."""

    def __init__(self, o):
        rows, signs, labels, noisy = w.data()
        auto = w.autoencoders()
        self.models = o.models if o.what == "grid" else 1
        layout = o.layout or {"step": "reduce", "grid": "lanes", "stage_one": "reduce"}[o.what]
        if o.what == "stage_one":
            p = {"W": auto[0][0], "encoder": auto[1][0], "decoder": auto[2][0]}
            columns, loss, settings = (noisy, rows[:, : w.FEATURES]), loss_of_autoencoder(layout), ()
        else:
            psi = np.asarray(potentials(rows.T, *auto)).T
            p, columns = w.parameters(), (rows, psi, signs, labels)
            loss = loss_of_model(layout, psi.min(0))
            settings = tuple(np.float32(value) for value in w.ONE)
        if o.what == "grid":
            settings = tuple(v[o.first_model :] for v in w.settings(o.first_model + o.models))
        shapes = {name: value.shape for name, value in p.items()}
        ends = np.cumsum([value.size for value in p.values()])
        spans = {name: (end - p[name].size, end) for name, end in zip(p, ends)}
        fill = lambda bounds, default: np.concatenate(
            [np.full(value.size, bounds.get(name, default), np.float32) for name, value in p.items()]
        )
        low, high = fill(w.LOWEST, -np.inf), fill(w.HIGHEST, np.inf)
        flat = jnp.concatenate([jnp.ravel(value) for value in p.values()])
        columns = [jnp.asarray(column) for column in columns]

        def unpack(v):
            return {name: v[a:b].reshape(shapes[name]) for name, (a, b) in spans.items()}

        def step(state, settings, batch):
            flat, mean, square, time = state
            value, slope = jax.value_and_grad(lambda v: loss(unpack(v), settings, *batch))(flat)
            time = time + 1.0
            mean = 0.9 * mean + 0.1 * slope
            square = 0.999 * square + 0.001 * slope * slope
            root = jnp.sqrt(square / (1 - 0.999**time)) + 1e-8
            flat = flat - w.LEARNING_RATE * (mean / (1 - 0.9**time)) / root
            return (jnp.clip(flat, low, high), mean, square, time), value

        if o.what == "grid":
            step = jax.vmap(step, (0, 0, None))

        def epoch(state, settings, order):
            def batches(column):
                column = column[order].reshape((w.STEPS, w.BATCH) + column.shape[1:])
                return jnp.swapaxes(column, 1, 2) if column.ndim == 3 else column

            turn = lambda state, batch: step(state, settings, batch)
            return lax.scan(turn, state, tuple(map(batches, columns)), unroll=o.unroll)

        lead, parts = (), o.threads if o.what == "grid" and o.parallel == "devices" else 1
        if o.what == "grid":
            # Equal parts: what is beyond the last model is trained, and not counted.
            lead = (-(-o.models // parts) * parts,)
            settings = tuple(np.resize(value, lead) for value in settings)
        state = tuple(jnp.broadcast_to(v, lead + v.shape) for v in (flat, 0 * flat, 0 * flat, jnp.zeros(())))
        if parts > 1:
            cut = lambda value: value.reshape((parts, -1) + value.shape[1:])
            state, settings = jax.tree_util.tree_map(cut, (state, settings))
            function = jax.pmap(epoch, in_axes=(0, 0, None), donate_argnums=0)
        else:
            state = tuple(jnp.array(value) for value in state)
            function = jax.jit(epoch, donate_argnums=0)
        self.state, self.settings = state, settings
        start = time.perf_counter()
        self.function = function.lower(state, settings, np.arange(w.ROWS, dtype=np.int32)).compile()
        self.compile_seconds = time.perf_counter() - start
        self.random = np.random.default_rng(5)

    def epoch(self, order):
        self.state, losses = self.function(self.state, self.settings, order)
        jax.block_until_ready(self.state)
        return losses

    def work(self):
        self.epoch(self.random.permutation(w.ROWS).astype(np.int32))


def training(o):
    contestant = Training(o)
    losses = np.asarray(contestant.epoch(np.arange(w.ROWS, dtype=np.int32)), np.float64)
    if losses.ndim == 3:
        losses = np.moveaxis(losses, 1, 0).reshape(w.STEPS, -1)[:, : o.models]
    contestant.work()
    units = w.STEPS * contestant.models
    w.answer(contestant.work, units, [losses.mean()], o.samples, compile_seconds=contestant.compile_seconds)


def compiled(function, *arguments):
    start = time.perf_counter()
    function = jax.jit(function).lower(*arguments).compile()
    return function, time.perf_counter() - start


def scoring(o):
    rows, auto = w.data()[0], w.autoencoders()
    minimum = np.asarray(potentials(rows.T, *auto)).min(1)
    rows = jnp.asarray(np.tile(rows, (-(-w.SCORED // w.ROWS), 1))[: w.SCORED])
    p, chunk = w.parameters(), o.chunk or 2000

    def part(x):
        x = x.T
        return jax.nn.sigmoid(forward(p, w.ONE[0], x, potentials(x, *auto), minimum, o.layout or "lanes")[0])

    score = lambda x: lax.map(part, x.reshape(-1, chunk, w.MODES * w.FEATURES)).reshape(-1)
    function, seconds = compiled(score, rows)
    work = lambda: jax.block_until_ready(function(rows))
    w.answer(work, 1, [np.asarray(work(), np.float64).mean()], o.samples, compile_seconds=seconds)


def many_modes(o):
    psi, weight, exponent, upstream = map(jnp.asarray, w.many_modes(o.modes, o.rows))
    chunk, off_diagonal = o.chunk or 8, 1 - np.eye(o.modes, dtype=np.float32)

    @jax.checkpoint
    def shared(log, exponent, weight):
        difference = log[:, :, None] - log[:, None, :]
        return (jnp.exp(exponent * difference + log[:, None, :]) * weight).sum(2)

    def value(psi, weight, exponent, self_weight, self_bias, upstream):
        energy = self_weight * (jax.nn.relu(psi) + w.FLOOR) + self_bias
        log = jnp.log(energy).reshape(-1, chunk, o.modes)
        modal = energy + lax.map(lambda log: shared(log, exponent, weight * off_diagonal), log).reshape(energy.shape)
        return (modal * upstream).sum()

    ones = jnp.ones(o.modes)
    arguments = psi, weight, exponent, ones, ones, upstream
    function, seconds = compiled(jax.grad(value, (0, 1, 2, 3, 4)), *arguments)
    work = lambda: jax.block_until_ready(function(*arguments))
    memory = w.Memory()
    result = work()
    extra = memory.extra()
    check = [np.abs(np.asarray(v, np.float64)).sum() for v in result[:3]]
    w.answer(work, 1, check, o.samples, extra, compile_seconds=seconds)


if __name__ == "__main__":
    {"score": scoring, "modes": many_modes}.get(OPTIONS.what, training)(OPTIONS)
