"""LightGBM and scikit-learn's MLP in the arena: trained on its two regimes, scored in its 32 conditions.

    pip install numpy==2.4.6 scikit-learn==1.9.1 lightgbm==4.7.0
    emma experiment3 --grid none --out results/splits
    OMP_NUM_THREADS=1 python benches/peers/arena.py results/splits data/htru2/HTRU_2.csv \
        crates/emma-cli/arena/peers.json --tune
    OMP_NUM_THREADS=1 python benches/peers/arena.py results/splits data/htru2/HTRU_2.csv \
        crates/emma-cli/arena/peers.json --seeds 0-9

Reads the splits of a results folder of `emma experiment3` and nothing else of it. For each seed, both
learn from rows that are augmented as docs/arena.md says of narrow and broad training: LightGBM from
8 draws of all training rows together, with NaN for what is missing, the MLP 64-64 from fresh draws in
each of 35 epochs, with zeros. Augmented validation rows stop them. One threshold: the largest mean F1
over one copy of the validation rows for each condition that the regime knows, 5 or 21. Test F1 is the
mean over 4 draws where a fault is random.

`all_conditions` is no regime of the arena but an upper mark: LightGBM learns from all 32 test
conditions at once, which no learner that is to meet unknown faults may do.

`--tune` chooses among six combinations of hyper-parameters for each learner and regime by the mean F1
over the validation copies of seeds 0 and 1, writes them into the file, and empties it of seeds.
The upper mark has those of broad training.

Faults are of the distributions of `emma arena`, and other draws.
"""

import warnings
import zlib

import numpy as np
from oracle import (
    CONDITIONS,
    MODES,
    Rows,
    add_seeds,
    arguments_of,
    continued,
    corrupted,
    draws,
    f1,
    mlp,
    together,
    trees,
    versions,
    write,
)

KNOWN_CONDITIONS = {
    "narrow": ["uncorrupted", "ip:noise:0.5", "dm:noise:0.5", "ip:missing", "dm:missing"],
    "broad": ["uncorrupted"]
    + [
        f"{where}:noise:{level}"
        for where in ("ip", "dm", "both")
        for level in ("0.25", "0.5", "1", "2", "3", "4")
    ]
    + ["ip:missing", "dm:missing"],
    "all_conditions": CONDITIONS,
}
TRAINING_DRAWS = 8
STOPPING_DRAWS = 2
EPOCHS = 35
TUNING_SEEDS = (0, 1)
LEARNERS = {
    "narrow": ("lightgbm", "mlp_sklearn"),
    "broad": ("lightgbm", "mlp_sklearn"),
    "all_conditions": ("lightgbm",),
}
COMBINATIONS = {
    "lightgbm": [
        {"learning_rate": rate, "num_leaves": leaves} for rate in (0.04, 0.1) for leaves in (7, 15, 31)
    ],
    "mlp_sklearn": [
        {"learning_rate_init": rate, "alpha": alpha}
        for rate in (1e-3, 3e-3)
        for alpha in (1e-4, 1e-3, 1e-2)
    ],
}
# Thresholds that are tried, in log-odds, and neighbours on either side, as in the arena's threshold.rs.
POINTS = -6 + 0.05 * np.arange(241)
HALF_WINDOW = 4


def generator(seed, purpose):
    return np.random.default_rng([seed, zlib.crc32(f"arena {purpose}".encode())])


def noisy(z, level, modes, rng):
    """Adds noise in place: `level` by row, `modes` [rows, modes] says where."""
    for place, features in enumerate(MODES.values()):
        here = modes[:, place]
        noise = rng.normal(size=(here.sum(), z[:, features].shape[1]))
        z[here, features] += level[here, None] * noise


def one_mode(n_rows, rng):
    """Which one of its modes is meant in each row."""
    return rng.integers(len(MODES), size=n_rows)[:, None] == np.arange(len(MODES))


def missing(z, modes):
    for place, features in enumerate(MODES.values()):
        z[modes[:, place], features] = np.nan


def narrow(z, rng):
    """Noise of 0.5 on one mode of half of the rows; then a fifth of all lose a mode."""
    z, n_rows = z.copy(), len(z)
    is_noisy = rng.random(n_rows) < 0.5
    noisy(z, np.full(n_rows, 0.5), one_mode(n_rows, rng) & is_noisy[:, None], rng)
    missing(z, one_mode(n_rows, rng) & (rng.random(n_rows) < 0.2)[:, None])
    return z


def broad(z, rng):
    """12 % of the rows lose a mode, 20 % are clean; the rest have noise up to 4, 30 % of it on all modes."""
    z, n_rows = z.copy(), len(z)
    branch = rng.random(n_rows)
    missing(z, one_mode(n_rows, rng) & (branch < 0.12)[:, None])
    is_noisy = (branch >= 0.12) & (branch < 0.8)
    where = one_mode(n_rows, rng) | (rng.random(n_rows) < 0.3)[:, None]
    level = 4 * (1 - rng.random(n_rows))
    noisy(z, level, where & is_noisy[:, None], rng)
    return z


AUGMENTATIONS = {"narrow": narrow, "broad": broad}


def several(z, y, n_draws, regime, rng):
    """Draws of augmented rows together; of all conditions, each once."""
    if regime == "all_conditions":
        drawn = [corrupted(z, condition, rng, np.nan) for condition in CONDITIONS]
    else:
        drawn = [AUGMENTATIONS[regime](z, rng) for _ in range(n_draws)]
    return together(drawn, y)


def best_threshold(copies, y):
    """The threshold of the largest mean F1 over copies, averaged over nine neighbours."""
    mean = np.zeros(len(POINTS))
    for p in copies:
        with np.errstate(divide="ignore"):
            log_odds = np.log(p) - np.log1p(-p)
        taken = len(p) - np.searchsorted(np.sort(log_odds), POINTS)
        found = y.sum() - np.searchsorted(np.sort(log_odds[y == 1]), POINTS)
        mean += 2 * found / (taken + y.sum())
    smooth = [mean[max(0, k - HALF_WINDOW) : k + HALF_WINDOW + 1].mean() for k in range(len(POINTS))]
    return 1 / (1 + np.exp(-POINTS[int(np.argmax(smooth))]))


class Lesson:
    """The rows of a seed and a regime; what is missing is NaN, and zero for an MLP."""

    def __init__(self, z, y, split, seed, regime):
        self.seed, self.regime = seed, regime
        self.z = {part: z[rows] for part, rows in split.items()}
        self.y = {part: y[rows] for part, rows in split.items()}
        self.stopping = several(
            self.z["validation"],
            self.y["validation"],
            STOPPING_DRAWS,
            regime,
            generator(seed, f"{regime} stopping"),
        )
        rng = generator(seed, f"{regime} validation")
        self.copies = [
            corrupted(self.z["validation"], condition, rng, np.nan)
            for condition in KNOWN_CONDITIONS[regime]
        ]

    def fit(self, learner, options):
        """What predicts probabilities, the threshold, and the mean F1 over validation copies."""
        rng = generator(self.seed, f"{self.regime} {learner}")
        stopping, stopping_y = self.stopping
        if learner == "lightgbm":
            rows, labels = several(self.z["train"], self.y["train"], TRAINING_DRAWS, self.regime, rng)
            predict = trees(rows, labels, stopping, stopping_y, self.seed, **options)
        else:
            augment = AUGMENTATIONS[self.regime]
            network = mlp(
                lambda: np.nan_to_num(augment(self.z["train"], rng)),
                self.y["train"],
                np.nan_to_num(stopping),
                stopping_y,
                self.seed,
                epochs=EPOCHS,
                **options,
            )
            predict = lambda rows: network(np.nan_to_num(rows))
        y = self.y["validation"]
        copies = [predict(copy) for copy in self.copies]
        limit = best_threshold(copies, y)
        return predict, limit, float(np.mean([f1(p >= limit, y == 1) for p in copies]))

    def score(self, learner, options):
        predict, limit, validation_f1 = self.fit(learner, options)
        rng = generator(self.seed, "test")
        y = self.y["test"] == 1
        scores = {}
        for condition in CONDITIONS:
            drawn = draws(self.z["test"], condition, rng, np.nan)
            p = predict(np.concatenate(drawn)).reshape(len(drawn), -1)
            scores[condition] = round(float(np.mean([f1(one >= limit, y) for one in p])), 6)
        return {
            "threshold": round(float(limit), 6),
            "validation_f1": round(validation_f1, 6),
            "f1": scores,
        }


def tuned(rows):
    """The combination of the highest mean validation F1 over the tuning seeds, and that of all."""
    found = {}
    for regime in AUGMENTATIONS:
        lessons = []
        for seed in TUNING_SEEDS:
            _, split, z = rows.of_seed(seed)
            lessons.append(Lesson(z, rows.y, parts(split), seed, regime))
        found[regime] = {}
        for learner in LEARNERS[regime]:
            tried = []
            for options in COMBINATIONS[learner]:
                score = np.mean([lesson.fit(learner, options)[2] for lesson in lessons])
                tried.append({"options": options, "validation_f1": round(float(score), 6)})
            best = max(tried, key=lambda one: one["validation_f1"])
            found[regime][learner] = {"chosen": best["options"], "tried": tried}
            print(regime, learner, best, flush=True)
    return found


def parts(split):
    return {part: np.array(split[part]) for part in ("train", "validation", "test")}


def head(rows):
    """All that the file says before its seeds."""
    return {
        "format_version": 1,
        "what": "F1 on test rows of LightGBM and of scikit-learn's MLP 64-64 in the arena; regime "
        "all_conditions is no rival but an upper mark: LightGBM trained on all test conditions at once",
        "command": "python benches/peers/arena.py results/splits data/htru2/HTRU_2.csv "
        "crates/emma-cli/arena/peers.json",
        "versions": versions(),
        "data_sha256": rows.sha256,
        "conditions": CONDITIONS,
        "tuning_seeds": list(TUNING_SEEDS),
        "seeds": {},
    }


def main():
    warnings.filterwarnings("ignore", message=".*(feature names|eval_set).*")
    parser = arguments_of(__doc__)
    parser.add_argument("--tune", action="store_true", help="choose hyper-parameters, score nothing")
    arguments = parser.parse_args()
    rows = Rows(arguments)
    content = head(rows)
    if arguments.tune:
        write(arguments.out, content | {"hyper_parameters": tuned(rows)}, "regimes")
        return
    content = continued(content, arguments.out)
    if "hyper_parameters" not in content:
        parser.error(f"{arguments.out} has no hyper-parameters yet: run with --tune first")
    chosen = content["hyper_parameters"]

    def find(z, y, split, seed):
        regimes = {}
        for regime, learners in LEARNERS.items():
            lesson = Lesson(z, y, parts(split), seed, regime)
            options = chosen.get(regime, chosen["broad"])
            regimes[regime] = {
                learner: lesson.score(learner, options[learner]["chosen"]) for learner in learners
            }
        return {"regimes": regimes}

    add_seeds(content, rows, arguments, "regimes", find)
    for regime, learners in LEARNERS.items():
        for learner in learners:
            means = [
                np.mean(list(one["regimes"][regime][learner]["f1"].values()))
                for one in content["seeds"].values()
            ]
            print(f"{regime} {learner}: mean F1 {np.mean(means):.4f} over {len(means)} seeds")


if __name__ == "__main__":
    main()
