"""load("model.torch.safetensors"): the PyTorch module of a file by `emma export --format torch`; see docs/export.md"""
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
        self.network = nn.Sequential(*sum(([nn.Linear(*w), nn.ReLU()] for w in zip(widths, widths[1:])), [])[:-1])

    def forward(self, modes):
        z, out, weights = [(x.double() - s.mean) / s.std for x, s in zip(modes, self.standardize)], {}, None
        if hasattr(self, "energy"):
            weights = (out := self.explain(z))["attention"]
        elif hasattr(self, "alternative"):
            weights = self.alternative(torch.cat(z, 1)).softmax(1)
        weighted = z if weights is None else [part * weights[:, [i]] for i, part in enumerate(z)]
        outputs, task = self.network(torch.cat(weighted, 1)), self.settings.get("task", {"kind": "binary"})
        if task["kind"] == "regression":
            return out | {"prediction": outputs.squeeze(1) * task["std"] + task["mean"]}
        p = outputs.softmax(1) if task["kind"] == "multiclass" else outputs.squeeze(1).sigmoid()
        label = p.argmax(1) if p.dim() == 2 else (p.float().double() >= self.settings["threshold"]).long()
        return out | {"probability": p, "label": label}

    def explain(self, z):
        a, softplus = self.attention, lambda x: torch.logaddexp(x, 0 * x)
        psi = [((x - e.decoder_bias) ** 2).sum(1) / 2 - softplus(x @ e.weight.T + e.encoder_bias).sum(1)
               for e, x in zip(self.energy, z)]
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
