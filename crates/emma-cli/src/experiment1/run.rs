//! One manifold, one seed: draw, fit, look.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use emma_data::{Manifold, generator};
use emma_energy::{DenoisingAutoencoder, FittedEstimator, energies, in_type, transfer};
use emma_models::scoring_type;
use ndarray::Array2;

use super::measures::{Measures, alignment, sink_depth};
use super::plane::{Point, curve, mesh, rays, rows};
use super::settings::Settings;
use crate::experiment::energy_auc::auc_of_energies;
use crate::experiment::estimators::{EstimatorKind, Fits};
use crate::failure::CommandResult;

/// Points a side of the mesh that measures are taken on.
const MESH: usize = 81;
/// Points of a manifold that are looked at.
const CURVE: usize = 720;
/// A mesh point nearer to the manifold than this counts as neither on nor off it.
const CLEARANCE: f64 = 0.25;
/// How far from the origin the source of the circle's field is searched.
const SOURCE_WITHIN: f64 = 1.;

/// What one seed found on one manifold.
pub(crate) struct Outcome {
    pub(crate) field_alignment: f64,
    /// By name of the estimator.
    pub(crate) measures: BTreeMap<String, Measures>,
    pub(crate) seconds: f64,
    /// The points learned from.
    pub(crate) samples: Array2<f32>,
    /// The fitted estimators, in the type that scores.
    pub(crate) estimators: Vec<(EstimatorKind, Box<dyn FittedEstimator>)>,
    pub(crate) autoencoder: DenoisingAutoencoder,
    pub(crate) dtype: DType,
}

impl Outcome {
    /// Draws, fits and measures.
    pub(crate) fn of(
        manifold: Manifold,
        settings: &Settings,
        seed: u64,
        device: &Device,
    ) -> CommandResult<Self> {
        let start = Instant::now();
        let rng = &mut generator(seed, &format!("{} samples", manifold.name()));
        let samples = manifold.sample(settings.n_samples, None, rng)?;
        let training_rows =
            Tensor::from_iter(samples.iter().copied(), device)?.reshape((settings.n_samples, 2))?;
        // Scored in the wider type from the parameters as a file would hold them.
        let dtype = scoring_type(device);
        let fits = Fits::new(&training_rows, &settings.setup, seed, manifold.name());
        let autoencoder = fits.autoencoder()?;
        let tensors = autoencoder.tensors().into_iter();
        let vb = VarBuilder::from_tensors(tensors.collect(), dtype, device);
        let autoencoder = DenoisingAutoencoder::new(&autoencoder.config(), &vb)?;
        let estimators = settings
            .estimators
            .iter()
            .map(|&kind| Ok((kind, in_type(&*fits.fit(kind)?, dtype, device)?)))
            .collect::<CommandResult<Vec<_>>>()?;
        let seconds = start.elapsed().as_secs_f64();
        let mut outcome = Self {
            field_alignment: 0.,
            measures: BTreeMap::new(),
            seconds,
            samples,
            estimators,
            autoencoder,
            dtype,
        };
        outcome.measure(manifold, settings.half_width, device)?;
        Ok(outcome)
    }

    fn measure(
        &mut self,
        manifold: Manifold,
        half_width: f64,
        device: &Device,
    ) -> CommandResult<()> {
        let points = mesh(half_width, MESH);
        let on = curve(manifold, CURVE);
        let off: Vec<Point> = points
            .iter()
            .copied()
            .filter(|point| {
                let nearest = super::plane::nearest(*point, &on);
                (point[0] - nearest[0]).hypot(point[1] - nearest[1]) >= CLEARANCE
            })
            .collect();
        let field = self.field(&points, device)?;
        self.field_alignment = alignment(&points, &field, &on, CLEARANCE);
        let from_source = match manifold {
            Manifold::Circle => Some(rays(self.source(device)?, 72, 60)),
            Manifold::Wave => None,
        };
        for (kind, estimator) in &self.estimators {
            let energies = |points: &[Point]| -> CommandResult<Vec<f64>> {
                Ok(energies(&**estimator, &rows(points, self.dtype, device)?)?)
            };
            let (clean, outlying) = (energies(&on)?, energies(&off)?);
            let negative = clean.iter().filter(|&&energy| energy < 0.).count();
            let false_sink = from_source
                .as_ref()
                .map(|rays| -> CommandResult<f64> {
                    let rays: CommandResult<Vec<_>> =
                        rays.iter().map(|ray| energies(ray)).collect();
                    Ok(sink_depth(&rays?))
                })
                .transpose()?;
            let measures = Measures {
                auc: auc_of_energies(&clean, &outlying)?,
                negative: negative as f64 / clean.len() as f64,
                false_sink,
            };
            self.measures.insert(kind.name().to_owned(), measures);
        }
        Ok(())
    }

    /// What the autoencoder moves each point by, `r(x) − x`.
    pub(crate) fn field(&self, points: &[Point], device: &Device) -> CommandResult<Vec<Point>> {
        let rows = rows(points, self.dtype, device)?;
        let field = (self.autoencoder.reconstruct(&rows)? - &rows)?;
        let field = transfer(&field, DType::F64, &Device::Cpu)?.to_vec2::<f64>()?;
        Ok(field
            .into_iter()
            .map(|arrow| [arrow[0], arrow[1]])
            .collect())
    }

    /// Where the field is weakest within the circle: its source.
    fn source(&self, device: &Device) -> CommandResult<Point> {
        let points = mesh(SOURCE_WITHIN, MESH);
        let field = self.field(&points, device)?;
        let strength = |index: &usize| field[*index][0].hypot(field[*index][1]);
        let weakest = (0..points.len()).min_by(|a, b| strength(a).total_cmp(&strength(b)));
        Ok(weakest.map_or([0., 0.], |index| points[index]))
    }
}
