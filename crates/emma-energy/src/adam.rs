//! Plain Adam, whose memory can be kept and taken up again.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use candle_nn::Optimizer;

use crate::error::Error;
use crate::seeded_var_map::SeededVarMap;

/// Decay of the mean gradient.
const BETA_1: f64 = 0.9;
/// Decay of the mean squared gradient.
const BETA_2: f64 = 0.999;
/// Added to the root of the mean squared gradient.
const EPSILON: f64 = 1e-8;

/// Adam without weight decay, as the thesis trains (candle's `AdamW` decays by default).
///
/// After t steps with gradients g:
/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
/// `θ ← θ − η (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`, with `β = (0.9, 0.999)` and `ε = 1e-8`.
///
/// candle's own keeps m and v to itself; a training that is to go on where it stopped needs them.
///
/// # Source
/// Kingma and Ba, "Adam: a method for stochastic optimization" (2014), algorithm 1, with its defaults.
#[derive(Debug)]
pub struct Adam {
    parameters: Vec<Parameter>,
    learning_rate: f64,
    n_steps: u64,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    var: Var,
    mean: Tensor,
    mean_square: Tensor,
}

/// What Adam remembers of the gradients, by the name of the variable.
#[derive(Debug, Clone, Default)]
pub struct AdamState {
    /// Steps taken, t.
    pub n_steps: u64,
    /// Decayed mean gradient m, in the shape of the variable.
    pub mean: BTreeMap<String, Tensor>,
    /// Decayed mean squared gradient v, in the shape of the variable.
    pub mean_square: BTreeMap<String, Tensor>,
}

impl Adam {
    /// Optimizes all variables of the map, without a memory.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn new(variables: &SeededVarMap, learning_rate: f64) -> Result<Self> {
        Self::of(variables.named_vars(), learning_rate)
    }

    fn of(variables: Vec<(String, Var)>, learning_rate: f64) -> Result<Self> {
        let parameters = variables
            .into_iter()
            .map(|(name, var)| {
                Ok(Parameter {
                    name,
                    mean: var.zeros_like()?,
                    mean_square: var.zeros_like()?,
                    var,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            parameters,
            learning_rate,
            n_steps: 0,
        })
    }

    /// Goes on with what an earlier optimizer of the same variables remembered.
    ///
    /// # Errors
    /// [`Error::MissingVariable`], [`Error::VariableShape`]; candle's otherwise.
    pub fn resume(
        variables: &SeededVarMap,
        learning_rate: f64,
        state: &AdamState,
    ) -> crate::Result<Self> {
        let mut adam = Self::new(variables, learning_rate)?;
        adam.n_steps = state.n_steps;
        for parameter in &mut adam.parameters {
            parameter.mean = remembered(&state.mean, parameter)?;
            parameter.mean_square = remembered(&state.mean_square, parameter)?;
        }
        Ok(adam)
    }

    /// What it remembers.
    pub fn state(&self) -> AdamState {
        let collect = |part: fn(&Parameter) -> &Tensor| {
            let parameters = self.parameters.iter();
            parameters
                .map(|parameter| (parameter.name.clone(), part(parameter).clone()))
                .collect()
        };
        AdamState {
            n_steps: self.n_steps,
            mean: collect(|parameter| &parameter.mean),
            mean_square: collect(|parameter| &parameter.mean_square),
        }
    }
}

fn remembered(values: &BTreeMap<String, Tensor>, parameter: &Parameter) -> crate::Result<Tensor> {
    let name = &parameter.name;
    let value = values
        .get(name)
        .ok_or_else(|| Error::MissingVariable { name: name.clone() })?;
    if value.shape() != parameter.var.shape() {
        return Err(Error::VariableShape {
            name: name.clone(),
            expected: parameter.var.dims().to_vec(),
            found: value.dims().to_vec(),
        });
    }
    Ok(crate::transfer(
        value,
        parameter.var.dtype(),
        parameter.var.device(),
    )?)
}

impl Optimizer for Adam {
    /// The learning rate η; the variables come by [`Adam::new`].
    type Config = f64;

    fn new(variables: Vec<Var>, learning_rate: f64) -> Result<Self> {
        let numbered = variables.into_iter().enumerate();
        let named = numbered.map(|(position, var)| (position.to_string(), var));
        Self::of(named.collect(), learning_rate)
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        self.n_steps += 1;
        // Beyond i32 steps both powers are 0.
        let n_steps = i32::try_from(self.n_steps).unwrap_or(i32::MAX);
        let [mean_scale, square_scale] =
            [BETA_1, BETA_2].map(|decay| 1. / (1. - decay.powi(n_steps)));
        for parameter in &mut self.parameters {
            let Some(gradient) = gradients.get(&parameter.var) else {
                continue;
            };
            let mean = ((&parameter.mean * BETA_1)? + (gradient * (1. - BETA_1))?)?;
            let mean_square =
                ((&parameter.mean_square * BETA_2)? + (gradient.sqr()? * (1. - BETA_2))?)?;
            let root = ((&mean_square * square_scale)?.sqrt()? + EPSILON)?;
            let step = (((&mean * mean_scale)? / root)? * self.learning_rate)?;
            let next = parameter.var.as_tensor().sub(&step)?;
            parameter.var.set(&next)?;
            // Gradients may carry a graph of their own, which a memory must not keep alive.
            parameter.mean = mean.detach();
            parameter.mean_square = mean_square.detach();
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::{AdamW, Init, ParamsAdamW};

    use super::*;

    fn map() -> SeededVarMap {
        let variables = SeededVarMap::new(emma_testkit::rng(3));
        let vb = variables.var_builder(DType::F32, &Device::Cpu);
        let uniform = Init::Uniform { lo: -1., up: 1. };
        for (name, width) in [("a", 3), ("b", 5)] {
            vb.get_with_hints(width, name, uniform).unwrap();
        }
        variables
    }

    /// Σ exp(a) + Σ b⁴: gradients that change with every step.
    fn loss(variables: &SeededVarMap) -> Result<Tensor> {
        let vars = variables.all_vars();
        vars[0].exp()?.sum_all()? + vars[1].powf(4.)?.sum_all()?
    }

    fn values(variables: &SeededVarMap) -> Vec<Vec<f32>> {
        let vars = variables.all_vars();
        vars.iter().map(|var| var.to_vec1().unwrap()).collect()
    }

    #[test]
    fn without_decay_candles_optimizer_has_the_same_bits() -> Result<()> {
        let (ours, candles) = (map(), map());
        let mut adam = Adam::new(&ours, 0.03)?;
        let params = ParamsAdamW {
            lr: 0.03,
            weight_decay: 0.,
            ..ParamsAdamW::default()
        };
        let mut reference = AdamW::new(candles.all_vars(), params)?;
        for _ in 0..50 {
            adam.backward_step(&loss(&ours)?)?;
            reference.backward_step(&loss(&candles)?)?;
            assert_eq!(values(&ours), values(&candles));
        }
        Ok(())
    }

    #[test]
    fn a_memory_taken_up_again_goes_on_to_the_same_bits() -> crate::Result<()> {
        let (whole, broken) = (map(), map());
        let mut adam = Adam::new(&whole, 0.03)?;
        let mut first = Adam::new(&broken, 0.03)?;
        for _ in 0..7 {
            adam.backward_step(&loss(&whole)?)?;
            first.backward_step(&loss(&broken)?)?;
        }
        let state = first.state();
        drop(first);
        let mut second = Adam::resume(&broken, 0.03, &state)?;
        for _ in 0..7 {
            adam.backward_step(&loss(&whole)?)?;
            second.backward_step(&loss(&broken)?)?;
        }
        assert_eq!(values(&whole), values(&broken));
        // Without the memory it would not.
        let mut forgetful = Adam::new(&broken, 0.03)?;
        adam.backward_step(&loss(&whole)?)?;
        forgetful.backward_step(&loss(&broken)?)?;
        assert_ne!(values(&whole), values(&broken));
        Ok(())
    }

    #[test]
    fn a_memory_of_other_variables_is_refused() -> crate::Result<()> {
        let variables = map();
        let mut state = Adam::new(&variables, 0.1)?.state();
        state
            .mean
            .insert("a".into(), Tensor::new(&[1f32], &Device::Cpu)?);
        let error = Adam::resume(&variables, 0.1, &state).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected variable a of shape [3], got [1]"
        );
        state.mean.remove("a");
        let error = Adam::resume(&variables, 0.1, &state).unwrap_err();
        assert_eq!(error.to_string(), "no value for variable a");
        Ok(())
    }
}
