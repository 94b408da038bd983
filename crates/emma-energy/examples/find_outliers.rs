use candle_core::{DType, Device, Tensor};
use emma_energy::{
    AutoencoderConfig, AutoencoderTraining, DenoisingAutoencoder, SeededVarMap, potential_energy,
    train_autoencoder,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() -> emma_energy::Result<()> {
    // Clean rows on a line.
    let rows: Vec<Vec<f32>> = (0..200u8)
        .map(|i| vec![f32::from(i) / 100. - 1.; 2])
        .collect();
    let rows = Tensor::new(rows, &Device::Cpu)?;

    let variables = SeededVarMap::new(ChaCha8Rng::seed_from_u64(1));
    let config = AutoencoderConfig {
        n_features: 2,
        n_hidden: 8,
    };
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
    let settings = AutoencoderTraining {
        n_epochs: 100,
        noise_std: 0.1,
        ..Default::default()
    };
    train_autoencoder(
        &autoencoder,
        &variables,
        &rows,
        &settings,
        &mut ChaCha8Rng::seed_from_u64(2),
    )?;

    let probes = Tensor::new(&[[0.5f32, 0.5], [1., -1.]], &Device::Cpu)?;
    let energies = potential_energy(&autoencoder, &probes)?.to_vec1::<f32>()?;
    assert!(
        energies[0] < energies[1],
        "the row off the line is the more outlying"
    );
    Ok(())
}
