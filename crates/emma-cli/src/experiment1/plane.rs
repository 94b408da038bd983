//! The plane that the manifolds lie in: meshes, rays, distances.

use std::f64::consts::TAU;

use candle_core::{DType, Device, Tensor};
use emma_data::Manifold;

use crate::failure::CommandResult;

/// A point.
pub(crate) type Point = [f64; 2];

/// Points of a square mesh around the origin, row by row from below, `n` a side.
pub(crate) fn mesh(half_width: f64, n: usize) -> Vec<Point> {
    let coordinate = |index: usize| half_width * (2. * index as f64 / (n - 1) as f64 - 1.);
    (0..n * n)
        .map(|index| [coordinate(index % n), coordinate(index / n)])
        .collect()
}

/// Points of a manifold at equal steps of its parameter.
pub(crate) fn curve(manifold: Manifold, n: usize) -> Vec<Point> {
    (0..n)
        .map(|index| manifold.point(TAU * index as f64 / n as f64))
        .collect()
}

/// From `start` to each point of the circle, `n_steps` steps along a straight line, both ends included.
pub(crate) fn rays(start: Point, n_rays: usize, n_steps: usize) -> Vec<Vec<Point>> {
    curve(Manifold::Circle, n_rays)
        .into_iter()
        .map(|end| {
            (0..=n_steps)
                .map(|step| {
                    let share = step as f64 / n_steps as f64;
                    [0, 1].map(|axis| start[axis] + share * (end[axis] - start[axis]))
                })
                .collect()
        })
        .collect()
}

/// The point of a curve that is nearest.
pub(crate) fn nearest(point: Point, curve: &[Point]) -> Point {
    let distance = |other: &Point| (point[0] - other[0]).hypot(point[1] - other[1]);
    curve
        .iter()
        .copied()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .unwrap_or(point)
}

/// Points as rows in f64, on a device that has the type, else in f32.
pub(crate) fn rows(points: &[Point], dtype: DType, device: &Device) -> CommandResult<Tensor> {
    let tensor = Tensor::from_iter(points.iter().flatten().copied(), &Device::Cpu)?
        .reshape((points.len(), 2))?;
    Ok(emma_energy::transfer(&tensor, dtype, device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_goes_from_corner_to_corner() {
        let mesh = mesh(4., 3);
        let rows = [-4f64, 0., 4.].map(|y| [-4f64, 0., 4.].map(|x| [x, y]));
        // The arithmetic is exact.
        assert!(mesh.iter().eq(rows.iter().flatten()), "{mesh:?}");
    }

    #[test]
    fn rays_end_on_the_circle() {
        for ray in rays([0.5, -0.2], 8, 10) {
            assert_eq!(ray.len(), 11);
            assert!((ray[0][0] - 0.5).abs() < 1e-15);
            assert!((ray[10][0].hypot(ray[10][1]) - 3.).abs() < 1e-12);
        }
    }

    #[test]
    fn the_nearest_point_is_found() {
        let circle = curve(Manifold::Circle, 3600);
        let found = nearest([0., 10.], &circle);
        assert!(
            found[0].abs() < 1e-2 && (found[1] - 3.).abs() < 1e-5,
            "{found:?}"
        );
    }
}
