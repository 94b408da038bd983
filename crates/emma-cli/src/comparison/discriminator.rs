//! A network told to tell the rows of two tables apart.

use candle_core::{DType, Device, Tensor};
use emma_data::{Empirical, Samples, generator};
use emma_energy::SeededVarMap;
use emma_models::metrics::roc_auc as area;
use emma_models::{Batch, Concatenation, Mlp, MlpConfig, MultiModalModel, TrainingConfig, train};
use rand::seq::SliceRandom;

use crate::failure::CommandResult;

/// Parts that the rows are dealt into; each is scored by a network that learned from the others.
const FOLDS: usize = 3;

/// Passes over the rows, and steps that a small table gets all the same.
const EPOCHS: usize = 40;
const LEAST_STEPS: usize = 3000;
const BATCH_SIZE: usize = 64;

/// Rows of both tables: features side by side, and which table each is from.
struct Rows {
    features: Vec<Vec<f32>>,
    table: Vec<u8>,
}

/// Area under the ROC curve, the mean over folds.
///
/// The network sees each feature as its rank among the rows it learns from, so that heavy tails do not
/// hide what is in the middle. Classes are not told to it.
pub(super) fn roc_auc(samples: [&Samples; 2], seed: u64, device: &Device) -> CommandResult<f64> {
    let rows = Rows::of(samples);
    let mut order: Vec<usize> = (0..rows.table.len()).collect();
    order.shuffle(&mut generator(seed, "comparison folds"));
    // Table by table, so that every fold gets its share of both.
    order.sort_by_key(|&row| rows.table[row]);
    let mut total = 0.;
    for fold in 0..FOLDS {
        let part = |wanted: bool| -> Vec<usize> {
            let dealt = order.iter().enumerate();
            let dealt = dealt.filter(|(place, _)| (place % FOLDS == fold) == wanted);
            dealt.map(|(_, &row)| row).collect()
        };
        total += rows.fold(part(false), &part(true), seed, fold, device)?;
    }
    Ok(total / FOLDS as f64)
}

impl Rows {
    fn of(samples: [&Samples; 2]) -> Self {
        let mut rows = Self {
            features: Vec::new(),
            table: Vec::new(),
        };
        for (table, samples) in (0..).zip(samples) {
            for row in 0..samples.n_rows() {
                let modes = samples.modes().iter();
                let features = modes.flat_map(|mode| mode.values.row(row).to_vec());
                rows.features.push(features.collect());
                rows.table.push(table);
            }
        }
        rows
    }

    /// Learns from some rows and scores others.
    fn fold(
        &self,
        mut training: Vec<usize>,
        test: &[usize],
        seed: u64,
        fold: usize,
        device: &Device,
    ) -> CommandResult<f64> {
        let n_features = self.features.first().map_or(0, Vec::len);
        let ranks = (0..n_features)
            .map(|feature| {
                let values = training.iter().map(|&row| self.features[row][feature]);
                Empirical::new("feature", values)
            })
            .collect::<emma_data::Result<Vec<_>>>()?;
        let stream = |purpose: &str| generator(seed, &format!("comparison {purpose} {fold}"));
        training.shuffle(&mut stream("validation rows"));
        // A tenth of the rows says when to stop.
        let (validation, training) = training.split_at(training.len() / 10);
        let training = self.batch(training, &ranks, device)?;
        let validation = self.batch(validation, &ranks, device)?;

        let variables = SeededVarMap::new(stream("first values"));
        let vb = variables.var_builder(DType::F32, device);
        let sizes = MlpConfig {
            n_inputs: n_features,
            hidden: vec![64, 32],
            n_outputs: 1,
        };
        let model = Concatenation {
            network: Mlp::new(&sizes, &vb.pp("network"))?,
        };
        let n_epochs = EPOCHS.max(LEAST_STEPS * BATCH_SIZE / training.n_rows().max(1));
        let config = TrainingConfig {
            n_epochs,
            batch_size: BATCH_SIZE,
            learning_rate: 2e-3,
            patience: Some(n_epochs / 6),
            ..TrainingConfig::default()
        };
        let mut rng = stream("training");
        train(
            &model,
            &variables,
            &training,
            &validation,
            &config,
            &mut rng,
            |_| {},
        )?;
        let test_rows = self.batch(test, &ranks, device)?;
        let output = model.forward(test_rows.modes(), None)?;
        let probabilities: Vec<f32> = output.probabilities()?.to_vec1()?;
        let labels: Vec<u8> = test.iter().map(|&row| self.table[row]).collect();
        Ok(area(&probabilities, &labels)?)
    }

    /// Rows as the network sees them: ranks from −1 to 1.
    fn batch(&self, rows: &[usize], ranks: &[Empirical], device: &Device) -> CommandResult<Batch> {
        let values: Vec<f32> = rows
            .iter()
            .flat_map(|&row| self.features[row].iter().zip(ranks))
            .map(|(&value, rank)| (2. * rank.cumulative(value) - 1.) as f32)
            .collect();
        let labels: Vec<f32> = rows.iter().map(|&row| f32::from(self.table[row])).collect();
        let features = Tensor::from_vec(values, (rows.len(), ranks.len()), device)?;
        let labels = Tensor::from_vec(labels, rows.len(), device)?;
        Ok(Batch::new(vec![features], labels)?)
    }
}
