//! Energies against the independent float64 reference.

mod common;

use candle_core::{DType, Device, Tensor};
use common::PATHS;
use emma_energy::{AutoencoderConfig, DenoisingAutoencoder, Result, SeededVarMap, transfer};
use emma_testkit::golden::{self, EnergyCase};
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, devices_with};

fn autoencoder(case: &EnergyCase, dtype: DType, device: &Device) -> Result<DenoisingAutoencoder> {
    let variables = SeededVarMap::new(emma_testkit::rng(0));
    let preset =
        |name: &str, tensor: Tensor| variables.preset(name, &transfer(&tensor, dtype, device)?);
    preset("weight", Tensor::new(case.weight.clone(), &Device::Cpu)?)?;
    preset(
        "encoder_bias",
        Tensor::new(case.encoder_bias.clone(), &Device::Cpu)?,
    )?;
    preset(
        "decoder_bias",
        Tensor::new(case.decoder_bias.clone(), &Device::Cpu)?,
    )?;
    let config = AutoencoderConfig {
        n_features: case.decoder_bias.len(),
        n_hidden: case.encoder_bias.len(),
    };
    DenoisingAutoencoder::new(&config, &variables.var_builder(dtype, device))
}

fn check(dtype: DType, device: &Device, relative: f64, absolute: f64) -> Result<()> {
    for case in &golden::load().energy {
        let autoencoder = autoencoder(case, dtype, device)?;
        let rows = Tensor::new(case.x.clone(), &Device::Cpu)?;
        let rows = transfer(&rows, dtype, device)?;
        let close = |what: &str, got: Tensor, expected: &[f64]| -> Result<()> {
            let what = format!("{} {what}", case.name);
            assert_close(&what, &values(&got)?, expected, relative, absolute);
            Ok(())
        };
        for (path, energy) in PATHS {
            close(path, energy(&autoencoder, &rows)?, &case.potential)?;
        }
        let reconstruction = case.reconstruction.concat();
        close(
            "reconstruction",
            autoencoder.reconstruct(&rows)?,
            &reconstruction,
        )?;
        let error = autoencoder.reconstruction_error(&rows)?;
        close("squared error", error, &case.squared_error)?;
    }
    Ok(())
}

#[test]
fn f64_agrees_to_a_billionth() -> Result<()> {
    for device in devices_with(DType::F64) {
        check(DType::F64, device, 1e-9, 1e-12)?;
    }
    Ok(())
}

/// Terms of some hundreds cancel, so f32 is held to an absolute tolerance as well.
#[test]
fn f32_agrees_to_its_precision() -> Result<()> {
    for device in devices() {
        check(DType::F32, device, 1e-5, 1e-4)?;
    }
    Ok(())
}
