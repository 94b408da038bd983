//! Layers that can be gone through both ways.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;

use crate::affine::{Affine, row_linear};
use crate::integrable_energy::grid::Grid;

/// An affine map of rows, with its transpose written out.
///
/// The transpose, which is the way of a gradient back through the layer, is made of operations
/// that candle differentiates again. Its own transposed convolutions have no gradient (0.11), so
/// a convolution is an [`Affine`] of the values that each unit sees: a row's bits do not depend on
/// its batch, here as there.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    affine: Affine,
    taps: Option<Taps>,
    working_size: usize,
}

/// The values that a convolution's units see.
#[derive(Debug, Clone)]
struct Taps {
    /// For every unit and kernel place, the place seen.
    places_seen: Tensor,
    /// For every place and kernel place, the unit that sees it.
    units_seeing: Tensor,
    n_places: usize,
    n_units: usize,
    kernel_size: usize,
    channels_before: usize,
    channels: usize,
}

impl Layer {
    pub(super) fn dense(inputs: usize, outputs: usize, vb: &VarBuilder) -> Result<Self> {
        Ok(Self {
            affine: Affine::new(inputs, outputs, vb)?,
            taps: None,
            working_size: inputs.max(outputs),
        })
    }

    /// A row holds the places of the grid in order, and of each place its channels.
    pub(super) fn convolution(
        grid: Grid,
        kernel: Grid,
        stride: Grid,
        (channels_before, channels): (usize, usize),
        vb: &VarBuilder,
    ) -> Result<Self> {
        let kernel_size = kernel.n_places();
        let affine = Affine::new(kernel_size * channels_before, channels, vb)?;
        let (n_places, n_units) = (grid.n_places(), grid.strided(stride).n_places());
        Ok(Self {
            affine,
            taps: Some(Taps {
                places_seen: indices(grid.places_seen(kernel, stride), vb.device())?,
                units_seeing: indices(grid.units_seeing(kernel, stride), vb.device())?,
                n_places,
                n_units,
                kernel_size,
                channels_before,
                channels,
            }),
            working_size: kernel_size * (n_units * channels_before).max(n_places * channels),
        })
    }

    /// `[n, inputs]` to `[n, outputs]`.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let Some(taps) = &self.taps else {
            return self.affine.forward(rows);
        };
        let seen = select(rows, taps.n_places, &taps.places_seen, taps.kernel_size)?;
        let outputs = taps.n_units * taps.channels;
        self.affine.forward(&seen)?.reshape((rows.dim(0)?, outputs))
    }

    /// The transpose of the linear part: `[n, outputs]` to `[n, inputs]`.
    pub(super) fn transposed(&self, gradients: &Tensor) -> Result<Tensor> {
        let weight = self.affine.weight();
        let Some(taps) = &self.taps else {
            return row_linear(gradients, &weight.t()?);
        };
        let units = select(
            gradients,
            taps.n_units,
            &taps.units_seeing,
            taps.kernel_size,
        )?;
        let weight = weight
            .reshape((taps.channels, taps.kernel_size, taps.channels_before))?
            .permute((2, 1, 0))?
            .reshape((taps.channels_before, taps.kernel_size * taps.channels))?;
        let inputs = taps.n_places * taps.channels_before;
        row_linear(&units, &weight)?.reshape((gradients.dim(0)?, inputs))
    }

    /// Numbers that the layer holds of one row while it works.
    pub(super) fn working_size(&self) -> usize {
        self.working_size
    }

    /// Adds the parameters under `{path}.weight` and `{path}.bias`.
    pub(super) fn insert_tensors(&self, path: &str, tensors: &mut BTreeMap<String, Tensor>) {
        self.affine.insert_tensors(path, tensors);
    }
}

/// Of rows of `n_places` places, the indexed places (index `n_places` is a place of zeros), in
/// rows of `per_row` places: `[n, n_places * channels]` to
/// `[n * indices / per_row, per_row * channels]`.
fn select(rows: &Tensor, n_places: usize, indices: &Tensor, per_row: usize) -> Result<Tensor> {
    let (n, values) = rows.dims2()?;
    let channels = values / n_places;
    let places = rows.reshape((n, n_places, channels))?;
    let nothing = Tensor::zeros((n, 1, channels), rows.dtype(), rows.device())?;
    Tensor::cat(&[&places, &nothing], 1)?
        .index_select(indices, 1)?
        .reshape((n * indices.dim(0)? / per_row, per_row * channels))
}

fn indices(places: Vec<usize>, device: &Device) -> Result<Tensor> {
    let places = places
        .into_iter()
        .map(|place| u32::try_from(place).map_err(candle_core::Error::wrap))
        .collect::<Result<Vec<_>>>()?;
    Tensor::new(places, device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded_var_map::SeededVarMap;
    use candle_core::DType;
    use emma_testkit::devices_with;
    use emma_testkit::tolerance::{assert_close, values};
    use rand::Rng;

    const N_ROWS: usize = 3;
    const BEFORE: usize = 2;
    const CHANNELS: usize = 3;

    fn random(shape: (usize, usize), seed: u64, device: &Device) -> Result<Tensor> {
        let mut rng = emma_testkit::rng(seed);
        let values: Vec<f64> = (0..shape.0 * shape.1)
            .map(|_| rng.random_range(-1f64..1.))
            .collect();
        Tensor::from_vec(values, shape, device)
    }

    fn layer(grid: Grid, kernel: Grid, stride: Grid, device: &Device) -> Result<Layer> {
        let variables = SeededVarMap::new(emma_testkit::rng(1));
        let vb = variables.var_builder(DType::F64, device);
        Layer::convolution(grid, kernel, stride, (BEFORE, CHANNELS), &vb)
    }

    /// Grid, kernel and stride: sizes that the stride divides and that it does not, kernels wider
    /// than the grid.
    fn shapes() -> Vec<[Grid; 3]> {
        let square = |side| Grid::new(side, side);
        let line = |width| Grid::new(1, width);
        vec![
            [line(8), line(3), line(1)],
            [line(8), line(5), line(2)],
            [line(9), line(3), line(2)],
            [line(2), line(7), line(3)],
            [Grid::new(4, 6), square(3), square(1)],
            [Grid::new(5, 6), square(3), square(2)],
            [Grid::new(3, 7), square(5), square(3)],
        ]
    }

    #[test]
    fn a_convolution_is_what_candle_calls_one() -> Result<()> {
        for device in devices_with(DType::F64) {
            for [grid, kernel, stride] in shapes() {
                let layer = layer(grid, kernel, stride, device)?;
                let rows = random((N_ROWS, grid.n_places() * BEFORE), 2, device)?;
                let ours = layer.forward(&rows)?;
                // candle's order: channels before places.
                let image = rows
                    .reshape((N_ROWS, grid.height, grid.width, BEFORE))?
                    .permute((0, 3, 1, 2))?
                    .contiguous()?;
                let mut tensors = BTreeMap::new();
                layer.insert_tensors("layer", &mut tensors);
                let weight = tensors["layer.weight"]
                    .reshape((CHANNELS, kernel.height, kernel.width, BEFORE))?
                    .permute((0, 3, 1, 2))?
                    .contiguous()?;
                // candle pads both dimensions alike, a curve only along itself.
                let theirs = if grid.height == 1 {
                    image
                        .squeeze(2)?
                        .conv1d(&weight.squeeze(2)?, kernel.width / 2, stride.width, 1, 1)?
                        .unsqueeze(2)?
                } else {
                    image.conv2d(&weight, kernel.width / 2, stride.width, 1, 1)?
                };
                let bias = tensors["layer.bias"].reshape((1, CHANNELS, 1, 1))?;
                let theirs = theirs.broadcast_add(&bias)?.permute((0, 2, 3, 1))?;
                // Sums of at most 50 products below 1, in another order.
                assert_close("output", &values(&ours)?, &values(&theirs)?, 1e-13, 1e-13);
            }
        }
        Ok(())
    }

    /// `⟨A x, y⟩ = ⟨x, Aᵀ y⟩` for every x and y.
    #[test]
    fn the_transpose_is_the_adjoint() -> Result<()> {
        for device in devices_with(DType::F64) {
            for [grid, kernel, stride] in shapes() {
                let layer = layer(grid, kernel, stride, device)?;
                let inputs = grid.n_places() * BEFORE;
                let outputs = grid.strided(stride).n_places() * CHANNELS;
                let x = random((N_ROWS, inputs), 3, device)?;
                let y = random((N_ROWS, outputs), 4, device)?;
                let at_zero = layer.forward(&x.zeros_like()?)?;
                let linear = (layer.forward(&x)? - at_zero)?;
                let left = (linear * &y)?.sum(1)?;
                let right = (layer.transposed(&y)? * &x)?.sum(1)?;
                // Sums of some hundred products below 1.
                assert_close("product", &values(&left)?, &values(&right)?, 1e-12, 1e-12);
            }
        }
        Ok(())
    }
}
