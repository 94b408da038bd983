//! Potential energy in candle's operations.

use candle_core::{D, Tensor};

use crate::autoencoder::DenoisingAutoencoder;
use crate::error::Result;
use crate::softplus::softplus;

/// The readable definition of the [potential energy](crate::potential_energy()), for every device and
/// type: candle's operations one after the other, and what the fused operation is tested against.
///
/// `Ψ(x) = −Σ_k softplus(W x + b_f)_k + |x − b_g|² / 2`
///
/// # Shapes
/// - `rows`: `[n, L]`
/// - returns `[n]`
///
/// # Units
/// Squared units of the rows.
///
/// # Errors
/// As [`potential_energy`](crate::potential_energy()).
///
/// # Source
/// Thesis eq. 4.7, without the constant.
pub fn potential_energy_by_candle(
    autoencoder: &DenoisingAutoencoder,
    rows: &Tensor,
) -> Result<Tensor> {
    let hidden = softplus(&autoencoder.pre_activation(rows)?)?.sum(D::Minus1)?;
    let deviation = rows.broadcast_sub(autoencoder.decoder_bias())?;
    let quadratic = (deviation.sqr()?.sum(D::Minus1)? * 0.5)?;
    Ok((quadratic - hidden)?)
}
