//! Memory of a step grows with the number of modes, not with its square for every row.
//!
//! One test alone in its program, because all threads share the allocator that counts.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Tensor};
use emma_attention::{Emma, EmmaConfig, PotentialEnergies};
use emma_energy::SeededVarMap;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[test]
fn no_pair_of_modes_is_kept_for_every_row() {
    let (n_modes, n_rows) = (96, 512);
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let minimum = Tensor::zeros(n_modes, DType::F32, &Device::Cpu).unwrap();
    let config = EmmaConfig {
        n_modes,
        ..EmmaConfig::default()
    };
    let emma = Emma::new(&config, &minimum, &vb).unwrap();
    let rows = (n_rows, n_modes);
    let potentials = Tensor::ones(rows, DType::F32, &Device::Cpu).unwrap();
    let potentials = PotentialEnergies::new(potentials).unwrap();
    let modes = vec![Tensor::ones((n_rows, 1), DType::F32, &Device::Cpu).unwrap(); n_modes];
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let output = emma.forward(&modes, &potentials).unwrap();
    let loss = Tensor::cat(&output.weighted_modes, 1).unwrap();
    let gradients = loss.sum_all().unwrap().backward().unwrap();
    let peak = ALLOCATOR.peak_usage() - before;
    assert!(gradients.get(emma.coupling_weight()).is_some());
    // 4.7 million pairs; by candle's operations it is some ten times as many numbers.
    let pairs = n_rows * n_modes * n_modes * size_of::<f32>();
    assert!(peak < pairs / 2, "{peak} bytes, pairs would take {pairs}");
}
