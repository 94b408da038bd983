//! Figures: a description in plain data, drawn as SVG and PNG.
//!
//! ```ignore
//! let chart = Chart::new(
//!     Axis::new("noise-to-signal ratio", "dB"),
//!     Axis::dimensionless("F1 score"),
//! )
//! .line(Line::estimated("with EMMA", points).markers())
//! .horizontal_line(0.5, "chance");
//! let figure = Figure::new("Robustness", "F1 score against noise: …").panel(chart);
//! figure.write(&results, "robustness")?;
//! ```
//!
//! Every axis has a label, and every figure a description for those who do not see it. NaN and infinite
//! numbers are gaps, and a panel without any number says so. The same figure gives the same bytes,
//! whatever fonts the machine has. Colors follow the reader's preference for light or dark.

mod axis;
mod bars;
mod bitmap;
mod chart;
mod clip;
mod color_map;
mod draw;
mod error;
mod font;
mod label;
mod marker;
mod matrix;
mod surface;
mod svg;
mod theme;
mod ticks;

#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Context as _;

pub(crate) use axis::Axis;
pub(crate) use bars::Bars;
pub(crate) use chart::{
    Arrows, Chart, Estimate, Grid, HeatMap, Histogram, Line, Scatter, bin_edges,
};
pub(crate) use color_map::{ColorScale, Palette};
pub(crate) use error::FigureError;
pub(crate) use label::spoken;
pub(crate) use matrix::Matrix;
pub(crate) use theme::{Theme, style_sheet};

use crate::failure::CommandResult;
use crate::files;

/// A picture of its own part of the figure.
#[derive(Clone, Debug)]
pub(crate) enum Panel {
    /// Over two axes.
    Chart(Chart),
    /// By category.
    Bars(Bars),
    /// Numbers in cells.
    Matrix(Matrix),
}

impl From<Chart> for Panel {
    fn from(chart: Chart) -> Self {
        Self::Chart(chart)
    }
}

impl From<Bars> for Panel {
    fn from(bars: Bars) -> Self {
        Self::Bars(bars)
    }
}

impl From<Matrix> for Panel {
    fn from(matrix: Matrix) -> Self {
        Self::Matrix(matrix)
    }
}

/// A figure: panels in rows under a title.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    title: String,
    description: String,
    size: Option<(f64, f64)>,
    rows: Vec<Vec<Panel>>,
}

impl Figure {
    /// A figure without panels. The title may be empty; the description says in words what there is to
    /// be seen, and is read in place of the figure by those who do not see it.
    pub(crate) fn new(title: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            description: description.into(),
            size: None,
            rows: vec![Vec::new()],
        }
    }

    /// Adds a panel to the right of the last one.
    pub(crate) fn panel(mut self, panel: impl Into<Panel>) -> Self {
        if let Some(row) = self.rows.last_mut() {
            row.push(panel.into());
        }
        self
    }

    /// Puts the panels that follow below.
    pub(crate) fn next_row(mut self) -> Self {
        self.rows.push(Vec::new());
        self
    }

    /// Width and height in pixels of the page, each from 100 to 3000, in place of what the panels take by
    /// themselves: 860 across and 340 for each row.
    pub(crate) fn size(mut self, width: f64, height: f64) -> Self {
        self.size = Some((width, height));
        self
    }

    /// A file of its own, which follows the reader's preference for light or dark.
    pub(crate) fn svg(&self) -> Result<String, FigureError> {
        let style = format!("<style>\n{}</style>\n", style_sheet());
        let namespace = " xmlns=\"http://www.w3.org/2000/svg\"";
        self.svg_with(namespace, &style)
    }

    /// An element for a page whose style sheet holds [`style_sheet`].
    pub(crate) fn inline_svg(&self) -> Result<String, FigureError> {
        self.svg_with("", "")
    }

    /// A picture with two pixels for a pixel of the page, opaque.
    pub(crate) fn png(&self, theme: Theme) -> Result<Vec<u8>, FigureError> {
        self.check()?;
        let (width, height) = self.extent();
        Ok(bitmap::draw(width, height, theme, |surface| {
            draw::figure(self, surface);
        })?)
    }

    /// Writes `figures/NAME.svg`, `figures/NAME.png` and `figures/NAME-dark.png` into a results folder,
    /// each whole or not at all. A name consists of `a` to `z`, `0` to `9`, `_` and `-`.
    pub(crate) fn write(&self, results: &Path, name: &str) -> CommandResult<()> {
        let is_named = |sign: char| matches!(sign, 'a'..='z' | '0'..='9' | '_' | '-');
        if name.is_empty() || !name.chars().all(is_named) {
            return Err(FigureError::Name(name.to_owned()).into());
        }
        let folder = results.join("figures");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let file = |ending: &str| folder.join(format!("{name}{ending}"));
        files::write(&file(".svg"), self.svg()?.as_bytes())?;
        files::write(&file(".png"), &self.png(Theme::Light)?)?;
        files::write(&file("-dark.png"), &self.png(Theme::Dark)?)
    }

    fn svg_with(&self, namespace: &str, style: &str) -> Result<String, FigureError> {
        self.check()?;
        let (width, height) = self.extent();
        let mut surface = svg::SvgSurface::new();
        draw::figure(self, &mut surface);
        let elements = surface.into_elements();
        let description = escape(&spoken(&self.description));
        let [box_width, box_height] = [width, height].map(|length| length * svg::SCALE);
        Ok(format!(
            "<svg{namespace} class=\"emma-figure\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {box_width} {box_height}\" stroke-linejoin=\"round\" role=\"img\" \
             aria-label=\"{description}\">\n{style}{elements}</svg>\n"
        ))
    }

    /// Width and height in pixels of the page.
    fn extent(&self) -> (f64, f64) {
        let height = 340. * self.rows.len() as f64 + 30.;
        let (width, height) = self.size.unwrap_or((860., height));
        (width.round(), height.round())
    }
}

/// A text as HTML, with its raised and lowered parts.
pub(crate) fn html_of(text: &str) -> String {
    let runs = label::Label::new(text).runs.into_iter();
    let runs = runs.map(|(run, script)| {
        let run = escape(&run);
        match script {
            label::Script::Normal => run,
            label::Script::Raised => format!("<sup>{run}</sup>"),
            label::Script::Lowered => format!("<sub>{run}</sub>"),
        }
    });
    runs.collect()
}

/// Text for XML and HTML, within tags and between them.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            character if label::can_be_shown(character) => escaped.push(character),
            _ => escaped.push(' '),
        }
    }
    escaped
}
