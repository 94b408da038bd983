//! Labelled rows of several modes, as tensors.

use candle_core::Tensor;
use emma_attention::PotentialEnergies;

use crate::error::{Error, Result};

/// Rows to train or score on: a whole data set or a mini-batch of it.
#[derive(Debug, Clone)]
pub struct Batch {
    modes: Vec<Tensor>,
    labels: Tensor,
    corruption_sign: Option<Tensor>,
    potentials: Option<PotentialEnergies>,
}

impl Batch {
    /// Rows with their labels.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, …]` tensor a mode, standardized
    /// - `labels`: `[rows]`, 0 or 1, of the modes' type
    ///
    /// # Errors
    /// [`Error::ModeCount`] for no mode at all, [`Error::Shape`] if a mode has other rows.
    pub fn new(modes: Vec<Tensor>, labels: Tensor) -> Result<Self> {
        if modes.is_empty() {
            return Err(Error::ModeCount {
                expected: 1,
                found: 0,
            });
        }
        let n_rows = labels.dims1()?;
        for (mode_index, mode) in modes.iter().enumerate() {
            check_rows(mode, n_rows, || format!("mode {mode_index}"))?;
        }
        Ok(Self {
            modes,
            labels,
            corruption_sign: None,
            potentials: None,
        })
    }

    /// Adds which modes of which rows were corrupted, for the energy regularizer.
    ///
    /// # Shapes
    /// - `sign` ξ: `[rows, modes]`, −1 corrupted, +1 not
    ///
    /// # Errors
    /// [`Error::Shape`].
    ///
    /// # Source
    /// Thesis eq. 5.12.
    pub fn with_corruption_sign(mut self, sign: Tensor) -> Result<Self> {
        if sign.dims() != [self.n_rows(), self.modes.len()] {
            return Err(Error::Shape {
                what: "corruption signs".into(),
                expected: format!("[{}, {}]", self.n_rows(), self.modes.len()),
                found: sign.dims().to_vec(),
            });
        }
        self.corruption_sign = Some(sign);
        Ok(self)
    }

    /// Adds potential energies, so that frozen estimators need not compute them again each epoch.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of rows.
    pub fn with_potentials(mut self, potentials: PotentialEnergies) -> Result<Self> {
        check_rows(potentials.as_tensor(), self.n_rows(), || {
            "potential energies".into()
        })?;
        self.potentials = Some(potentials);
        Ok(self)
    }

    /// The modes, each `[rows, …]`.
    pub fn modes(&self) -> &[Tensor] {
        &self.modes
    }

    /// Labels, `[rows]`.
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }

    /// Corruption signs ξ, `[rows, modes]`, if known.
    pub fn corruption_sign(&self) -> Option<&Tensor> {
        self.corruption_sign.as_ref()
    }

    /// Potential energies, `[rows, modes]`, if computed.
    pub fn potentials(&self) -> Option<&PotentialEnergies> {
        self.potentials.as_ref()
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.labels.elem_count()
    }

    /// The rows with these numbers, in this order.
    ///
    /// # Shapes
    /// - `rows`: `[n]`, `u32`
    ///
    /// # Errors
    /// Candle's, for a row that is not there.
    pub fn select(&self, rows: &Tensor) -> Result<Self> {
        // candle gathers from contiguous tensors alone.
        self.map(|tensor| tensor.contiguous()?.index_select(rows, 0))
    }

    /// `length` consecutive rows, without a copy.
    ///
    /// # Errors
    /// Candle's, for rows that are not there.
    pub fn narrow(&self, start: usize, length: usize) -> Result<Self> {
        self.map(|tensor| tensor.narrow(0, start, length))
    }

    /// The rows of this batch followed by those of another with the same modes.
    ///
    /// What only one of the two knows (signs, potentials) is dropped.
    ///
    /// # Errors
    /// [`Error::ModeCount`]; candle's if shapes differ.
    pub fn followed_by(&self, other: &Self) -> Result<Self> {
        if self.modes.len() != other.modes.len() {
            return Err(Error::ModeCount {
                expected: self.modes.len(),
                found: other.modes.len(),
            });
        }
        let both = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 0);
        Ok(Self {
            modes: self
                .modes
                .iter()
                .zip(&other.modes)
                .map(|(a, b)| both(a, b))
                .collect::<candle_core::Result<_>>()?,
            labels: both(&self.labels, &other.labels)?,
            corruption_sign: match (&self.corruption_sign, &other.corruption_sign) {
                (Some(a), Some(b)) => Some(both(a, b)?),
                _ => None,
            },
            potentials: match (&self.potentials, &other.potentials) {
                (Some(a), Some(b)) => {
                    Some(PotentialEnergies::new(both(a.as_tensor(), b.as_tensor())?)?)
                }
                _ => None,
            },
        })
    }

    fn map(&self, change: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self> {
        let potentials = match &self.potentials {
            Some(potentials) => Some(PotentialEnergies::new(change(potentials.as_tensor())?)?),
            None => None,
        };
        Ok(Self {
            modes: self
                .modes
                .iter()
                .map(&change)
                .collect::<candle_core::Result<_>>()?,
            labels: change(&self.labels)?,
            corruption_sign: self.corruption_sign.as_ref().map(&change).transpose()?,
            potentials,
        })
    }
}

fn check_rows(tensor: &Tensor, n_rows: usize, what: impl Fn() -> String) -> Result<()> {
    if tensor.dims().first() == Some(&n_rows) {
        return Ok(());
    }
    Err(Error::Shape {
        what: what(),
        expected: format!("[{n_rows}, …]"),
        found: tensor.dims().to_vec(),
    })
}
