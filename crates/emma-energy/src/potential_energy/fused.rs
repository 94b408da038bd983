//! Potential energy and its gradients as one operation on the CPU.

use candle_core::{
    CpuStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, WithDType,
};
use emma_kernels::Real;
use emma_kernels::potential::Autoencoder;

use crate::autoencoder::DenoisingAutoencoder;
use crate::contiguous::contiguous;

/// Whether the kernels are made for these tensors: all on the CPU, of one type, f32 or f64.
pub(super) fn fits(autoencoder: &DenoisingAutoencoder, rows: &Tensor) -> bool {
    let dtype = rows.dtype();
    let tensors = [
        rows,
        autoencoder.weight(),
        autoencoder.encoder_bias(),
        autoencoder.decoder_bias(),
    ];
    matches!(dtype, DType::F32 | DType::F64)
        && tensors
            .iter()
            .all(|tensor| tensor.device().is_cpu() && tensor.dtype() == dtype)
}

/// Energies `[n]` of rows `[n, L]` that [fit](fits).
pub(super) fn potential_energy(
    autoencoder: &DenoisingAutoencoder,
    rows: &Tensor,
) -> Result<Tensor> {
    // An operation has three inputs at most.
    let biases = [autoencoder.encoder_bias(), autoencoder.decoder_bias()];
    let biases = Tensor::cat(&biases, 0)?;
    let weight = autoencoder.weight().contiguous()?;
    rows.contiguous()?
        .apply_op3(&weight, &biases, FusedPotentialEnergy)
}

/// Rows `[n, L]`, weight `[U, L]`, biases `[U + L]` to energies `[n]`.
struct FusedPotentialEnergy;

impl CustomOp3 for FusedPotentialEnergy {
    fn name(&self) -> &'static str {
        "potential_energy"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        rows_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        biases: &CpuStorage,
        biases_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let layouts = [rows_layout, weight_layout, biases_layout];
        let storages = [rows, weight, biases];
        let energies = match rows {
            CpuStorage::F64(_) => energies::<f64>(storages, layouts)?,
            _ => energies::<f32>(storages, layouts)?,
        };
        Ok((energies, Shape::from(rows_layout.dims()[0])))
    }

    fn bwd(
        &self,
        rows: &Tensor,
        weight: &Tensor,
        biases: &Tensor,
        _energies: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let tensors = [rows, weight, biases, &gradient];
        match rows.dtype() {
            DType::F64 => gradients::<f64>(tensors),
            _ => gradients::<f32>(tensors),
        }
    }
}

fn energies<R: Real + WithDType>(
    storages: [&CpuStorage; 3],
    layouts: [&Layout; 3],
) -> Result<CpuStorage> {
    let [rows, weight, biases] = [0, 1, 2].map(|operand| {
        let values = R::cpu_storage_as_slice(storages[operand])?;
        contiguous(values, layouts[operand])
    });
    let autoencoder = autoencoder(weight?, layouts[1], biases?)?;
    let (n_rows, n_features) = layouts[0].shape().dims2()?;
    if n_features != autoencoder.n_features() {
        candle_core::bail!("potential_energy: expected rows [n, {n_features}]")
    }
    let mut energies = vec![R::default(); n_rows];
    autoencoder.energies(rows?, &mut energies);
    Ok(R::to_cpu_storage_owned(energies))
}

fn autoencoder<'a, R: Real>(
    weight: &'a [R],
    layout: &Layout,
    biases: &'a [R],
) -> Result<Autoencoder<'a, R>> {
    let (n_hidden, n_features) = layout.shape().dims2()?;
    if biases.len() != n_hidden + n_features || n_hidden == 0 || n_features == 0 {
        candle_core::bail!(
            "potential_energy: a weight [{n_hidden}, {n_features}] does not fit {} biases",
            biases.len()
        )
    }
    let (encoder_bias, decoder_bias) = biases.split_at(n_hidden);
    Ok(Autoencoder {
        weight,
        encoder_bias,
        decoder_bias,
    })
}

/// Gradients of rows, weight and biases, those that are asked for.
fn gradients<R: Real + WithDType>(
    tensors: [&Tensor; 4],
) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
    let guards = tensors.map(Tensor::storage_and_layout);
    let [rows, weight, biases, gradient] = [0, 1, 2, 3].map(|operand| {
        let (storage, layout) = &guards[operand];
        let Storage::Cpu(storage) = &**storage else {
            candle_core::bail!("potential_energy: expected tensors on the CPU")
        };
        contiguous(R::cpu_storage_as_slice(storage)?, layout)
    });
    let (rows, weight) = (rows?, weight?);
    let autoencoder = autoencoder(weight, guards[1].1, biases?)?;
    let mut of_rows = vec![R::default(); rows.len()];
    let mut of_parameters = vec![R::default(); weight.len() + guards[2].1.shape().elem_count()];
    autoencoder.backward(rows, gradient?, &mut of_rows, &mut of_parameters);
    let asked = |operand: usize, values: &[R]| -> Result<Option<Tensor>> {
        let tensor = tensors[operand];
        tensor
            .track_op()
            .then(|| Tensor::from_slice(values, tensor.shape(), tensor.device()))
            .transpose()
    };
    let (of_weight, of_biases) = of_parameters.split_at(weight.len());
    Ok((
        asked(0, &of_rows)?,
        asked(1, of_weight)?,
        asked(2, of_biases)?,
    ))
}
