"""Fits the simulated pulsar survey to HTRU2, and says how near it is.

    pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 cma==4.5.0
    cargo build --release -p emma-data --example simulate_survey
    python docs/checks/survey.py report data/htru2/HTRU_2.csv [CONFIG.json]
    python docs/checks/survey.py fit data/htru2/HTRU_2.csv pulsars|others MINUTES START.json OUT.json

`report` compares a survey of HTRU2's size with HTRU2: quantiles by class, the Kolmogorov-Smirnov distance by feature
and class on the half of the rows that was fitted and on the half that was not, and the area under the ROC curve of gradient
boosting that tells real rows from simulated ones (five folds, out of fold). START.json and CONFIG.json hold a configuration of
the survey, as the example prints it without arguments.

`fit` changes the numbers of the distributions in `emma_data::survey::Population` by covariance matrix adaptation. It sees one
half of HTRU2's rows. Its loss is made of Kolmogorov-Smirnov distances of the features and of their projections on fixed
directions, after each feature was turned into a normal score by its real distribution. The simulation's features are never
touched: the fit knows them only through the loss.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import Pool

import numpy as np
from scipy.special import ndtri

SIMULATE = os.path.join(
    os.environ.get("CARGO_TARGET_DIR", "target"), "release/examples/simulate_survey"
)
NAMES = [f"{mode}_{moment}" for mode in ("ip", "dm") for moment in ("mean", "std", "skewness", "kurtosis")]
OTHERS = ["broadband", "narrowband", "periodic", "noise"]


def simulate(config, seed):
    """Rows of eight features, the label and the kind."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(config, file)
    try:
        run = subprocess.run([SIMULATE, str(seed), file.name], capture_output=True, text=True, check=True)
    finally:
        os.unlink(file.name)
    lines = run.stdout.splitlines()[1:]
    rows = np.loadtxt((line[: line.rindex(",")] for line in lines), delimiter=",", dtype=np.float32)
    return rows.reshape(-1, 9)


def default_config():
    return json.loads(subprocess.run([SIMULATE], capture_output=True, text=True, check=True).stdout)


def halves(rows):
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]


def ks(sorted_a, b):
    b = np.sort(b)
    values = np.concatenate([sorted_a, b])
    a_below = np.searchsorted(sorted_a, values, "right") / len(sorted_a)
    return np.abs(a_below - np.searchsorted(b, values, "right") / len(b)).max()


def with_shapes(rows):
    """The features and, by mode, mean(x^(k+1)) / mean(x^k) for k = 1 to 3 and excess kurtosis less skewness squared.

    These are what trees that see the features would find; each is a function of one mode's four features.
    """
    columns = [rows.astype(float)]
    for mean, std, skewness, kurtosis in (columns[0].T[:4], columns[0].T[4:]):
        second = std**2 + mean**2
        third = skewness * std**3 + 3 * mean * std**2 + mean**3
        fourth = (kurtosis + 3) * std**4 + 4 * mean * skewness * std**3 + 6 * mean**2 * std**2 + mean**4
        shapes = [second / np.maximum(mean, 1e-9), third / np.maximum(second, 1e-9), fourth / np.maximum(third, 1e-9)]
        columns.append(np.column_stack([*shapes, kurtosis - skewness**2]))
    return np.column_stack(columns)


class Loss:
    """Distance of simulated from real features, for one class."""

    def __init__(self, real, n_directions=40):
        real = with_shapes(real)
        self.sorted = np.sort(real, 0)
        scores = self.scores(real)
        rng = np.random.default_rng(0)
        n_columns = real.shape[1]
        directions = rng.normal(size=(n_columns, n_directions))
        # Half of the directions look where the real scores hardly vary.
        values, vectors = np.linalg.eigh(np.cov(scores.T))
        whiten = vectors / np.sqrt(np.maximum(values, 0.01))
        directions[:, ::2] = whiten @ directions[:, ::2]
        unit = np.eye(n_columns)
        pairs = [unit[i] + sign * unit[j] for i in range(8) for j in range(i) for sign in (1, -1)]
        self.directions = np.column_stack([directions, *pairs])
        self.projections = np.sort(scores @ self.directions, 0)

    def scores(self, rows):
        """Normal scores of each feature's rank among the real ones; ties in the middle."""
        ranks = [
            (np.searchsorted(real, column, "left") + np.searchsorted(real, column, "right")) / 2
            for real, column in zip(self.sorted.T, rows.T)
        ]
        return ndtri((np.column_stack(ranks) + 0.5) / (len(self.sorted) + 1))

    def __call__(self, rows):
        rows = with_shapes(rows)
        features = np.array([ks(real, column) for real, column in zip(self.sorted.T, rows.T)])
        projected = (self.scores(rows) @ self.directions).T
        projections = np.array([ks(real, column) for real, column in zip(self.projections.T, projected)])
        return 2 * features.mean() + features.max() / 2 + 1.5 * projections.mean() + projections.max() / 4


# The numbers that are fitted, and their scale: logarithms, log-odds, or as they are.


def numbers(node, path=()):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from numbers(value, (*path, key))
        else:
            yield (*path, key)


def scale(path):
    if path[-1].endswith("exponent"):
        return "linear"
    if path[-1].endswith("_share") or path[-1] in ("inverted", "further_component"):
        return "odds"
    return "logarithm"


def encode(path, value):
    if scale(path) == "linear":
        return value
    if scale(path) == "odds":
        value = min(max(value, 0.001), 0.999)
        return np.log(value / (1 - value))
    return np.log(max(value, 0.02) if path[-1] == "log_std" else value)


def decode(path, value):
    if scale(path) == "linear":
        return float(np.clip(value, -2, 2))
    if scale(path) == "odds":
        return float(1 / (1 + np.exp(-value)))
    return float(np.exp(np.clip(value, *((-4.6, 1.39) if path[-1] == "log_std" else (-20, 20)))))


def place(node, path):
    for key in path[:-1]:
        node = node[key]
    return node, path[-1]


class Problem:
    def __init__(self, rows, pulsars, start):
        self.start = copy.deepcopy(start)
        self.start.update(pulsar_fraction=float(pulsars), n_candidates=6000)
        fitted = ["pulsar", "dispersion_measure"] if pulsars else OTHERS
        if not pulsars:
            fitted = [*fitted, "band_share", *(f"{kind}_share" for kind in OTHERS[:3]), "chance"]
        population = self.start["population"]
        self.paths = [path for path in numbers(population) if path[0] in fitted]
        self.paths = [path for path in self.paths if path != ("pulsar", "inverted")]
        self.first = np.array([encode(path, at[key]) for path in self.paths for at, key in [place(population, path)]])
        self.loss = Loss(rows[rows[:, 8] == pulsars][:, :8])

    def config(self, values):
        config = copy.deepcopy(self.start)
        for path, value in zip(self.paths, values):
            node, key = place(config["population"], path)
            node[key] = decode(path, value)
        return config

    def __call__(self, values):
        config = self.config(values)
        if sum(config["population"][f"{kind}_share"] for kind in OTHERS[:3]) > 0.9:
            return 5.0
        # One seed for all: what differs is the numbers alone.
        return self.loss(simulate(config, 1)[:, :8])


def fit(path, part, minutes, start, out):
    import cma

    global problem
    rows, _ = halves(np.loadtxt(path, delimiter=",", dtype=np.float32))
    problem = Problem(rows, part == "pulsars", json.load(open(start)))
    print(len(problem.paths), "numbers; loss at the start", round(problem(problem.first), 4), flush=True)
    search = cma.CMAEvolutionStrategy(problem.first, float(os.environ.get("STEP", "0.1")), {"verbose": -9, "popsize": 20, "seed": 3})
    deadline = time.time() + 60 * float(minutes)
    best, told = (np.inf, None), 0.0
    with Pool(2) as pool:
        while time.time() < deadline and not search.stop():
            points = search.ask()
            losses = pool.map(evaluate, points, chunksize=1)
            search.tell(points, losses)
            best = min(best, (min(losses), tuple(points[int(np.argmin(losses))])), key=lambda pair: pair[0])
            if time.time() > told + 30:
                told = time.time()
                print(search.countevals, round(best[0], 4), flush=True)
                with open(out, "w") as file:
                    json.dump({**json.load(open(start)), "population": problem.config(best[1])["population"]}, file)
    print(search.countevals, round(best[0], 4), flush=True)
    with open(out, "w") as file:
        json.dump({**json.load(open(start)), "population": problem.config(best[1])["population"]}, file)


def evaluate(values):
    return problem(values)


def auc(real, simulated):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows = np.concatenate([real, simulated])
    labels = np.repeat([1, 0], [len(real), len(simulated)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = HistGradientBoostingClassifier(random_state=0)
    return roc_auc_score(labels, cross_val_predict(model, rows, labels, cv=folds, method="predict_proba")[:, 1])


def report(path, config=None):
    real = np.loadtxt(path, delimiter=",", dtype=np.float32)
    fitted, held_out = halves(real)
    config = json.load(open(config)) if config else default_config()
    config.update(n_candidates=len(real), pulsar_fraction=float(real[:, 8].mean(dtype=float)))
    simulated = simulate(config, 7)
    parts = {"pulsars": 1, "others": 0}
    levels = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    for part, label in parts.items():
        print(f"\n{part}: quantiles at {levels}, real over simulated")
        for index, name in enumerate(NAMES):
            for rows in (real, simulated):
                quantiles = np.quantile(rows[rows[:, 8] == label][:, index], levels)
                print(f"  {name:12}", *(f"{value:9.2f}" for value in quantiles))
                name = ""
    print("\nKolmogorov-Smirnov distance: all rows, fitted half, held-out half")
    for part, label in parts.items():
        ours = simulated[simulated[:, 8] == label]
        for index, name in enumerate(NAMES):
            distances = [
                ks(np.sort(rows[rows[:, 8] == label][:, index]), ours[:, index]) for rows in (real, fitted, held_out)
            ]
            print(f"  {part:8} {name:12}", *(f"{distance:.3f}" for distance in distances))
    print("\nArea under the ROC curve, real against simulated")
    for part, label in parts.items():
        pair = [rows[rows[:, 8] == label][:, :8] for rows in (real, simulated)]
        print(f"  {part:8} {auc(*pair):.3f}")
    print(f"  {'all':8} {auc(real[:, :8], simulated[:, :8]):.3f}")
    print(f"  {'labelled':8} {auc(real, simulated):.3f}")
    held = held_out[:, :8]
    print(f"  {'held out':8} {auc(held, simulated[: len(held), :8]):.3f}")


if __name__ == "__main__":
    {"fit": fit, "report": report}[sys.argv[1]](*sys.argv[2:])
