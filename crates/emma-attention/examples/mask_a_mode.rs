use candle_core::{DType, Device, Tensor};
use emma_attention::{Emma, EmmaConfig, PotentialEnergies};
use emma_energy::SeededVarMap;
use rand::SeedableRng;

fn main() -> emma_attention::Result<()> {
    let device = Device::Cpu;
    let variables = SeededVarMap::new(rand_chacha::ChaCha8Rng::seed_from_u64(1));
    let vb = variables.var_builder(DType::F32, &device);

    // Two modes of different sizes; their lowest potentials on clean training rows are known.
    let minimum = Tensor::new(&[-3f32, 1.5], &device)?;
    let emma = Emma::new(
        &EmmaConfig {
            n_modes: 2,
            ..Default::default()
        },
        &minimum,
        &vb.pp("attention"),
    )?;

    let modes = [
        Tensor::ones((2, 4), DType::F32, &device)?,
        Tensor::ones((2, 3), DType::F32, &device)?,
    ];
    // Row 0 is clean; in row 1 the second mode is far from anything seen in training.
    let potentials = PotentialEnergies::new(Tensor::new(&[[-2f32, 2.], [-2., 90.]], &device)?)?;

    let output = emma.forward(&modes, &potentials)?;
    let attention = output.attention.as_tensor().to_vec2::<f32>()?;
    assert!(attention[1][1] < 0.01 && attention[1][0] > 0.7);
    let network_input = Tensor::cat(&output.weighted_modes, 1)?; // [2, 7], for any network
    assert_eq!(network_input.dims(), [2, 7]);
    Ok(())
}
