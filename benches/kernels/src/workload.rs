//! The workload: shapes of HTRU2, numbers from a hash that every language computes alike.

/// Training rows: 375 batches.
pub const N_ROWS: usize = 12_000;
/// Rows a batch.
pub const BATCH_SIZE: usize = 32;
/// Steps an epoch.
pub const N_STEPS: usize = N_ROWS / BATCH_SIZE;
/// Modes.
pub const N_MODES: usize = 2;
/// Features of a mode.
pub const N_FEATURES: usize = 4;
/// Hidden units of a mode's autoencoder.
pub const N_HIDDEN: usize = 12;
/// Features, hidden layers, 1.
pub const WIDTHS: [usize; 4] = [8, 8, 4, 1];
/// Rows that are scored.
pub const N_SCORED: usize = 1_000_000;
/// Adam's step size.
pub const LEARNING_RATE: f64 = 1e-3;
/// Lower bound of self-energy weights.
pub const MINIMUM_SELF_WEIGHT: f64 = 1e-3;

/// Settings of a grid's model; [`ONE`](Self::ONE) where there is one model only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// ρ.
    pub coldness: f64,
    /// λ_c.
    pub capacity_weight: f64,
    /// λ_e.
    pub energy_weight: f64,
}

impl Settings {
    /// The settings of a single model.
    pub const ONE: Self = Self {
        coldness: 0.3,
        capacity_weight: 1e-3,
        energy_weight: 1e-2,
    };

    /// The model of that number in a grid of 5 × 5 × 5.
    pub fn of_grid(number: usize) -> Self {
        Self {
            coldness: 0.1 + 0.1 * (number % 5) as f64,
            capacity_weight: 1e-3 * (1 + number / 5 % 5) as f64,
            energy_weight: 1e-2 * (number / 25 % 5) as f64,
        }
    }
}

/// The finalizer of SplitMix64, of a counter.
fn hash(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Numbers of [0, 1), multiples of 2⁻²⁴.
pub fn uniform(stream: u64, n: usize) -> Vec<f32> {
    let first = (stream << 32) + 1;
    (first..first + n as u64)
        .map(|counter| (hash(counter) >> 40) as f32 * (-24f32).exp2())
        .collect()
}

/// Numbers of [−bound, bound).
pub fn symmetric(stream: u64, n: usize, bound: f32) -> Vec<f32> {
    let mut numbers = uniform(stream, n);
    for number in &mut numbers {
        *number = (2. * *number - 1.) * bound;
    }
    numbers
}

/// Orders of an epoch's rows, one after the other.
#[derive(Debug)]
pub struct Orders {
    counter: u64,
    order: Vec<usize>,
}

impl Orders {
    /// The first order is that of the rows themselves.
    pub fn new() -> Self {
        Self {
            counter: 99 << 32,
            order: (0..N_ROWS).collect(),
        }
    }

    /// The order as it is now.
    pub fn current(&self) -> &[usize] {
        &self.order
    }

    /// Draws another one.
    pub fn shuffle(&mut self) {
        for left in (1..self.order.len()).rev() {
            self.counter += 1;
            let share = (hash(self.counter) >> 32) * (left as u64 + 1);
            self.order.swap(left, (share >> 32) as usize);
        }
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self::new()
    }
}

/// Labelled rows of two modes, with their corruption.
#[derive(Debug)]
pub struct Data {
    /// `[rows, 4]` a mode.
    pub modes: [Vec<f32>; N_MODES],
    /// 1 or 0.
    pub labels: Vec<f32>,
    /// `[rows, modes]`, −1 where corrupted.
    pub signs: Vec<f32>,
    /// The first mode with noise.
    pub noisy: Vec<f32>,
}

impl Data {
    /// Always the same rows.
    pub fn new() -> Self {
        let labels: Vec<f32> = uniform(1, N_ROWS)
            .into_iter()
            .map(|number| f32::from(number < 0.1))
            .collect();
        let both = symmetric(2, N_ROWS * N_MODES * N_FEATURES, 1.5);
        let mut modes = [const { Vec::new() }; N_MODES];
        for (row, label) in both.chunks_exact(N_MODES * N_FEATURES).zip(&labels) {
            for (mode, features) in modes.iter_mut().zip(row.chunks_exact(N_FEATURES)) {
                mode.extend(features.iter().map(|feature| feature + (label - 0.1)));
            }
        }
        let signs = uniform(3, N_ROWS * N_MODES)
            .into_iter()
            .map(|number| if number < 0.33 { -1. } else { 1. })
            .collect();
        let noise = symmetric(8, N_ROWS * N_FEATURES, 0.8);
        let noisy = modes[0].iter().zip(noise).map(|(x, n)| x + n).collect();
        Self {
            modes,
            labels,
            signs,
            noisy,
        }
    }

    /// Rows with their modes side by side.
    pub fn side_by_side(&self) -> Vec<f32> {
        let [first, second] = &self.modes;
        let rows = first
            .chunks_exact(N_FEATURES)
            .zip(second.chunks_exact(N_FEATURES));
        rows.flat_map(|(first, second)| first.iter().chain(second).copied())
            .collect()
    }
}

impl Default for Data {
    fn default() -> Self {
        Self::new()
    }
}

/// Parameters of one mode's autoencoder: weight `[12, 4]`, encoder bias, decoder bias.
pub fn autoencoder(mode: usize) -> [Vec<f32>; 3] {
    [
        (4, N_HIDDEN * N_FEATURES, 0.8),
        (5, N_HIDDEN, 0.2),
        (6, N_FEATURES, 0.2),
    ]
    .map(|(stream, n, bound)| symmetric(stream, N_MODES * n, bound)[mode * n..][..n].to_vec())
}

/// Self-energy weights and biases, coupling weights and exponents, gain, attention bias.
pub const GATE: [f32; 14] = [
    1., 1., 3., 3., 0., 0.2, 0.2, 0., 0.5, 0.5, 0.5, 0.5, 2., 0.3,
];

/// Weight `[out, in]` and bias of each layer.
pub fn network() -> Vec<f32> {
    let n = WIDTHS.windows(2).map(|width| (width[0] + 1) * width[1]);
    symmetric(7, n.sum(), 0.35)
}
