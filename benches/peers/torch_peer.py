#!/usr/bin/env python3
"""PyTorch as a contestant of `cargo xtask bench`: training steps, scoring, and the energies of many modes.

    python benches/peers/torch_peer.py --what step --samples 7

- step, stage_one: an epoch of 375 steps. Variants: eager; compiled (torch.compile of the loss; the optimizer is
  fused Adam in both); whole (torch.compile of gradient, Adam and projection as one function of flat parameters).
- grid: 125 models batched by hand, eager, compiled or whole.
- score: a million rows, eager or compiled, in chunks.
- modes: modal energies of many modes with gradients: dense (the equation, by autograd); eager in chunks of rows,
  with a backward written by hand; compiled (torch.compile of that); autograd (torch.compile of the equation).

Potentials of training rows are computed once, rows of an epoch gathered once.
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
import workload as w

T = torch.from_numpy


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=["step", "grid", "stage_one", "score", "modes"], default="step")
    parser.add_argument("--variant", choices=["eager", "compiled", "whole", "dense", "autograd"], default="eager")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", type=int, default=125)
    parser.add_argument("--modes", type=int, default=512)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--chunk", type=int, help="rows at a time, where the best is not the default")
    parser.add_argument("--steps", type=int, default=w.STEPS, help="steps a sample")
    parser.add_argument("--samples", type=int, help="samples to take; without it, one for every line of input")
    return parser.parse_args()


def potentials(rows):
    weight, encoder_bias, decoder_bias = map(T, w.autoencoders())
    energies = []
    for mode, x in enumerate(rows.split(w.FEATURES, 1)):
        hidden = F.softplus(F.linear(x, weight[mode], encoder_bias[mode])).sum(1)
        energies.append(0.5 * (x - decoder_bias[mode]).square().sum(1) - hidden)
    return torch.stack(energies, 1)


MASK = T(w.OFF_DIAGONAL)


def gate(p, coldness, psi, minimum):
    """Log-importance and attention, `[..., rows, modes]`; a grid's parameters have models first."""
    energy = torch.addcmul(p["b"], p["w"], F.relu(psi - minimum) + w.FLOOR)
    log = energy.log()
    blend = torch.exp(torch.lerp(log.unsqueeze(-2), log.unsqueeze(-1), p["g"]))
    modal = energy + (blend * (p["wij"] * MASK)).sum(-1)
    log_importance = F.log_softmax(-coldness * modal, -1)
    return log_importance, F.relu(torch.tanh(p["ga"] * log_importance.exp() - p["ba"]))


def weigh(x, attention):
    return (x.unflatten(-1, (w.MODES, w.FEATURES)) * attention.unsqueeze(-1)).flatten(-2)


def logits_of_one(p, z):
    hidden = F.relu(F.linear(z, p["W1"], p["b1"]))
    return F.linear(F.relu(F.linear(hidden, p["W2"], p["b2"])), p["W3"], p["b3"]).squeeze(-1)


def logits_of_grid(p, z):
    hidden = F.relu(torch.baddbmm(p["b1"], z, p["W1"].mT))
    hidden = F.relu(torch.baddbmm(p["b2"], hidden, p["W2"].mT))
    return torch.baddbmm(p["b3"], hidden, p["W3"].mT).squeeze(-1)


def loss_of_one(p, settings, x, psi, signs, y, minimum):
    coldness, capacity, energy = settings
    log_importance, attention = gate(p, coldness, psi, minimum)
    task = F.binary_cross_entropy_with_logits(logits_of_one(p, weigh(x, attention)), y)
    return task + capacity * (p["ga"] - p["ba"]) - energy * (signs * log_importance).sum() / w.BATCH


def loss_of_grid(p, settings, x, psi, signs, y, minimum):
    """The sum over models."""
    coldness, capacity, energy = settings
    models = coldness.shape[0]
    log_importance, attention = gate(p, coldness, psi, minimum)
    logits = logits_of_grid(p, weigh(x.expand(models, -1, -1), attention))
    task = F.binary_cross_entropy_with_logits(logits, y.expand(models, -1)) * models
    return task + (capacity * (p["ga"] - p["ba"])).sum() - (energy * signs * log_importance).sum() / w.BATCH


def loss_of_autoencoder(p, noisy, clean):
    hidden = torch.sigmoid(F.linear(noisy, p["W"], p["encoder"]))
    return F.mse_loss(F.linear(hidden, p["W"].T, p["decoder"]), clean) * w.FEATURES


class Separate:
    """Parameters as tensors, autograd, fused Adam."""

    def __init__(self, p, loss, compiled):
        self.p = {name: torch.nn.Parameter(value) for name, value in p.items()}
        self.adam = torch.optim.Adam(self.p.values(), lr=w.LEARNING_RATE, fused=True)
        self.loss = torch.compile(loss) if compiled else loss
        self.low = [self.p[name] for name in w.LOWEST if name in p], [w.LOWEST[name] for name in w.LOWEST if name in p]
        self.high = [self.p[name] for name in w.HIGHEST if name in p], [w.HIGHEST[name] for name in w.HIGHEST if name in p]

    def step(self, *batch):
        loss = self.loss(self.p, *batch)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        if self.low[0]:
            with torch.no_grad():
                torch._foreach_clamp_min_(*self.low)
                torch._foreach_clamp_max_(*self.high)
        return loss.detach()


class Whole:
    """Parameters in one tensor; gradient, Adam and projection are one compiled function."""

    def __init__(self, p, loss, models=None):
        at, self.flat, low, high = {}, [], [], []
        start = 0
        for name, value in p.items():
            shape, n = value.shape, value[0].numel() if models else value.numel()
            at[name] = (start, n, shape)
            start += n
            self.flat.append(value.reshape(-1, n) if models else value.reshape(n))
            low += [w.LOWEST.get(name, -np.inf)] * n
            high += [w.HIGHEST.get(name, np.inf)] * n
        self.flat = torch.cat(self.flat, -1).clone()
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.time, self.low, self.high = torch.zeros(()), torch.tensor(low), torch.tensor(high)

        def unpacked(flat, *batch):
            return loss({k: flat.narrow(-1, s, n).reshape(shape) for k, (s, n, shape) in at.items()}, *batch)

        gradient = torch.func.grad_and_value(unpacked)

        def step(flat, mean, square, time, low, high, *batch):
            slope, value = gradient(flat, *batch)
            time.add_(1)
            mean.lerp_(slope, 0.1)
            square.mul_(0.999).addcmul_(slope, slope, value=0.001)
            root = (square / (1 - 0.999**time)).sqrt() + 1e-8
            flat.sub_(w.LEARNING_RATE * (mean / (1 - 0.9**time)) / root).clamp_(low, high)
            return value

        self.function = torch.compile(step)

    def step(self, *batch):
        with torch.no_grad():
            return self.function(self.flat, self.mean, self.square, self.time, self.low, self.high, *batch)


class Training:
    """An epoch over rows in a new order."""

    def __init__(self, o):
        rows, signs, labels, noisy = map(T, w.data())
        self.steps, self.models = o.steps, 1
        if o.what == "stage_one":
            weight, encoder_bias, decoder_bias = w.autoencoders()
            p = {"W": T(weight[0]), "encoder": T(encoder_bias[0]), "decoder": T(decoder_bias[0])}
            self.constant, self.columns, loss = ((), ()), (noisy, rows[:, : w.FEATURES].contiguous()), loss_of_autoencoder
        else:
            psi = potentials(rows)
            self.columns = rows, psi, signs, labels
            p = {name: torch.tensor(value) for name, value in w.parameters().items()}
            if o.what == "grid":
                self.models, loss = o.models, loss_of_grid
                column = lambda v: T(v).view(-1, 1, 1)
                coldness, capacity, energy = map(column, w.settings(o.models))
                self.constant = ((coldness, capacity, energy),), (psi.min(0).values,)
                wide = {name: (1, 1) for name in ("ga", "ba")} | {name: (1, -1) for name in ("w", "b", "b1", "b2", "b3")}
                wide |= {name: (1, 2, 2) for name in ("wij", "g")}
                shape = lambda name, v: v.reshape(wide[name]) if name in wide else v
                p = {k: shape(k, v).expand((o.models,) + tuple(shape(k, v).shape)).clone() for k, v in p.items()}
            else:
                self.constant, loss = ((w.ONE,), (psi.min(0).values,)), loss_of_one
        if o.variant == "whole":
            self.optimizer = Whole(p, loss, self.models if o.what == "grid" else None)
        else:
            self.optimizer = Separate(p, loss, o.variant == "compiled")
        self.generator = torch.Generator().manual_seed(5)

    def epoch(self, order, losses=None):
        before, after = self.constant
        batches = zip(*(column[order].split(w.BATCH) for column in self.columns))
        for _, batch in zip(range(self.steps), batches):
            loss = self.optimizer.step(*before, *batch, *after)
            if losses is not None:
                losses.append(float(loss) / self.models)

    def work(self):
        self.epoch(torch.randperm(w.ROWS, generator=self.generator))


def training(o):
    start = time.perf_counter()
    contestant, losses = Training(o), []
    contestant.epoch(torch.arange(w.ROWS), losses)
    contestant.work()
    check = [np.mean(losses)]
    w.answer(contestant.work, o.steps * contestant.models, check, o.samples, start_seconds=time.perf_counter() - start)


def scoring(o):
    rows = T(w.data()[0])
    minimum = potentials(rows).min(0).values
    rows = rows.repeat(-(-w.SCORED // w.ROWS), 1)[: w.SCORED].contiguous()
    p = {name: torch.tensor(value) for name, value in w.parameters().items()}
    chunk = o.chunk or 65536

    def score(x):
        attention = gate(p, w.ONE[0], potentials(x), minimum)[1]
        return torch.sigmoid(logits_of_one(p, weigh(x, attention)))

    score = score if o.variant == "eager" else torch.compile(score)

    @torch.no_grad()
    def work():
        return torch.cat([score(x) for x in rows.split(chunk)])

    work()
    w.answer(work, 1, [work().double().mean()], o.samples)


def many_modes(o):
    psi, weight, exponent, upstream = map(T, w.many_modes(o.modes, o.rows))
    # Self-energies have weight and bias 1; the diagonal is nobody's coupling.
    self_weight, self_bias = torch.ones(o.modes), torch.ones(o.modes)
    weight = weight * (1 - torch.eye(o.modes))
    chunk = o.chunk or {"eager": 2, "compiled": 16, "dense": o.rows, "autograd": 16}[o.variant]

    def part(log, upstream, exponent, weight):
        """Shared energies of some rows: sum over j, and gradients of log-energies, weights, exponents."""
        difference = log.unsqueeze(2) - log.unsqueeze(1)
        blend = torch.exp(torch.addcmul(log.unsqueeze(1), exponent, difference))
        of_blend = upstream.unsqueeze(2) * blend
        of_power = of_blend * weight
        of_i = of_power * exponent
        return (
            (blend * weight).sum(2),
            of_i.sum(2) + (of_power - of_i).sum(1),
            of_blend.sum(0),
            (of_power * difference).sum(0),
        )

    def energy_of(log, upstream, exponent, weight):
        blend = torch.exp(torch.addcmul(log.unsqueeze(1), exponent, log.unsqueeze(2) - log.unsqueeze(1)))
        return ((blend * weight).sum(2) * upstream).sum()

    def part_autograd(log, upstream, exponent, weight):
        arguments = [value.detach().requires_grad_() for value in (log, exponent, weight)]
        value = function(arguments[0], upstream, *arguments[1:])
        of_log, of_exponent, of_weight = torch.autograd.grad(value, arguments)
        return value.detach(), of_log, of_weight, of_exponent

    if o.variant in ("dense", "autograd"):
        function, run = energy_of if o.variant == "dense" else torch.compile(energy_of), part_autograd
    else:
        run = part if o.variant == "eager" else torch.compile(part)

    def work():
        corrected = F.relu(psi) + w.FLOOR
        energy = torch.addcmul(self_bias, self_weight, corrected)
        log, of_energy = energy.log(), upstream.clone()
        of_weight, of_exponent = torch.zeros_like(weight), torch.zeros_like(exponent)
        values = []
        for first in range(0, o.rows, chunk):
            rows = slice(first, first + chunk)
            value, of_log, more_weight, more_exponent = run(log[rows], upstream[rows], exponent, weight)
            values.append(value)
            of_energy[rows] += of_log / energy[rows]
            of_weight += more_weight
            of_exponent += more_exponent
        of_self = (of_energy * corrected).sum(0), of_energy.sum(0)
        return of_energy * self_weight * (psi >= 0), of_weight * (1 - torch.eye(o.modes)), of_exponent, of_self, values

    if o.variant in ("compiled", "autograd"):
        work()
    memory = w.Memory()
    result = work()
    extra = memory.extra()
    w.answer(work, 1, [value.abs().double().sum() for value in result[:3]], o.samples, extra)


if __name__ == "__main__":
    OPTIONS = options()
    torch.set_num_threads(OPTIONS.threads)
    {"score": scoring, "modes": many_modes}.get(OPTIONS.what, training)(OPTIONS)
