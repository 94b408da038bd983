//! The gate of many modes, with the gradients of all its parameters and of the potentials.

use emma_bench::contestant::Ready;
use emma_bench::memory;
use emma_bench::workload::{symmetric, uniform};
use emma_kernels::gate::{Gate, N_OUTPUTS, n_parameters};

use crate::Work;

pub(crate) struct ManyModes {
    n_modes: usize,
    parameters: Vec<f32>,
    minimum: Vec<f32>,
    potentials: Vec<f32>,
    /// Of modal energies.
    gradient: Vec<f32>,
    outputs: Vec<f32>,
    output_gradient: Vec<f32>,
    potential_gradient: Vec<f32>,
    parameter_gradient: Vec<f32>,
}

impl ManyModes {
    pub(crate) fn new(n_modes: usize, n_rows: usize) -> Self {
        let n_pairs = n_modes * n_modes;
        let mut parameters = vec![1.; 2 * n_modes];
        let weights = uniform(10, n_pairs);
        parameters.extend(weights.iter().map(|weight| weight / n_modes as f32));
        parameters.extend(uniform(11, n_pairs));
        parameters.extend([2., 0.]);
        let potentials = uniform(9, n_rows * n_modes);
        Self {
            n_modes,
            parameters,
            minimum: vec![0.; n_modes],
            potentials: potentials.iter().map(|energy| energy * 10.).collect(),
            gradient: symmetric(12, n_rows * n_modes, 1.),
            outputs: Vec::new(),
            output_gradient: Vec::new(),
            potential_gradient: Vec::new(),
            parameter_gradient: Vec::new(),
        }
    }
}

impl Work for ManyModes {
    fn units(&self) -> usize {
        1
    }

    fn run(&mut self) {
        let gate = Gate {
            parameters: &self.parameters,
            minimum_potential: &self.minimum,
            coldness: 0.1,
        };
        self.outputs.resize(self.potentials.len() * N_OUTPUTS, 0.);
        self.potential_gradient.resize(self.potentials.len(), 0.);
        self.parameter_gradient.clear();
        self.parameter_gradient
            .resize(n_parameters(self.n_modes), 0.);
        gate.forward(&self.potentials, &mut self.outputs);
        self.output_gradient.resize(self.outputs.len(), 0.);
        // Modal energies are the second of the four outputs.
        let n = self.gradient.len();
        self.output_gradient[n..2 * n].copy_from_slice(&self.gradient);
        gate.backward(
            &self.potentials,
            &self.outputs,
            &self.output_gradient,
            &mut self.potential_gradient,
            &mut self.parameter_gradient,
        );
    }

    fn run_part(&mut self) {
        self.run();
    }

    fn prepare(&mut self) -> Ready {
        memory::forget_peak();
        let before = memory::now();
        self.run();
        let extra = memory::peak()
            .zip(before)
            .map(|(peak, before)| peak.saturating_sub(before));
        let pairs = self.n_modes * self.n_modes;
        let (_, coupling) = self.parameter_gradient.split_at(2 * self.n_modes);
        let (weights, exponents) = coupling[..2 * pairs].split_at(pairs);
        let magnitudes = [&self.potential_gradient, weights, exponents]
            .map(|part| -> f64 { part.iter().map(|value| f64::from(value.abs())).sum() });
        Ready {
            check: magnitudes.to_vec(),
            extra_bytes: extra,
        }
    }
}
