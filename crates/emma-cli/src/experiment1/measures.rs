//! What section 4.3 says in words, as numbers.

use serde::{Deserialize, Serialize};

use super::plane::{Point, nearest};

/// How well one estimator knows a manifold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measures {
    /// Area under the ROC curve of telling points on the manifold from points of the mesh off it.
    pub(crate) auc: f64,
    /// Share of the points on the manifold with a negative energy.
    pub(crate) negative: f64,
    /// Depth of the false sink inside the circle; none for the wave.
    pub(crate) false_sink: Option<f64>,
}

/// Depth of the sink at the start of the rays: how far the energy must rise to leave it in the easiest
/// direction, as a share of how far it lies above the manifold at that pass.
///
/// 0 for a place from which energy only falls towards the manifold, 1 for one that is as low as the
/// manifold itself or lower. `rays` hold energies from the start to the manifold.
pub(crate) fn sink_depth(rays: &[Vec<f64>]) -> f64 {
    let Some(start) = rays.first().and_then(|ray| ray.first()) else {
        return 0.;
    };
    let highest = |ray: &Vec<f64>| ray.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let pass = rays.iter().map(highest).fold(f64::INFINITY, f64::min);
    let mut ends: Vec<f64> = rays.iter().filter_map(|ray| ray.last().copied()).collect();
    let manifold = median(&mut ends);
    if pass > manifold {
        ((pass - start) / (pass - manifold)).clamp(0., 1.)
    } else {
        0.
    }
}

/// The median, the upper one of an even number.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Mean cosine between a field and the way to the nearest point of the manifold, over points at least
/// `clearance` away from it: 1 where the field points straight back.
pub(crate) fn alignment(
    points: &[Point],
    field: &[Point],
    manifold: &[Point],
    clearance: f64,
) -> f64 {
    let (mut sum, mut n) = (0., 0_u32);
    for (point, arrow) in points.iter().zip(field) {
        let target = nearest(*point, manifold);
        let way = [target[0] - point[0], target[1] - point[1]];
        let lengths = way[0].hypot(way[1]) * arrow[0].hypot(arrow[1]);
        if way[0].hypot(way[1]) >= clearance && lengths > 0. {
            sum += (way[0] * arrow[0] + way[1] * arrow[1]) / lengths;
            n += 1;
        }
    }
    sum / f64::from(n.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hill_is_no_sink_and_a_hole_is_one() {
        assert!(sink_depth(&[vec![5., 3., 1.], vec![5., 2., 1.]]).abs() < 1e-15);
        // Over the lower of two passes, 4: 3 of 4 above the manifold's 0.
        let depth = sink_depth(&[vec![1., 4., 0.], vec![1., 9., 0.]]);
        assert!((depth - 0.75).abs() < 1e-15, "{depth}");
    }

    #[test]
    fn a_field_that_points_back_is_aligned() {
        let manifold = [[0., 0.]];
        let points = [[1., 0.], [0., 2.], [0.1, 0.]];
        let aligned = alignment(&points, &[[-3., 0.], [0., -0.1], [9., 9.]], &manifold, 0.5);
        assert!((aligned - 1.).abs() < 1e-15);
        let across = alignment(&points, &[[0., 1.], [1., 0.], [9., 9.]], &manifold, 0.5);
        assert!(across.abs() < 1e-15);
    }
}
