//! Grouped bars, and points in their place where 0 is far away.

use super::axis::Axis;
use super::chart::Estimate;

/// Estimates by category, one bar for each series beside the others.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    pub(super) title: String,
    pub(super) categories: (Axis, Vec<String>),
    pub(super) value: Axis,
    pub(super) series: Vec<Series>,
    pub(super) references: Vec<(f64, String)>,
    pub(super) has_points: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) label: String,
    pub(super) values: Vec<Estimate>,
    pub(super) look: usize,
}

impl Bars {
    /// No bars yet, over named categories: `axis` says what they are categories of.
    pub(crate) fn new<S: Into<String>>(
        axis: Axis,
        categories: impl IntoIterator<Item = S>,
        value: Axis,
    ) -> Self {
        let names = categories.into_iter().map(Into::into).collect();
        Self {
            title: String::new(),
            categories: (axis, names),
            value,
            series: Vec::new(),
            references: Vec::new(),
            has_points: false,
        }
    }

    /// What stands above it.
    pub(crate) fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a bar for each category, in their order.
    pub(crate) fn series(
        self,
        label: impl Into<String>,
        values: impl IntoIterator<Item = Estimate>,
    ) -> Self {
        let look = self.series.len();
        self.series_with_look(label, values, look)
    }

    /// The same with the look of a number, as [`Line::look`](super::Line::look).
    pub(crate) fn series_with_look(
        mut self,
        label: impl Into<String>,
        values: impl IntoIterator<Item = Estimate>,
        look: usize,
    ) -> Self {
        self.series.push(Series {
            label: label.into(),
            values: values.into_iter().collect(),
            look,
        });
        self
    }

    /// Draws marks in place of bars, on an axis that need not begin at 0.
    pub(crate) fn points(mut self) -> Self {
        self.has_points = true;
        self
    }

    /// Adds a horizontal line.
    pub(crate) fn horizontal_line(mut self, at: f64, label: impl Into<String>) -> Self {
        self.references.push((at, label.into()));
        self
    }
}
