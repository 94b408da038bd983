//! A module of random shape and values, and its batch; and both ways through it.
#![allow(dead_code)] // Each test file uses what it needs.

use candle_core::{DType, Device, Tensor, Var};
use emma_attention::{
    Coldness, CouplingExponent, CouplingLimit, Emma, EmmaConfig, EmmaOutput, PotentialEnergies,
    Result,
};
use emma_energy::SeededVarMap;
use emma_testkit::devices_with;
use rand::Rng;

pub(crate) type Forward = fn(&Emma, &[Tensor], &PotentialEnergies) -> Result<EmmaOutput>;

/// What callers get (fused on the CPU in f32 and f64), and the definition: whatever one must do, the
/// other must.
pub(crate) const PATHS: [(&str, Forward); 2] = [
    ("forward", Emma::forward),
    ("forward_by_candle", Emma::forward_by_candle),
];

/// Both paths on every device that has the type.
pub(crate) fn ways(dtype: DType) -> impl Iterator<Item = (&'static Device, Forward)> {
    devices_with(dtype).flat_map(|device| PATHS.map(|(_, path)| (device, path)))
}

pub(crate) struct Fixture {
    pub(crate) emma: Emma,
    pub(crate) variables: SeededVarMap,
    pub(crate) potentials: PotentialEnergies,
    pub(crate) modes: Vec<Tensor>,
    /// Corruption signs, `[rows, modes]`.
    pub(crate) signs: Tensor,
}

impl Fixture {
    /// Parameters in the interior of their ranges, energies of moderate size; in f64.
    pub(crate) fn random(
        n_modes: usize,
        n_rows: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        Self::with(
            EmmaConfig {
                n_modes,
                coldness: Coldness::new(0.2)?,
                coupling_limit: CouplingLimit::SharedAmongModes,
                coupling_exponent: CouplingExponent::Free,
                ..EmmaConfig::default()
            },
            n_rows,
            seed,
            device,
        )
    }

    pub(crate) fn with(
        config: EmmaConfig,
        n_rows: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let mut rng = emma_testkit::rng(seed);
        let n_modes = config.n_modes;
        let mut uniform = |shape: &[usize], low: f64, high: f64| -> Result<Tensor> {
            let values: Vec<f64> = (0..shape.iter().product())
                .map(|_| rng.random_range(low..high))
                .collect();
            Ok(Tensor::from_vec(values, shape, device)?)
        };
        let square = [n_modes, n_modes];
        let limit = config.coupling_limit.bound(n_modes);
        let variables = SeededVarMap::new(emma_testkit::rng(seed));
        variables
            .preset("self_weight", &uniform(&[n_modes], 0.3, 2.)?)
            .unwrap();
        variables
            .preset("self_bias", &uniform(&[n_modes], 0.1, 1.5)?)
            .unwrap();
        variables
            .preset("coupling_weight", &uniform(&square, -limit, limit)?)
            .unwrap();
        variables
            .preset("coupling_exponent", &uniform(&square, 0.05, 0.95)?)
            .unwrap();
        variables.preset("gain", &uniform(&[1], 1., 4.)?).unwrap();
        variables
            .preset("attention_bias", &uniform(&[1], 0.05, 0.3)?)
            .unwrap();
        let minimum = uniform(&[n_modes], -3., 3.)?;
        let excess = uniform(&[n_rows, n_modes], 0.1, 8.)?;
        let vb = variables.var_builder(DType::F64, device);
        let modes = (0..n_modes)
            .map(|mode| uniform(&[n_rows, 1 + mode % 3], -2., 2.))
            .collect::<Result<Vec<_>>>()?;
        let signs = uniform(&[n_rows, n_modes], -1., 1.)?;
        let signs = ((signs.ge(&signs.zeros_like()?)?.to_dtype(DType::F64)? * 2.)? - 1.)?;
        Ok(Self {
            emma: Emma::new(&config, &minimum, &vb)?,
            potentials: PotentialEnergies::new(excess.broadcast_add(&minimum)?)?,
            variables,
            modes,
            signs,
        })
    }

    /// The six parameters with their names, in the order of [`NAMES`].
    pub(crate) fn named_vars(&self) -> Vec<(&'static str, Var)> {
        NAMES.into_iter().zip(self.variables.all_vars()).collect()
    }

    /// Smallest distance of any row and mode from the kink of `max(0, tanh(·))`.
    pub(crate) fn distance_from_kink(&self) -> Result<f64> {
        let output = self.emma.forward(&self.modes, &self.potentials)?;
        let argument = output
            .log_importance
            .importance()?
            .broadcast_mul(self.emma.gain())?
            .broadcast_sub(self.emma.attention_bias())?;
        Ok(argument.abs()?.flatten_all()?.min(0)?.to_scalar::<f64>()?)
    }
}

pub(crate) const NAMES: [&str; 6] = [
    "self_weight",
    "self_bias",
    "coupling_weight",
    "coupling_exponent",
    "gain",
    "attention_bias",
];
