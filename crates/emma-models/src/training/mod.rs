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
mod session;
mod standard_form;
mod state;

use emma_energy::SeededVarMap;
use rand::Rng;

pub use config::TrainingConfig;
pub use history::{EpochLosses, TrainingHistory};
pub use loss::{
    Loss, binary_cross_entropy, constant_prediction_loss, cross_entropy, squared_error,
};
pub use rows::TrainingRows;
pub use session::TrainingSession;
pub use standard_form::StandardForm;
pub(crate) use standard_form::{StandardGate, perceptron};
pub use state::TrainingState;

use crate::batch::Batch;
use crate::error::{Error, Result};
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
/// [`Error::InvalidSetting`], [`Error::NoRows`], [`Error::Diverged`], [`Error::Rows`], and the model's own.
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
    let trainee = Trainee { model, variables };
    let mut session = TrainingSession::new(&[trainee], validation, config)?;
    while !session.is_over() {
        session.epoch_here(&mut training, rng, &mut on_epoch)?;
    }
    only(session.finish()?)
}

/// The one history of a session with one trainee.
fn only(histories: Vec<TrainingHistory>) -> Result<TrainingHistory> {
    let found = histories.len();
    histories
        .into_iter()
        .next()
        .ok_or(Error::TraineeCount { expected: 1, found })
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
    let mut session = TrainingSession::new(trainees, validation, config)?;
    while !session.is_over() {
        session.epoch(&mut training, rng, &on_epoch)?;
    }
    session.finish()
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
