//! Epochs of stage two, of one model or of a grid, and of stage one.

use std::thread::ScopedJoinHandle;

use emma_bench::contestant::Ready;
use emma_bench::workload::{
    BATCH_SIZE, Data, GATE, LEARNING_RATE, MINIMUM_SELF_WEIGHT, N_FEATURES, N_HIDDEN, N_MODES,
    N_ROWS, N_STEPS, Orders, Settings, WIDTHS, autoencoder, network,
};
use emma_kernels::{
    Batches, GateConfig, Network, Rows, StageOne, StageOneConfig, StageTwo, StageTwoConfig,
};

use crate::Work;
use crate::scoring::{minimum, potentials};

/// Steps that instructions are counted over.
const N_COUNTED: usize = 30;

/// Models that train on the same rows in the same order.
pub(crate) struct Grid {
    data: Data,
    potentials: Vec<f32>,
    orders: Orders,
    n_threads: usize,
    models: Vec<StageTwo>,
}

impl Grid {
    pub(crate) fn one() -> Self {
        Self::new(&[Settings::ONE], 1)
    }

    pub(crate) fn of(n_models: usize, n_threads: usize) -> Self {
        let settings: Vec<Settings> = (0..n_models).map(Settings::of_grid).collect();
        Self::new(&settings, n_threads)
    }

    fn new(settings: &[Settings], n_threads: usize) -> Self {
        let data = Data::new();
        let potentials = potentials(&data);
        let minimum = minimum(&potentials);
        let parameters = [&GATE[..], &network()].concat();
        let models = settings
            .iter()
            .map(|settings| StageTwo::new(config(settings, &minimum), &parameters));
        Self {
            models: models.collect(),
            data,
            potentials,
            orders: Orders::new(),
            n_threads,
        }
    }

    /// Batches are laid out once, for all models. Returns the mean of the models' losses.
    fn epoch(&mut self, n_rows: usize) -> f64 {
        let rows = Rows {
            modes: self.data.modes.iter().map(Vec::as_slice).collect(),
            potentials: &self.potentials,
            signs: &self.data.signs,
            labels: &self.data.labels,
        };
        let order = self.orders.current()[..n_rows].iter().copied();
        let batches = Batches::new(&rows, &[N_FEATURES; N_MODES], BATCH_SIZE, order);
        let n_models = self.models.len();
        let train = |models: &mut [StageTwo]| -> f64 {
            models.iter_mut().map(|model| model.epoch(&batches)).sum()
        };
        let total: f64 = if self.n_threads == 1 {
            train(&mut self.models)
        } else {
            let parts = self.models.chunks_mut(n_models.div_ceil(self.n_threads));
            std::thread::scope(|scope| {
                let threads: Vec<_> = parts.map(|models| scope.spawn(|| train(models))).collect();
                let losses = threads.into_iter().map(ScopedJoinHandle::join);
                losses.map(|loss| loss.unwrap_or(f64::NAN)).sum()
            })
        };
        total / n_models as f64
    }
}

impl Work for Grid {
    fn units(&self) -> usize {
        self.models.len() * N_STEPS
    }

    fn run(&mut self) {
        self.orders.shuffle();
        self.epoch(N_ROWS);
    }

    fn run_part(&mut self) {
        self.epoch(N_COUNTED * BATCH_SIZE);
    }

    fn prepare(&mut self) -> Ready {
        let loss = self.epoch(N_ROWS);
        self.run();
        Ready {
            check: vec![loss],
            ..Ready::default()
        }
    }
}

fn config(settings: &Settings, minimum: &[f32]) -> StageTwoConfig {
    StageTwoConfig {
        mode_widths: vec![N_FEATURES; N_MODES],
        gate: GateConfig::Emma {
            minimum_potential: minimum.to_vec(),
            coldness: settings.coldness,
            capacity_weight: settings.capacity_weight,
            capacity_minus_bias: true,
            energy_weight: settings.energy_weight,
            minimum_self_weight: MINIMUM_SELF_WEIGHT,
            coupling_limit: 1.,
            symmetric: false,
        },
        network: Network {
            widths: WIDTHS.to_vec(),
        },
        batch_size: BATCH_SIZE,
        learning_rate: LEARNING_RATE,
        positive_weight: 1.,
    }
}

/// Stage one of one mode: rows are put into a new order every epoch.
pub(crate) struct Autoencoder {
    data: Data,
    orders: Orders,
    model: StageOne,
    clean: Vec<f32>,
    noisy: Vec<f32>,
}

impl Autoencoder {
    pub(crate) fn new() -> Self {
        let config = StageOneConfig {
            n_features: N_FEATURES,
            n_hidden: N_HIDDEN,
            batch_size: BATCH_SIZE,
            learning_rate: LEARNING_RATE,
        };
        let data = Data::new();
        Self {
            orders: Orders::new(),
            model: StageOne::new(config, &autoencoder(0).concat()),
            clean: data.modes[0].clone(),
            noisy: data.noisy.clone(),
            data,
        }
    }
}

impl Work for Autoencoder {
    fn units(&self) -> usize {
        N_STEPS
    }

    fn run(&mut self) {
        self.orders.shuffle();
        for (rows, source) in [
            (&mut self.clean, &self.data.modes[0]),
            (&mut self.noisy, &self.data.noisy),
        ] {
            let rows = rows.chunks_exact_mut(N_FEATURES);
            for (row, &from) in rows.zip(self.orders.current()) {
                row.copy_from_slice(&source[from * N_FEATURES..][..N_FEATURES]);
            }
        }
        self.model.epoch(&self.clean, &self.noisy);
    }

    fn run_part(&mut self) {
        let n = N_COUNTED * BATCH_SIZE * N_FEATURES;
        self.model.epoch(&self.clean[..n], &self.noisy[..n]);
    }

    fn prepare(&mut self) -> Ready {
        let loss = self.model.epoch(&self.clean, &self.noisy);
        self.run();
        Ready {
            check: vec![loss],
            ..Ready::default()
        }
    }
}
