//! Charts over two axes: lines, points, arrows, histograms and color maps, one upon the other.

use super::axis::Axis;
use super::color_map::ColorScale;

/// A number with what is known of its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(super) value: f64,
    /// Lower and upper end of its interval.
    pub(super) interval: Option<(f64, f64)>,
}

impl Estimate {
    /// A number without an interval.
    pub(crate) fn exact(value: f64) -> Self {
        Self {
            value,
            interval: None,
        }
    }

    /// A number between the ends of its interval, in either order; an end may be infinite.
    pub(crate) fn between(value: f64, low: f64, high: f64) -> Self {
        Self {
            value,
            interval: Some((low.min(high), high.max(low))),
        }
    }

    /// A number with the half-width of its interval, such as `ci95` of `results.json`.
    pub(crate) fn with_half_width(value: f64, half_width: f64) -> Self {
        Self::between(value, value - half_width, value + half_width)
    }

    /// The number itself.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> + use<> {
        let (low, high) = self.interval.unwrap_or((f64::NAN, f64::NAN));
        [self.value, low, high].into_iter()
    }
}

/// How a line shows the intervals of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uncertainty {
    Band,
    Bars,
}

/// A line through points in their order. A point that cannot be drawn (NaN, infinite) is a gap.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<(f64, Estimate)>,
    pub(super) uncertainty: Uncertainty,
    pub(super) has_markers: bool,
    pub(super) is_filled: bool,
    pub(super) look: Option<usize>,
}

impl Line {
    /// A line through `(x, y)`; an empty label keeps it out of the legend.
    pub(crate) fn new(
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        let points = points.into_iter();
        Self::estimated(label, points.map(|(x, y)| (x, Estimate::exact(y))))
    }

    /// A line through estimates with a band of their intervals.
    pub(crate) fn estimated(
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, Estimate)>,
    ) -> Self {
        Self {
            label: label.into(),
            points: points.into_iter().collect(),
            uncertainty: Uncertainty::Band,
            has_markers: false,
            is_filled: false,
            look: None,
        }
    }

    /// Shows the intervals as bars at the points in place of a band.
    pub(crate) fn error_bars(mut self) -> Self {
        self.uncertainty = Uncertainty::Bars;
        self
    }

    /// Marks the points.
    pub(crate) fn markers(mut self) -> Self {
        self.has_markers = true;
        self
    }

    /// Fills the area between the line and 0: for densities.
    pub(crate) fn filled(mut self) -> Self {
        self.is_filled = true;
        self
    }

    /// Takes the look (color, dash, shape) of a number in place of the next free one; so one model
    /// looks the same in all figures.
    pub(crate) fn look(mut self, number: usize) -> Self {
        self.look = Some(number);
        self
    }
}

/// Points of one class.
#[derive(Clone, Debug)]
pub(crate) struct Scatter {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
}

impl Scatter {
    /// Points `(x, y)`; an empty label keeps them out of the legend. Each takes about 30 bytes of SVG.
    pub(crate) fn new(
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        Self {
            label: label.into(),
            points: points.into_iter().collect(),
        }
    }
}

/// Arrows at points: a vector field.
///
/// The longest arrow has the length that keeps arrows on a regular grid apart; its own length stands in
/// the legend. An arrow points along the curve `(x + t·dx, y + t·dy)` as the axes show it.
#[derive(Clone, Debug)]
pub(crate) struct Arrows {
    pub(super) length: Axis,
    pub(super) arrows: Vec<[f64; 4]>,
}

impl Arrows {
    /// Arrows `[x, y, dx, dy]`; `length` says what `√(dx² + dy²)` is, as an axis would.
    pub(crate) fn new(length: Axis, arrows: impl IntoIterator<Item = [f64; 4]>) -> Self {
        Self {
            length,
            arrows: arrows.into_iter().collect(),
        }
    }
}

/// A rectangle of equal cells over two linear axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// Left edge of the first and right edge of the last column.
    pub(crate) x: (f64, f64),
    /// Lower edge of the first and upper edge of the last row.
    pub(crate) y: (f64, f64),
    pub(crate) n_columns: usize,
    pub(crate) n_rows: usize,
}

impl Grid {
    /// The middles of the cells, row by row from below.
    pub(crate) fn middles(self) -> impl Iterator<Item = (f64, f64)> {
        let at = |(from, to): (f64, f64), index: usize, n_cells: usize| {
            from + (to - from) * (index as f64 + 0.5) / n_cells as f64
        };
        (0..self.n_rows).flat_map(move |row| {
            let y = at(self.y, row, self.n_rows);
            (0..self.n_columns).map(move |column| (at(self.x, column, self.n_columns), y))
        })
    }

    pub(super) fn n_cells(&self) -> Option<usize> {
        self.n_columns.checked_mul(self.n_rows)
    }
}

/// Colors over a grid. NaN is a gap.
#[derive(Clone, Debug)]
pub(crate) struct HeatMap {
    pub(super) grid: Grid,
    pub(super) values: Vec<f64>,
    pub(super) scale: ColorScale,
}

impl HeatMap {
    /// Values of a grid's cells, row by row from below.
    pub(crate) fn new(grid: Grid, values: Vec<f64>, scale: ColorScale) -> Self {
        Self {
            grid,
            values,
            scale,
        }
    }
}

/// A histogram of densities: counts divided by all counted samples and by the bin's width. Areas sum to 1, so
/// that classes of different sizes compare. Several in one chart lie upon each other.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    pub(super) label: String,
    /// Ascending, one more than heights.
    pub(super) edges: Vec<f64>,
    pub(super) heights: Vec<f64>,
}

impl Histogram {
    /// Counts samples in bins, given by their ascending edges (see [`bin_edges`]). A sample on an edge
    /// falls into the upper bin, on the last edge into the last bin; NaN and samples beyond the edges are
    /// not counted.
    pub(crate) fn new(label: impl Into<String>, samples: &[f64], edges: &[f64]) -> Self {
        let n_bins = edges.len().saturating_sub(1);
        let mut counts = vec![0_usize; n_bins];
        for sample in samples {
            let after = edges.partition_point(|edge| edge <= sample);
            let is_last = edges.last() == Some(sample);
            let bin = after.checked_sub(1 + usize::from(is_last));
            if let Some(count) = bin.and_then(|bin| counts.get_mut(bin)) {
                *count += 1;
            }
        }
        let n_counted: usize = counts.iter().sum();
        let bins = counts.iter().zip(edges.windows(2));
        let heights =
            bins.map(|(&count, bin)| count as f64 / (n_counted as f64 * (bin[1] - bin[0])));
        Self {
            label: label.into(),
            edges: edges.to_vec(),
            heights: heights.collect(),
        }
    }
}

/// Edges of equal bins over all finite numbers, for histograms that lie upon each other; empty if there
/// are none.
pub(crate) fn bin_edges<'a>(samples: impl IntoIterator<Item = &'a f64>, n_bins: usize) -> Vec<f64> {
    let axis = Axis::dimensionless("samples");
    let Some(span) = axis.over(samples.into_iter().copied(), 0.) else {
        return Vec::new();
    };
    (0..=n_bins)
        .map(|edge| span.from + (span.to - span.from) * edge as f64 / n_bins.max(1) as f64)
        .collect()
}

/// A line across the whole chart at a number of one axis.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) at: f64,
    pub(super) label: String,
    pub(super) is_horizontal: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Layer {
    HeatMap(HeatMap),
    Histogram(Histogram),
    Line(Line),
    Scatter(Scatter),
    Arrows(Arrows),
}

/// A chart: two axes and layers, drawn in their order, color maps first.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) layers: Vec<Layer>,
    pub(super) references: Vec<Reference>,
    pub(super) has_equal_axes: bool,
}

impl Chart {
    /// An empty chart.
    pub(crate) fn new(x: Axis, y: Axis) -> Self {
        Self {
            title: String::new(),
            x,
            y,
            layers: Vec::new(),
            references: Vec::new(),
            has_equal_axes: false,
        }
    }

    /// What stands above it.
    pub(crate) fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a line.
    pub(crate) fn line(self, line: Line) -> Self {
        self.layer(Layer::Line(line))
    }

    /// Adds points.
    pub(crate) fn scatter(self, scatter: Scatter) -> Self {
        self.layer(Layer::Scatter(scatter))
    }

    /// Adds arrows.
    pub(crate) fn arrows(self, arrows: Arrows) -> Self {
        self.layer(Layer::Arrows(arrows))
    }

    /// Adds a color map with its color bar. Both axes must be linear.
    pub(crate) fn heat_map(self, heat_map: HeatMap) -> Self {
        self.layer(Layer::HeatMap(heat_map))
    }

    /// Adds a histogram.
    pub(crate) fn histogram(self, histogram: Histogram) -> Self {
        self.layer(Layer::Histogram(histogram))
    }

    /// Adds a horizontal line at a number of the upright axis.
    pub(crate) fn horizontal_line(self, at: f64, label: impl Into<String>) -> Self {
        self.reference(at, label.into(), true)
    }

    /// Adds an upright line at a number of the horizontal axis.
    pub(crate) fn vertical_line(self, at: f64, label: impl Into<String>) -> Self {
        self.reference(at, label.into(), false)
    }

    /// Makes one unit equally long on both axes: for places in a plane.
    pub(crate) fn equal_axes(mut self) -> Self {
        self.has_equal_axes = true;
        self
    }

    fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    fn reference(mut self, at: f64, label: String, is_horizontal: bool) -> Self {
        self.references.push(Reference {
            at,
            label,
            is_horizontal,
        });
        self
    }
}
