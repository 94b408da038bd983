//! Search among all stored rows by tensor operations, on any device.

use candle_core::{D, DType, Result, Tensor};

/// Most differences of features in memory at once.
const MOST_DIFFERENCES: usize = 1 << 24;

/// Mean distances `[n]` of rows `[n, L]` to the `n_neighbors` nearest of the stored rows `[N, L]`,
/// after one that equals the row (in f32) is left out.
///
/// Differences are taken before they are squared, so that no digits cancel.
pub(super) fn mean_distance(rows: &Tensor, stored: &Tensor, n_neighbors: usize) -> Result<Tensor> {
    let (n_rows, n_features) = rows.dims2()?;
    let chunk = (MOST_DIFFERENCES / (stored.dim(0)? * n_features)).max(1);
    if n_rows <= chunk {
        return mean_distance_in_chunk(rows, stored, n_neighbors);
    }
    let chunks: Vec<Tensor> = (0..n_rows)
        .step_by(chunk)
        .map(|start| {
            let rows = rows.narrow(0, start, chunk.min(n_rows - start))?;
            mean_distance_in_chunk(&rows, stored, n_neighbors)
        })
        .collect::<Result<_>>()?;
    Tensor::cat(&chunks, 0)
}

fn mean_distance_in_chunk(rows: &Tensor, stored: &Tensor, n_neighbors: usize) -> Result<Tensor> {
    let nearest = nearest_rows(&rows.detach(), stored, n_neighbors + 1)?;
    let neighbors = nearest.iter().map(|index| stored.index_select(index, 0));
    let neighbors: Vec<Tensor> = neighbors.collect::<Result<_>>()?;
    let distances = neighbors.iter().map(|neighbor| distance(rows, neighbor));
    let distances: Vec<Tensor> = distances.collect::<Result<_>>()?;
    // A duplicate of the row is nearest if there is one.
    let same = rows
        .to_dtype(DType::F32)?
        .eq(&neighbors[0].to_dtype(DType::F32)?)?
        .to_dtype(DType::F32)?
        .min(D::Minus1)?
        .gt(0.)?;
    let outer = same.where_cond(&distances[n_neighbors], &distances[0])?;
    let mut sum = outer;
    for distance in &distances[1..n_neighbors] {
        sum = (sum + distance)?;
    }
    let energy = (sum / n_neighbors as f64)?;
    let unknown = rows
        .ne(rows)?
        .to_dtype(DType::F32)?
        .max(D::Minus1)?
        .gt(0.)?;
    let nan = energy.ones_like()?.affine(f64::NAN, 0.)?;
    unknown.where_cond(&nan, &energy)
}

/// Numbers `[n]` of the nearest, second nearest, … stored row of every row.
fn nearest_rows(rows: &Tensor, stored: &Tensor, count: usize) -> Result<Vec<Tensor>> {
    let difference = rows.unsqueeze(1)?.broadcast_sub(&stored.unsqueeze(0)?)?;
    let mut squares = difference.sqr()?.sum(D::Minus1)?;
    let infinity = squares
        .narrow(1, 0, 1)?
        .ones_like()?
        .affine(f64::INFINITY, 0.)?;
    let mut nearest = Vec::with_capacity(count);
    for _ in 0..count {
        let index = squares.argmin_keepdim(1)?;
        squares = squares.scatter_add(&index, &infinity, 1)?;
        nearest.push(index.squeeze(1)?);
    }
    Ok(nearest)
}

/// `|a − b|` of every row; where it is zero, so is its gradient.
fn distance(rows: &Tensor, neighbors: &Tensor) -> Result<Tensor> {
    let squares = (rows - neighbors)?.sqr()?.sum(D::Minus1)?;
    let positive = squares.gt(0.)?;
    // The square root has no slope at zero, not even one to multiply by zero.
    let root = positive
        .where_cond(&squares, &squares.ones_like()?)?
        .sqrt()?;
    positive.where_cond(&root, &squares.zeros_like()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use emma_testkit::tolerance::values;
    use emma_testkit::{devices, devices_with};

    #[test]
    fn a_row_that_is_not_a_number_has_no_distance() -> Result<()> {
        for device in devices() {
            let stored = Tensor::new(&[[0f32, 0.], [1., 1.], [4., 0.]], device)?;
            let rows = Tensor::new(&[[f32::NAN, 0.], [f32::INFINITY, 0.], [1., 0.]], device)?;
            let distances = values(&mean_distance(&rows, &stored, 2)?)?;
            assert!(distances[0].is_nan());
            assert!(distances[1] > f64::MAX);
            assert!((distances[2] - 1.).abs() < 1e-6);
        }
        Ok(())
    }

    /// More rows than go into one chunk.
    #[test]
    fn chunks_change_nothing() -> Result<()> {
        for device in devices_with(DType::F64) {
            let stored = Tensor::arange(0f64, 40_000., &Device::Cpu)?;
            let stored = stored.reshape((20_000, 2))?.to_device(device)?;
            let rows = (stored.narrow(0, 0, 1000)? + 0.25)?;
            let chunk = MOST_DIFFERENCES / 40_000;
            assert!(chunk < 500);
            let together = values(&mean_distance(&rows, &stored, 2)?)?;
            for row in [0, chunk - 1, chunk, 999] {
                let alone = mean_distance(&rows.narrow(0, row, 1)?, &stored, 2)?;
                assert_eq!(values(&alone)?, together[row..=row], "{row}");
            }
        }
        Ok(())
    }
}
