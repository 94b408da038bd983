//! Variables whose first values come from a seeded generator.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::init::NormalOrUniform;
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use rand::distr::{Distribution, Uniform};
use rand::{Rng, RngCore};
use rand_distr::Normal;

use crate::error::{Error, Result};
use crate::transfer::transfer;

/// Variables by path, drawn on first use from a seeded generator; candle's `VarMap`, repeatable.
///
/// candle initializes variables with a generator that cannot be seeded on the CPU. Modules built
/// on this map's [`VarBuilder`](Self::var_builder), candle's own layers included, get the same
/// first values in every run with the same seed.
///
/// Cloning shares the variables.
///
/// ```
/// use candle_core::{DType, Device};
/// use emma_energy::SeededVarMap;
/// use rand::SeedableRng;
///
/// # fn main() -> candle_core::Result<()> {
/// let draw = || -> candle_core::Result<_> {
///     let variables = SeededVarMap::new(rand_chacha::ChaCha8Rng::seed_from_u64(7));
///     let vb = variables.var_builder(DType::F32, &Device::Cpu);
///     candle_nn::linear(3, 2, vb.pp("layer"))?.weight().to_vec2::<f32>()
/// };
/// assert_eq!(draw()?, draw()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SeededVarMap {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    generator: Box<dyn RngCore + Send>,
    /// In order of creation, which is the order of the optimizer and of the draws.
    variables: Vec<(String, Var)>,
    positions: HashMap<String, usize>,
}

impl SeededVarMap {
    /// An empty map that will draw from `generator`.
    pub fn new(generator: impl RngCore + Send + 'static) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                generator: Box::new(generator),
                variables: Vec::new(),
                positions: HashMap::new(),
            })),
        }
    }

    /// Builder that hands out this map's variables, drawing the ones it does not have.
    pub fn var_builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device.clone())
    }

    /// All variables, in order of creation.
    pub fn all_vars(&self) -> Vec<Var> {
        self.lock()
            .variables
            .iter()
            .map(|(_, var)| var.clone())
            .collect()
    }

    /// All variables with their paths, in order of creation.
    pub fn named_vars(&self) -> Vec<(String, Var)> {
        self.lock().variables.clone()
    }

    /// A copy of all values by path; later training does not change it.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        self.lock()
            .variables
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_detached_tensor().copy()?)))
            .collect()
    }

    /// Builder that hands out copies of the values as they are now, out of the reach of training.
    pub(crate) fn constants(&self, dtype: DType, device: &Device) -> Result<VarBuilder<'static>> {
        let values = self.snapshot()?.into_iter().collect();
        Ok(VarBuilder::from_tensors(values, dtype, device))
    }

    /// Sets every variable to its value in `values`; further entries of `values` are ignored.
    ///
    /// # Errors
    /// [`Error::MissingVariable`] if a variable has no entry; candle's if a shape differs.
    pub fn restore(&self, values: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, var) in &self.lock().variables {
            let value = values
                .get(name)
                .ok_or_else(|| Error::MissingVariable { name: name.clone() })?;
            var.set(value)?;
        }
        Ok(())
    }

    /// Gives a variable its first value, instead of a draw, before a module asks for it.
    ///
    /// The variable lives on the value's device and has its type.
    ///
    /// # Errors
    /// Candle's, if the path exists with another shape or type.
    pub fn preset(&self, name: &str, value: &Tensor) -> Result<()> {
        let mut inner = self.lock();
        if let Some(var) = inner.get(name) {
            var.set(value)?;
        } else {
            // A copy: the variable must not share its storage with the model it started from.
            let var = Var::from_tensor(&value.detach().copy()?)?;
            inner.insert(name, var);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere cannot leave the map half-changed: entries are added whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for SeededVarMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = self.lock();
        f.debug_map()
            .entries(
                inner
                    .variables
                    .iter()
                    .map(|(name, var)| (name, var.shape())),
            )
            .finish()
    }
}

impl Inner {
    fn get(&self, name: &str) -> Option<&Var> {
        self.positions
            .get(name)
            .map(|&position| &self.variables[position].1)
    }

    fn insert(&mut self, name: &str, var: Var) {
        self.positions.insert(name.to_owned(), self.variables.len());
        self.variables.push((name.to_owned(), var));
    }
}

impl SimpleBackend for SeededVarMap {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut inner = self.lock();
        if let Some(var) = inner.get(name) {
            if var.shape() != &shape {
                candle_core::bail!(
                    "{name}: expected shape {shape:?}, the variable has {:?}",
                    var.shape()
                )
            }
            if !var.device().same_device(device) {
                candle_core::bail!(
                    "{name}: expected a variable on {:?}, it is on {:?}",
                    device.location(),
                    var.device().location()
                )
            }
            return Ok(var.as_tensor().clone());
        }
        let values = draw(init, &shape, &mut inner.generator)?;
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
        let tensor = transfer(&tensor, dtype, device)?;
        let var = Var::from_tensor(&tensor)?;
        inner.insert(name, var.clone());
        Ok(var.into_inner())
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        match self.lock().get(name) {
            Some(var) => transfer(var, dtype, device),
            None => candle_core::bail!("no variable {name}, and no shape to draw it with"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.lock().get(name).is_some()
    }
}

/// Values are drawn in f64, so that an f32 model starts at the rounded values of the f64 one.
fn draw(init: Init, shape: &Shape, generator: &mut impl Rng) -> candle_core::Result<Vec<f64>> {
    let count = shape.elem_count();
    let normal = |mean: f64, std: f64, generator: &mut _| {
        let distribution = Normal::new(mean, std).map_err(candle_core::Error::wrap)?;
        Ok(distribution.sample_iter(generator).take(count).collect())
    };
    let uniform = |low: f64, high: f64, generator: &mut _| {
        let distribution = Uniform::new_inclusive(low, high).map_err(candle_core::Error::wrap)?;
        Ok(distribution.sample_iter(generator).take(count).collect())
    };
    match init {
        Init::Const(value) => Ok(vec![value; count]),
        Init::Randn { mean, stdev } => normal(mean, stdev, generator),
        Init::Uniform { lo, up } => uniform(lo, up, generator),
        Init::Kaiming {
            dist,
            fan,
            non_linearity,
        } => {
            let std = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => normal(0., std, generator),
                NormalOrUniform::Uniform => {
                    let bound = 3f64.sqrt() * std;
                    uniform(-bound, bound, generator)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emma_testkit::devices;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn map(seed: u64) -> SeededVarMap {
        SeededVarMap::new(ChaCha8Rng::seed_from_u64(seed))
    }

    fn first_values(seed: u64, device: &Device) -> candle_core::Result<Vec<Vec<f32>>> {
        let vb = map(seed).var_builder(DType::F32, device);
        candle_nn::linear(3, 2, vb)?.weight().to_vec2()
    }

    #[test]
    fn a_seed_repeats_and_another_differs() -> candle_core::Result<()> {
        let on_cpu = first_values(1, &Device::Cpu)?;
        for device in devices() {
            // Drawn on the CPU, so that a seed starts every device from the same values.
            assert_eq!(first_values(1, device)?, on_cpu);
            assert_ne!(first_values(2, device)?, on_cpu);
        }
        Ok(())
    }

    #[test]
    fn every_hint_is_drawn_as_candle_documents_it() -> candle_core::Result<()> {
        let vb = map(3).var_builder(DType::F64, &Device::Cpu);
        let moments = |name: &str, init| -> candle_core::Result<(f64, f64, f64)> {
            let values = vb.get_with_hints((100, 100), name, init)?.flatten_all()?;
            let mean = values.mean_all()?.to_scalar::<f64>()?;
            let largest = values.abs()?.max(0)?.to_scalar::<f64>()?;
            let square = values.sqr()?.mean_all()?.to_scalar::<f64>()?;
            Ok((mean, square - mean * mean, largest))
        };
        let (mean, variance, largest) = moments("uniform", Init::Uniform { lo: -2., up: 2. })?;
        assert!(mean.abs() < 0.05 && (variance - 4. / 3.).abs() < 0.05 && largest <= 2.);
        let (mean, variance, _) = moments(
            "normal",
            Init::Randn {
                mean: 1.,
                stdev: 3.,
            },
        )?;
        assert!((mean - 1.).abs() < 0.1 && (variance - 9.).abs() < 0.5);
        let (_, variance, largest) = moments("kaiming", candle_nn::init::DEFAULT_KAIMING_UNIFORM)?;
        assert!((variance - 2. / 100.).abs() < 1e-3 && largest <= (6f64 / 100.).sqrt());
        let (_, variance, _) = moments("normal_kaiming", candle_nn::init::DEFAULT_KAIMING_NORMAL)?;
        assert!((variance - 2. / 100.).abs() < 1e-3);
        Ok(())
    }

    #[test]
    fn restoring_a_snapshot_undoes_training() -> Result<()> {
        for device in devices() {
            let variables = map(4);
            let vb = variables.var_builder(DType::F32, device);
            let tensor = vb.get_with_hints(3, "a", Init::Const(1.))?;
            let before = variables.snapshot()?;
            variables.all_vars()[0].set(&Tensor::new(&[5f32, 6., 7.], device)?)?;
            assert_eq!(tensor.to_vec1::<f32>()?, [5., 6., 7.]);
            variables.restore(&before)?;
            assert_eq!(tensor.to_vec1::<f32>()?, [1., 1., 1.]);
            let error = variables.restore(&BTreeMap::new()).unwrap_err();
            assert_eq!(error.to_string(), "no value for variable a");
        }
        Ok(())
    }

    #[test]
    fn a_preset_value_is_copied_and_found_by_its_path() -> Result<()> {
        for device in devices() {
            let variables = map(5);
            let start = Var::new(&[1f32, 2.], device)?;
            variables.preset("layer.weight", &start)?;
            start.set(&Tensor::new(&[9f32, 9.], device)?)?;
            let vb = variables.var_builder(DType::F32, device);
            assert_eq!(vb.pp("layer").get(2, "weight")?.to_vec1::<f32>()?, [1., 2.]);
            let error = vb.pp("layer").get(3, "weight").unwrap_err().to_string();
            assert!(
                error.contains("layer.weight: expected shape [3]"),
                "{error}"
            );
        }
        Ok(())
    }

    #[test]
    fn a_variable_of_another_device_is_named_with_both() -> Result<()> {
        for device in devices().iter().filter(|device| !device.is_cpu()) {
            let variables = map(6);
            variables.preset("a", &Tensor::new(&[1f32], &Device::Cpu)?)?;
            let vb = variables.var_builder(DType::F32, device);
            let error = vb.get(1, "a").unwrap_err().to_string();
            let expected = format!(
                "a: expected a variable on {:?}, it is on Cpu",
                device.location()
            );
            assert!(error.starts_with(&expected), "{error}");
        }
        Ok(())
    }
}
