//! Matrices whose numbers are read: confusion matrices, couplings.

use super::axis::Axis;
use super::color_map::ColorScale;

/// A matrix with named rows and columns, its numbers in its colored cells.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(super) title: String,
    pub(super) rows: (Axis, Vec<String>),
    pub(super) columns: (Axis, Vec<String>),
    pub(super) values: Vec<f64>,
    pub(super) scale: ColorScale,
    pub(super) decimals: usize,
}

impl Matrix {
    /// Numbers row by row from above; the axes say what rows and columns are. NaN is an empty cell.
    pub(crate) fn new<S: Into<String>, T: Into<String>>(
        (rows, row_names): (Axis, impl IntoIterator<Item = S>),
        (columns, column_names): (Axis, impl IntoIterator<Item = T>),
        values: Vec<f64>,
        scale: ColorScale,
    ) -> Self {
        Self {
            title: String::new(),
            rows: (rows, row_names.into_iter().map(Into::into).collect()),
            columns: (columns, column_names.into_iter().map(Into::into).collect()),
            values,
            scale,
            decimals: 2,
        }
    }

    /// What stands above it.
    pub(crate) fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// How many decimals the numbers have: 0 for counts; 2 if nothing is said.
    pub(crate) fn decimals(mut self, decimals: usize) -> Self {
        self.decimals = decimals;
        self
    }
}
