//! What is measured, against whom, and which ratios are wanted.

/// The program that a contestant runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `benches/kernels`.
    Kernels,
    /// `benches/network`.
    Network,
    /// `benches/peers/torch_peer.py`.
    Torch,
    /// `benches/peers/jax_peer.py`.
    Jax,
}

/// One column of a race.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) options: String,
    /// Whether it states the same numbers as ours: one model stands for a grid's in time only.
    pub(crate) agrees: bool,
}

impl Contestant {
    fn standing_for_a_grid(self) -> Self {
        Self {
            agrees: false,
            ..self
        }
    }
}

/// A ratio that is wanted: ours against the fastest of some contestants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) against: &'static str,
    pub(crate) contestants: &'static [&'static str],
    pub(crate) at_least: Option<f64>,
    pub(crate) aim: f64,
}

/// Contestants that take turns. The first one is ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Work {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What a sample's time is counted for.
    pub(crate) unit: &'static str,
    pub(crate) n_threads: usize,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) targets: Vec<Target>,
    /// Most bytes that ours may take beyond its inputs.
    pub(crate) memory_limit: Option<u64>,
}

fn contestant(name: &'static str, program: Program, options: &str) -> Contestant {
    Contestant {
        name,
        program,
        options: options.to_owned(),
        agrees: true,
    }
}

fn target(
    against: &'static str,
    contestants: &'static [&'static str],
    at_least: impl Into<Option<f64>>,
    aim: f64,
) -> Target {
    Target {
        against,
        contestants,
        at_least: at_least.into(),
        aim,
    }
}

const EAGER: &str = "PyTorch eager";
const COMPILED: &str = "PyTorch, loss compiled";
const WHOLE: &str = "PyTorch, whole step compiled";
const BATCHED: &str = "PyTorch batched by hand";
const BATCHED_COMPILED: &str = "PyTorch batched by hand, loss compiled";
const BATCHED_WHOLE: &str = "PyTorch batched by hand, whole step compiled";
const JAX: &str = "JAX jit + scan";
const VMAP: &str = "JAX jit + scan + vmap";

/// All works; those of several threads only where the machine has them.
pub(crate) fn all(n_cores: usize) -> Vec<Work> {
    let mut works = vec![one_model(), grid()];
    if n_cores >= 2 {
        works.push(grid_of_two_threads());
    }
    works.extend([stage_one(), network(), scoring(), many_modes()]);
    works
}

fn one_model() -> Work {
    Work {
        name: "step",
        title: "stage two of one model, one thread",
        unit: "a step",
        n_threads: 1,
        contestants: vec![
            contestant("EMMA's kernels", Program::Kernels, "--what step"),
            contestant(EAGER, Program::Torch, "--what step"),
            contestant(COMPILED, Program::Torch, "--what step --variant compiled"),
            contestant(WHOLE, Program::Torch, "--what step --variant whole"),
            contestant(JAX, Program::Jax, "--what step"),
        ],
        targets: vec![target("JAX jit + scan", &[JAX], 3.5, 7.)],
        memory_limit: None,
    }
}

fn grid() -> Work {
    Work {
        name: "grid",
        title: "grid of 125 models, one thread",
        unit: "a step of one model",
        n_threads: 1,
        contestants: vec![
            contestant("EMMA's kernels", Program::Kernels, "--what grid"),
            contestant(EAGER, Program::Torch, "--what step").standing_for_a_grid(),
            contestant(COMPILED, Program::Torch, "--what step --variant compiled")
                .standing_for_a_grid(),
            contestant(WHOLE, Program::Torch, "--what step --variant whole").standing_for_a_grid(),
            contestant(BATCHED, Program::Torch, "--what grid"),
            contestant(
                BATCHED_COMPILED,
                Program::Torch,
                "--what grid --variant compiled",
            ),
            contestant(BATCHED_WHOLE, Program::Torch, "--what grid --variant whole"),
            contestant(VMAP, Program::Jax, "--what grid"),
        ],
        targets: vec![
            target(
                "PyTorch eager, potentials cached, fused Adam",
                &[EAGER],
                400.,
                800.,
            ),
            target("torch.compile of the loss", &[COMPILED], 200., 350.),
            target("torch.compile at its best", &[COMPILED, WHOLE], 200., 350.),
            target(
                "PyTorch batched by hand and compiled (loss)",
                &[BATCHED_COMPILED],
                8.,
                15.,
            ),
            target(
                "PyTorch batched by hand and compiled, at its best",
                &[BATCHED_COMPILED, BATCHED_WHOLE],
                8.,
                15.,
            ),
            target("JAX jit + scan + vmap", &[VMAP], 2., 4.),
        ],
        memory_limit: None,
    }
}

fn grid_of_two_threads() -> Work {
    const DEVICES: &str = "JAX jit + scan + vmap, two devices";
    const PROCESSES: &str = "JAX jit + scan + vmap, two processes";
    let threads = |what: &str| format!("{what} --threads 2");
    Work {
        name: "grid2",
        title: "grid of 125 models, two threads",
        unit: "a step of one model",
        n_threads: 2,
        contestants: vec![
            contestant("EMMA's kernels", Program::Kernels, &threads("--what grid")),
            contestant(EAGER, Program::Torch, &threads("--what step")).standing_for_a_grid(),
            contestant(
                BATCHED_WHOLE,
                Program::Torch,
                &threads("--what grid --variant whole"),
            ),
            contestant(VMAP, Program::Jax, &threads("--what grid")),
            contestant(
                DEVICES,
                Program::Jax,
                &threads("--what grid --parallel devices"),
            ),
            contestant(
                PROCESSES,
                Program::Jax,
                &threads("--what grid --parallel processes"),
            ),
        ],
        targets: vec![
            target(
                "PyTorch eager, potentials cached, fused Adam",
                &[EAGER],
                None,
                1500.,
            ),
            target(
                "JAX jit + scan + vmap, at its best",
                &[VMAP, DEVICES, PROCESSES],
                2.,
                4.,
            ),
        ],
        memory_limit: None,
    }
}

fn stage_one() -> Work {
    Work {
        name: "stage_one",
        title: "stage one of one mode, one thread",
        unit: "a step",
        n_threads: 1,
        contestants: vec![
            contestant("EMMA's kernels", Program::Kernels, "--what stage_one"),
            contestant(EAGER, Program::Torch, "--what stage_one"),
            contestant(
                COMPILED,
                Program::Torch,
                "--what stage_one --variant compiled",
            ),
            contestant(WHOLE, Program::Torch, "--what stage_one --variant whole"),
            contestant(JAX, Program::Jax, "--what stage_one"),
        ],
        targets: vec![target("PyTorch eager", &[EAGER], 80., 130.)],
        memory_limit: None,
    }
}

fn network() -> Work {
    Work {
        name: "network",
        title: "any candle network behind EMMA, one thread",
        unit: "a step",
        n_threads: 1,
        contestants: vec![
            contestant(
                "EMMA, candle's autograd",
                Program::Network,
                "--what network",
            ),
            contestant(EAGER, Program::Torch, "--what step"),
        ],
        targets: vec![target("PyTorch eager", &[EAGER], 6., 8.)],
        memory_limit: None,
    }
}

fn scoring() -> Work {
    const JAX: &str = "JAX jit, chunks of 2,000 rows";
    const COMPILED: &str = "PyTorch compiled";
    Work {
        name: "score",
        title: "scoring a million rows from memory, one thread",
        unit: "a million rows",
        n_threads: 1,
        contestants: vec![
            contestant("EMMA's kernels", Program::Kernels, "--what score"),
            contestant(EAGER, Program::Torch, "--what score"),
            contestant(COMPILED, Program::Torch, "--what score --variant compiled"),
            contestant(JAX, Program::Jax, "--what score"),
        ],
        targets: vec![
            target("PyTorch eager", &[EAGER], 10., 15.),
            target("JAX jit, best chunk", &[JAX], 4.5, 6.),
        ],
        memory_limit: None,
    }
}

fn many_modes() -> Work {
    const DENSE: &str = "PyTorch eager";
    const CHUNKS: &str = "PyTorch eager in chunks, gradient by hand";
    const COMPILED: &str = "PyTorch compiled, gradient by hand";
    const AUTOGRAD: &str = "PyTorch compiled, autograd";
    let modes = |form: &str| format!("--what modes --modes 512 --rows 256 {form}");
    Work {
        name: "modes",
        title: "shared energy of 512 modes, 256 rows, with gradients, one thread",
        unit: "a batch",
        n_threads: 1,
        contestants: vec![
            contestant("EMMA's kernels", Program::Kernels, &modes("")),
            contestant(DENSE, Program::Torch, &modes("--variant dense")),
            contestant(CHUNKS, Program::Torch, &modes("--variant eager")),
            contestant(COMPILED, Program::Torch, &modes("--variant compiled")),
            contestant(AUTOGRAD, Program::Torch, &modes("--variant autograd")),
            contestant("JAX jit", Program::Jax, &modes("")),
        ],
        targets: vec![
            target("PyTorch eager, best form", &[DENSE, CHUNKS], 20., 28.),
            target(
                "PyTorch, best form",
                &[DENSE, CHUNKS, COMPILED, AUTOGRAD],
                20.,
                28.,
            ),
        ],
        memory_limit: Some(20_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_names_contestants_of_its_work() {
        for work in all(2) {
            for target in &work.targets {
                for name in target.contestants {
                    let found = work.contestants[1..].iter().any(|one| one.name == *name);
                    assert!(found, "{}: {name}", work.name);
                }
            }
        }
    }

    #[test]
    fn ours_comes_first_and_alone() {
        for work in all(2) {
            let is_ours = |program| matches!(program, Program::Kernels | Program::Network);
            let ours = work.contestants.iter().map(|one| is_ours(one.program));
            let expected = (0..work.contestants.len()).map(|number| number == 0);
            assert!(ours.eq(expected), "{}", work.name);
        }
    }

    #[test]
    fn one_core_runs_one_thread() {
        assert!(all(1).iter().all(|work| work.n_threads == 1));
    }
}
