//! Stage two: training a model, stopped where it does best on validation rows.
//!
//! Models of a [`StandardForm`] are trained in f32 on the CPU by fused steps, without a graph of small
//! tensors; all others, elsewhere, by candle's operations. Both see the same rows in the same order.

mod by_candle;
mod config;
mod fused;
mod history;
mod loss;
mod rows;
mod run;
mod standard_form;

use emma_energy::SeededVarMap;
use rand::Rng;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

pub use config::TrainingConfig;
pub use history::{EpochLosses, TrainingHistory};
pub use loss::{binary_cross_entropy, constant_prediction_loss};
pub use rows::TrainingRows;
pub use standard_form::StandardForm;
pub(crate) use standard_form::{StandardGate, perceptron};

use crate::batch::Batch;
use crate::error::Result;
use crate::model::MultiModalModel;
use rows::OrderedRows;
use run::Run;

/// Trains the model whose parameters `variables` holds and leaves it as it was after the epoch of
/// the lowest validation loss.
///
/// `on_epoch` is called after every epoch, for progress; the variables then have the values of that
/// epoch.
///
/// # Errors
/// [`Error::InvalidSetting`](crate::Error::InvalidSetting), [`Error::NoRows`](crate::Error::NoRows), [`Error::Diverged`](crate::Error::Diverged), [`Error::Rows`](crate::Error::Rows), and the model's own.
///
/// # Source
/// Thesis section 5.6, phase 2, and section 6.4.
pub fn train(
    model: &impl MultiModalModel,
    variables: &SeededVarMap,
    mut training: impl TrainingRows,
    validation: &Batch,
    config: &TrainingConfig,
    rng: &mut impl Rng,
    mut on_epoch: impl FnMut(&EpochLosses),
) -> Result<TrainingHistory> {
    config.validate()?;
    let validation = validation_rows(validation)?;
    let mut run = Run::new(model, variables);
    for epoch in 1..=config.n_epochs {
        let rows = training_rows(&mut training, epoch, rng)?;
        on_epoch(&run.epoch(&rows, &validation, config, epoch)?);
        if run.is_over(config) {
            break;
        }
    }
    run.finish()
}

/// A model to be trained beside others, and the variables that hold its parameters.
#[derive(Debug)]
pub struct Trainee<'a, M: ?Sized> {
    /// What is trained.
    pub model: &'a M,
    /// Its parameters, which no other trainee may share.
    pub variables: &'a SeededVarMap,
}

/// Trains many models on the same rows in the same order, as a grid of hyper-parameters asks: each as
/// [`train`] would by itself, to the same bits.
///
/// An epoch's rows are made, shuffled and laid out once for all models, which are then trained in parallel on
/// the current rayon pool (one after the other on a GPU). `on_epoch` is called with a trainee's index after each of its epochs.
///
/// # Errors
/// As [`train`], of the first trainee that fails in an epoch; the variables are then left as they are.
pub fn train_together<M: MultiModalModel + Sync + ?Sized>(
    trainees: &[Trainee<'_, M>],
    mut training: impl TrainingRows,
    validation: &Batch,
    config: &TrainingConfig,
    rng: &mut impl Rng,
    on_epoch: impl Fn(usize, &EpochLosses) + Sync,
) -> Result<Vec<TrainingHistory>> {
    config.validate()?;
    let validation = validation_rows(validation)?;
    let mut runs: Vec<Run<'_, M>> = trainees
        .iter()
        .map(|trainee| Run::new(trainee.model, trainee.variables))
        .collect();
    for epoch in 1..=config.n_epochs {
        if runs.iter().all(|run| run.is_over(config)) {
            break;
        }
        let rows = training_rows(&mut training, epoch, rng)?;
        let train_one = |(index, run): (usize, &mut Run<'_, M>)| {
            if !run.is_over(config) {
                on_epoch(index, &run.epoch(&rows, &validation, config, epoch)?);
            }
            Ok(())
        };
        // candle orders no thread's stream after another's: a GPU gets one thread.
        let trained: Vec<Result<()>> = if validation.batch().labels().device().is_cpu() {
            runs.par_iter_mut().enumerate().map(train_one).collect()
        } else {
            runs.iter_mut().enumerate().map(train_one).collect()
        };
        trained.into_iter().collect::<Result<()>>()?;
    }
    runs.into_iter().map(Run::finish).collect()
}

/// Trains for exactly `config.n_epochs` epochs, without validation: the thesis's retraining on
/// training and validation rows together for the number of epochs found before.
///
/// # Errors
/// As [`train`].
///
/// # Source
/// Thesis section 6.4.
pub fn train_without_validation(
    model: &impl MultiModalModel,
    variables: &SeededVarMap,
    mut rows: impl TrainingRows,
    config: &TrainingConfig,
    rng: &mut impl Rng,
) -> Result<()> {
    config.validate()?;
    let mut run = Run::new(model, variables);
    for epoch in 1..=config.n_epochs {
        let rows = training_rows(&mut rows, epoch, rng)?;
        run.train_epoch(&rows, config, epoch)?;
    }
    Ok(())
}

fn training_rows(
    rows: &mut impl TrainingRows,
    epoch: usize,
    rng: &mut impl Rng,
) -> Result<OrderedRows> {
    OrderedRows::shuffled(rows.of_epoch(epoch)?, "training rows", rng)
}

fn validation_rows(rows: &Batch) -> Result<OrderedRows> {
    OrderedRows::in_order(rows.clone(), "validation rows")
}
