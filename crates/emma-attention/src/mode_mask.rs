//! Which modes of which rows are there.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};

/// Which modes of each row are there: true where there is one, at least one in every row.
///
/// What [`Emma::forward_masked`](crate::Emma::forward_masked) needs to go on without a sensor that gave
/// nothing, which is another thing than a sensor that gave something odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeMask {
    present: Vec<bool>,
    n_modes: usize,
}

impl ModeMask {
    /// Takes a mask.
    ///
    /// # Shapes
    /// - `present`: `[rows, modes]`, row-major
    ///
    /// # Errors
    /// [`Error::TooFewModes`] for no mode, [`Error::MaskLength`] if `present` is no whole number of rows,
    /// [`Error::NoModePresent`] for the first row that has no mode.
    pub fn new(present: Vec<bool>, n_modes: usize) -> Result<Self> {
        if n_modes == 0 {
            return Err(Error::TooFewModes { found: 0 });
        }
        if !present.len().is_multiple_of(n_modes) {
            return Err(Error::MaskLength {
                n_modes,
                found: present.len(),
            });
        }
        let empty = present
            .chunks_exact(n_modes)
            .position(|row| !row.contains(&true));
        match empty {
            Some(row) => Err(Error::NoModePresent { row }),
            None => Ok(Self { present, n_modes }),
        }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.present.len() / self.n_modes
    }

    /// Number of modes.
    pub fn n_modes(&self) -> usize {
        self.n_modes
    }

    /// The modes of each row, in order; true where there is one.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[bool]> {
        self.present.chunks_exact(self.n_modes)
    }

    /// 1 where a mode is there, else 0: `[rows, modes]`, of unsigned bytes, as candle's conditions are.
    pub(crate) fn tensor(&self, device: &Device) -> Result<Tensor> {
        let bytes: Vec<u8> = self.present.iter().copied().map(u8::from).collect();
        let shape = (self.n_rows(), self.n_modes);
        Ok(Tensor::from_vec(bytes, shape, &Device::Cpu)?
            .to_dtype(DType::U8)?
            .to_device(device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_any_mode_and_half_a_row_are_refused() {
        let error = |present: &[bool], n_modes| {
            let mask = ModeMask::new(present.to_vec(), n_modes);
            mask.unwrap_err().to_string()
        };
        assert_eq!(
            error(&[true, false, false, false], 2),
            "expected at least one mode in row 1, got none"
        );
        assert_eq!(
            error(&[true, false, true], 2),
            "expected a mask of 2 modes a row, got 3 values"
        );
        assert_eq!(
            error(&[], 0),
            "expected at least 2 modes to share attention, got 0"
        );
        assert_eq!(ModeMask::new(vec![], 2).unwrap().n_rows(), 0);
    }
}
