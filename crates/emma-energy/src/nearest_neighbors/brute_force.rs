//! Search among all stored rows by tensor operations, on any device.

use candle_core::{D, DType, Result, Tensor};

/// Most differences of features in memory at once.
const MOST_DIFFERENCES: usize = 1 << 24;

/// Distances `[n]` of rows `[n, L]` to the stored row, of `[N, L]`, that is the `n_neighbors`-th
/// nearest, after one that equals the row (in f32) is left out.
///
/// Differences are taken before they are squared, so that no digits cancel.
pub(super) fn neighbor_distance(
    rows: &Tensor,
    stored: &Tensor,
    n_neighbors: usize,
) -> Result<Tensor> {
    let (n_rows, n_features) = rows.dims2()?;
    let chunk = (MOST_DIFFERENCES / (stored.dim(0)? * n_features)).max(1);
    if n_rows <= chunk {
        return distance_in_chunk(rows, stored, n_neighbors);
    }
    let chunks: Vec<Tensor> = (0..n_rows)
        .step_by(chunk)
        .map(|start| {
            let rows = rows.narrow(0, start, chunk.min(n_rows - start))?;
            distance_in_chunk(&rows, stored, n_neighbors)
        })
        .collect::<Result<_>>()?;
    Tensor::cat(&chunks, 0)
}

fn distance_in_chunk(rows: &Tensor, stored: &Tensor, n_neighbors: usize) -> Result<Tensor> {
    let nearest = nearest_rows(&rows.detach(), stored, n_neighbors + 1)?;
    let neighbor = |index: usize| stored.index_select(&nearest[index], 0);
    // A duplicate of the row is nearest if there is one.
    let same = rows
        .to_dtype(DType::F32)?
        .eq(&neighbor(0)?.to_dtype(DType::F32)?)?
        .min(D::Minus1)?;
    let distance = same.where_cond(
        &distance_to(rows, &neighbor(n_neighbors)?)?,
        &distance_to(rows, &neighbor(n_neighbors - 1)?)?,
    )?;
    let unknown = rows.ne(rows)?.max(D::Minus1)?;
    let nan = distance.ones_like()?.affine(f64::NAN, 0.)?;
    unknown.where_cond(&nan, &distance)
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
fn distance_to(rows: &Tensor, neighbors: &Tensor) -> Result<Tensor> {
    let squares = (rows - neighbors)?.sqr()?.sum(D::Minus1)?;
    let positive = squares.gt(0.)?;
    // The square root has no slope at zero, not even one to multiply by zero.
    let root = positive
        .where_cond(&squares, &squares.ones_like()?)?
        .sqrt()?;
    positive.where_cond(&root, &squares.zeros_like()?)
}
