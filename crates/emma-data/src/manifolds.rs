//! The two curves of experiment 1: a wave and a circle in the plane.

use std::f64::consts::{PI, TAU};
use std::fmt;
use std::str::FromStr;

use ndarray::Array2;
use rand::Rng;
use rand_distr::StandardNormal;

use crate::corruption::NoiseStd;
use crate::error::{Error, Result};

/// A curve in the plane, given by a parameter t from 0 to 2π.
///
/// ```
/// use emma_data::{Manifold, generator};
///
/// let wave: Manifold = "wave".parse()?;
/// let samples = wave.sample(200, None, &mut generator(0, "manifold"))?;
/// assert_eq!(samples.dim(), (200, 2));
/// # Ok::<(), emma_data::Error>(())
/// ```
///
/// # Source
/// Thesis, section 4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Manifold {
    /// `wave`: `x = (t − π, sin t)`.
    Wave,
    /// `circle`: `x = (3 sin t, 3 cos t)`.
    Circle,
}

impl Manifold {
    /// Both manifolds.
    pub const ALL: [Self; 2] = [Self::Wave, Self::Circle];

    /// Name in files and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wave => "wave",
            Self::Circle => "circle",
        }
    }

    /// The point at the parameter `t`, in radians.
    pub fn point(self, t: f64) -> [f64; 2] {
        match self {
            Self::Wave => [t - PI, t.sin()],
            Self::Circle => [3.0 * t.sin(), 3.0 * t.cos()],
        }
    }

    /// Points at parameters drawn uniformly from `[0, 2π)`, with Gaussian noise of standard deviation
    /// `noise` added to both coordinates if it is given.
    ///
    /// All parameters are drawn before any noise: the same generator gives the same points with noise
    /// and without.
    ///
    /// # Shapes
    /// Returns `[n_samples, 2]`.
    ///
    /// # Units
    /// Those of the plane: the wave is 2π long and 2 high, the circle has the radius 3.
    ///
    /// # Errors
    /// [`Error::ManifoldTooLarge`] if memory cannot hold the points;
    /// [`Error::ManifoldNoise`] if noise takes a coordinate beyond 32 bits.
    ///
    /// # Source
    /// Thesis, section 4.3, which draws 200 samples without noise.
    pub fn sample(
        self,
        n_samples: usize,
        noise: Option<NoiseStd>,
        rng: &mut impl Rng,
    ) -> Result<Array2<f32>> {
        let too_large = || Error::ManifoldTooLarge { n_samples };
        let n_values = n_samples.checked_mul(2).ok_or_else(too_large)?;
        let mut points: Vec<f64> = Vec::new();
        points
            .try_reserve_exact(n_values)
            .map_err(|_| too_large())?;
        for _ in 0..n_samples {
            points.extend(self.point(rng.random_range(0.0..TAU)));
        }
        let mut samples = Vec::new();
        samples
            .try_reserve_exact(n_values)
            .map_err(|_| too_large())?;
        for point in points {
            let error = match noise {
                Some(level) => level.get() * rng.sample::<f64, _>(StandardNormal),
                None => 0.0,
            };
            let sample = (point + error) as f32;
            if !sample.is_finite() {
                return Err(Error::ManifoldNoise { found: sample });
            }
            samples.push(sample);
        }
        Array2::from_shape_vec((n_samples, 2), samples).map_err(|_| too_large())
    }
}

impl FromStr for Manifold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|manifold| manifold.name() == text)
            .ok_or_else(|| Error::ManifoldName {
                found: text.to_owned(),
            })
    }
}

impl fmt::Display for Manifold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_PI_2, PI};

    use super::Manifold;
    use crate::{NoiseStd, generator};

    fn assert_near(found: [f64; 2], expected: [f64; 2]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-15 * 4.0,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn points_are_worked_by_hand() {
        assert_near(Manifold::Wave.point(0.0), [-PI, 0.0]);
        assert_near(Manifold::Wave.point(FRAC_PI_2), [-FRAC_PI_2, 1.0]);
        assert_near(Manifold::Wave.point(1.5 * PI), [FRAC_PI_2, -1.0]);
        assert_near(Manifold::Circle.point(0.0), [0.0, 3.0]);
        assert_near(Manifold::Circle.point(FRAC_PI_2), [3.0, 0.0]);
        assert_near(Manifold::Circle.point(PI), [0.0, -3.0]);
    }

    #[test]
    fn samples_without_noise_lie_on_the_whole_curve() {
        for manifold in Manifold::ALL {
            let samples = manifold
                .sample(4000, None, &mut generator(0, "manifold"))
                .unwrap();
            let mut n_in_quarter = [0_i32; 4];
            for row in samples.rows() {
                let [x, y] = [row[0], row[1]].map(f64::from);
                // Two roundings of a coordinate of at most π to 32 bits.
                let (off, t) = match manifold {
                    Manifold::Wave => (y - (x + PI).sin(), x + PI),
                    Manifold::Circle => (x.hypot(y) - 3.0, x.atan2(y) + PI),
                };
                assert!(off.abs() < 5e-7, "{off}");
                let borders = [FRAC_PI_2, PI, 1.5 * PI];
                n_in_quarter[borders.iter().filter(|&&border| t >= border).count()] += 1;
            }
            // Uniform: 1,000 in each quarter, five standard deviations of √(4000 · 3/16).
            assert!(
                n_in_quarter
                    .iter()
                    .all(|number| (number - 1000).abs() < 137)
            );
        }
    }

    #[test]
    fn noise_is_added_to_the_same_points() {
        let sample = |noise| {
            Manifold::Circle
                .sample(10_000, noise, &mut generator(3, "manifold"))
                .unwrap()
        };
        let noise = Some(NoiseStd::new(0.1).unwrap());
        let errors = sample(noise) - sample(None);
        let square = errors.iter().map(|error| error * error).sum::<f32>() / 20_000.0;
        // Five standard errors of a standard deviation from 20,000 draws.
        assert!((square.sqrt() - 0.1).abs() < 5.0 * 0.1 / 200.0, "{square}");
        assert_eq!(sample(noise), sample(noise));
        assert_eq!(sample(Some(NoiseStd::new(0.0).unwrap())), sample(None));
    }

    #[test]
    fn names_read_back_and_others_are_refused() {
        for manifold in Manifold::ALL {
            assert_eq!(manifold.to_string().parse::<Manifold>().unwrap(), manifold);
        }
        assert_eq!(
            "spiral".parse::<Manifold>().unwrap_err().to_string(),
            "expected a manifold, wave or circle, found \"spiral\""
        );
    }

    #[test]
    fn samples_that_do_not_fit_are_refused() {
        let rng = &mut generator(0, "manifold");
        assert_eq!(
            Manifold::Wave
                .sample(usize::MAX, None, rng)
                .unwrap_err()
                .to_string(),
            format!("memory cannot hold {} samples of a manifold", usize::MAX)
        );
        let most = Some(NoiseStd::new(f64::from(f32::MAX)).unwrap());
        let error = Manifold::Wave.sample(100, most, rng).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("expected samples of a manifold that fit 32 bits, found "),
            "{error}"
        );
        assert_eq!(Manifold::Wave.sample(0, None, rng).unwrap().dim(), (0, 2));
    }
}
