"""`load("model.torch.safetensors")` is the PyTorch module of a file that `emma export --format torch` wrote.
It takes features as the table has them, one [rows, features] tensor a mode; docs/export.md tells more."""
import json
import torch
from safetensors import safe_open
from torch import nn


def parameters(**shapes):
    return nn.ParameterDict({name: torch.zeros(shape) for name, shape in shapes.items()})


class EmmaModel(nn.Module):
    def __init__(self, structure):
        super().__init__()
        self.settings, hidden, widths = structure["model"], structure["hidden_units"], structure["widths"]
        features, n = [len(mode["columns"]) for mode in self.settings["modes"]], len(self.settings["modes"])
        self.standardize = nn.ModuleList(parameters(mean=f, std=f) for f in features)
        if hidden is not None:
            self.energy = nn.ModuleList(
                parameters(weight=(u, f), encoder_bias=u, decoder_bias=f) for u, f in zip(hidden, features))
            self.attention = parameters(minimum_potential=n, self_weight=n, self_bias=n, gain=1, attention_bias=1,
                                        coupling_weight=(n, n), coupling_exponent=(n, n))
        elif self.settings["network"]["kind"] == "alternative_attention_mlp":
            self.alternative = nn.Linear(widths[0], n)
        layers = [(nn.Linear(*pair), nn.ReLU()) for pair in zip(widths, widths[1:])]
        self.network = nn.Sequential(*sum(layers, ())[:-1])

    def forward(self, modes):
        z, out, weights = [(x.double() - s.mean) / s.std for x, s in zip(modes, self.standardize)], {}, None
        if hasattr(self, "energy"):
            weights = (out := self.explain(z))["attention"]
        elif hasattr(self, "alternative"):
            weights = self.alternative(torch.cat(z, 1)).softmax(1)
        weighted = z if weights is None else [part * weights[:, [i]] for i, part in enumerate(z)]
        out["probability"] = self.network(torch.cat(weighted, 1)).squeeze(1).sigmoid()
        out["label"] = (out["probability"].float().double() >= self.settings["threshold"]).long()
        return out

    def explain(self, z):
        a, psi = self.attention, []
        for e, x in zip(self.energy, z):
            hidden = x @ e.weight.T + e.encoder_bias
            psi.append(((x - e.decoder_bias) ** 2).sum(1) / 2 - torch.logaddexp(hidden, 0 * hidden).sum(1))
        potential = torch.stack(psi, 1)
        own = a.self_weight * ((potential - a.minimum_potential).clamp(min=0) + torch.e) + a.self_bias
        log_i, log_j = own.log()[:, :, None], own.log()[:, None, :]
        shared = a.coupling_weight * (a.coupling_exponent * (log_i - log_j) + log_j).exp()
        energy = own + shared.sum(2)
        importance = (-self.settings["coldness"] * (energy - energy.amin(1, keepdim=True))).softmax(1)
        attention = (a.gain * importance - a.attention_bias).tanh().clamp(min=0)
        return {"potential": potential, "energy": energy, "total_energy": energy.sum(1),
                "importance": importance, "attention": attention}


def load(path):
    with safe_open(path, "pt") as file:
        model = EmmaModel(json.loads(file.metadata()["emma_torch"])).double()
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    return model.eval().requires_grad_(False)
