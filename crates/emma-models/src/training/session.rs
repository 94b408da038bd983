//! Training that can stop after any epoch and go on later, to the same bits.

use rand::Rng;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

use super::Trainee;
use super::config::TrainingConfig;
use super::history::{EpochLosses, TrainingHistory};
use super::rows::{OrderedRows, TrainingRows};
use super::run::Run;
use super::state::TrainingState;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::MultiModalModel;

/// Models in training side by side, epoch by epoch: what [`train`](crate::train) and
/// [`train_together`](crate::train_together) do in one go.
///
/// Whoever wants to be able to go on later keeps [`states`](Self::states) after an epoch, and with them the
/// state of the generator that shuffles the rows; [`resume`](Self::resume) takes them up again.
///
/// ```
/// # use candle_core::{DType, Device, Tensor};
/// # use emma_models::{Batch, Concatenation, Mlp, MlpConfig, Trainee, TrainingConfig, TrainingSession};
/// # use emma_energy::SeededVarMap;
/// # use rand::SeedableRng;
/// # fn main() -> emma_models::Result<()> {
/// # let rows = Tensor::new(&[[1f32, 2.], [3., 4.], [0., 1.]], &Device::Cpu)?;
/// # let batch = Batch::new(vec![rows], Tensor::new(&[1f32, 0., 1.], &Device::Cpu)?)?;
/// # let variables = SeededVarMap::new(rand_chacha::ChaCha8Rng::seed_from_u64(1));
/// # let config = MlpConfig { n_inputs: 2, ..MlpConfig::default() };
/// # let network = Mlp::new(&config, &variables.var_builder(DType::F32, &Device::Cpu))?;
/// # let model = Concatenation { network };
/// # let config = TrainingConfig { n_epochs: 2, batch_size: 2, ..TrainingConfig::default() };
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
/// let trainee = Trainee { model: &model, variables: &variables };
/// let mut session = TrainingSession::new(&[trainee], &batch, &config)?;
/// while !session.is_over() {
///     session.epoch(&mut &batch, &mut rng, |_, losses| println!("{losses:?}"))?;
///     let _to_keep = (session.states()?, rng.get_word_pos());
/// }
/// let histories = session.finish()?;
/// # assert_eq!(histories[0].epochs.len(), 2);
/// # Ok(())
/// # }
/// ```
pub struct TrainingSession<'a, M: ?Sized> {
    runs: Vec<Run<'a, M>>,
    validation: OrderedRows,
    config: TrainingConfig,
    n_epochs_done: usize,
}

impl<'a, M: MultiModalModel + ?Sized> TrainingSession<'a, M> {
    /// Begins with the variables as they are.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`]; [`Error::NoRows`] without validation rows.
    pub fn new(
        trainees: &[Trainee<'a, M>],
        validation: &Batch,
        config: &TrainingConfig,
    ) -> Result<Self> {
        config.validate()?;
        let runs = trainees.iter();
        let runs = runs.map(|trainee| Run::new(trainee.model, trainee.variables));
        Ok(Self {
            runs: runs.collect(),
            validation: OrderedRows::in_order(validation.clone(), "validation rows")?,
            config: *config,
            n_epochs_done: 0,
        })
    }

    /// Goes on after the epochs of an earlier session with the same trainees, rows and settings, which
    /// kept these states.
    ///
    /// # Errors
    /// Those of [`new`](Self::new); [`Error::TraineeCount`] if there is not one state a trainee, and an energy
    /// error if a state is one of other variables.
    pub fn resume(
        trainees: &[Trainee<'a, M>],
        validation: &Batch,
        config: &TrainingConfig,
        states: Vec<TrainingState>,
    ) -> Result<Self> {
        let mut session = Self::new(trainees, validation, config)?;
        if states.len() != session.runs.len() {
            return Err(Error::TraineeCount {
                expected: session.runs.len(),
                found: states.len(),
            });
        }
        for (run, state) in session.runs.iter_mut().zip(states) {
            session.n_epochs_done = session.n_epochs_done.max(state.history.epochs.len());
            run.take_up(state)?;
        }
        Ok(session)
    }

    /// Whether all epochs are done, or patience is at its end for every model.
    pub fn is_over(&self) -> bool {
        let waits = |run: &Run<'_, M>| run.is_over(&self.config);
        self.n_epochs_done >= self.config.n_epochs || self.runs.iter().all(waits)
    }

    /// Epochs done, those before a resumption included.
    pub fn n_epochs_done(&self) -> usize {
        self.n_epochs_done
    }

    /// One pass over the rows for every model that is not over.
    ///
    /// The rows are made, shuffled and laid out once for all models, which are then trained in parallel on the
    /// current rayon pool (one after the other on a GPU). `on_epoch` is called with a trainee's index and
    /// losses; the variables then have the values after this epoch.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::Diverged`], [`Error::Rows`], and the models' own; of the first trainee
    /// that fails.
    pub fn epoch(
        &mut self,
        rows: &mut impl TrainingRows,
        rng: &mut impl Rng,
        on_epoch: impl Fn(usize, &EpochLosses) + Sync,
    ) -> Result<()>
    where
        M: Sync,
    {
        let rows = self.next_rows(rows, rng)?;
        let (epoch, validation, config) = (self.n_epochs_done, &self.validation, &self.config);
        let train_one = |(index, run): (usize, &mut Run<'_, M>)| {
            if !run.is_over(config) {
                on_epoch(index, &run.epoch(&rows, validation, config, epoch)?);
            }
            Ok(())
        };
        // candle orders no thread's stream after another's: a GPU gets one thread.
        let trained: Vec<Result<()>> = if validation.batch().labels().device().is_cpu() {
            self.runs
                .par_iter_mut()
                .enumerate()
                .map(train_one)
                .collect()
        } else {
            self.runs.iter_mut().enumerate().map(train_one).collect()
        };
        trained.into_iter().collect()
    }

    /// The same on this thread, also for models that no other thread may see.
    pub(super) fn epoch_here(
        &mut self,
        rows: &mut impl TrainingRows,
        rng: &mut impl Rng,
        mut on_epoch: impl FnMut(&EpochLosses),
    ) -> Result<()> {
        let rows = self.next_rows(rows, rng)?;
        for run in &mut self.runs {
            if !run.is_over(&self.config) {
                let (validation, epoch) = (&self.validation, self.n_epochs_done);
                on_epoch(&run.epoch(&rows, validation, &self.config, epoch)?);
            }
        }
        Ok(())
    }

    fn next_rows(
        &mut self,
        rows: &mut impl TrainingRows,
        rng: &mut impl Rng,
    ) -> Result<OrderedRows> {
        self.n_epochs_done += 1;
        super::training_rows(rows, self.n_epochs_done, rng)
    }

    /// All that is needed to go on after the last epoch, one state a trainee.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn states(&self) -> Result<Vec<TrainingState>> {
        self.runs.iter().map(Run::state).collect()
    }

    /// Leaves every model as it was after its epoch of the lowest validation loss.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn finish(self) -> Result<Vec<TrainingHistory>> {
        self.runs.into_iter().map(Run::finish).collect()
    }
}

impl<M: ?Sized> std::fmt::Debug for TrainingSession<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingSession")
            .field("trainees", &self.runs.len())
            .field("n_epochs_done", &self.n_epochs_done)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
