//! Tables: columns of words or numbers, and cells that stand out.

use std::fmt::Write as _;

use super::error::ReportError;
use super::page::inline;

/// What a column holds, which decides where its cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Words,
    Numbers,
}

/// A column with its heading.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    heading: String,
    kind: Kind,
}

impl Column {
    /// Words, to the left.
    pub(crate) fn words(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            kind: Kind::Words,
        }
    }

    /// Numbers, to the right; the heading names the unit if there is one.
    pub(crate) fn numbers(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            kind: Kind::Numbers,
        }
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    is_best: bool,
    is_significant: bool,
}

impl Cell {
    /// Marks the best of its column or row: bold.
    pub(crate) fn best(mut self) -> Self {
        self.is_best = true;
        self
    }

    /// Marks a difference as significant: an asterisk.
    pub(crate) fn significant(mut self) -> Self {
        self.is_significant = true;
        self
    }
}

impl<S: Into<String>> From<S> for Cell {
    fn from(text: S) -> Self {
        Self {
            text: text.into(),
            is_best: false,
            is_significant: false,
        }
    }
}

/// A table with a caption; the first cell of a row names it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    best: String,
    significant: String,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(
        caption: impl Into<String>,
        columns: impl IntoIterator<Item = Column>,
    ) -> Self {
        Self {
            caption: caption.into(),
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            best: "the best".into(),
            significant: "significant".into(),
        }
    }

    /// Adds a row, a cell for each column.
    pub(crate) fn row(mut self, cells: impl IntoIterator<Item = Cell>) -> Self {
        self.rows.push(cells.into_iter().collect());
        self
    }

    /// Says what bold cells and asterisks mean below the table, where there are any: "highest mean of
    /// the column", "differs from `without` (paired t-test, p < 0.05)".
    pub(crate) fn meanings(
        mut self,
        best: impl Into<String>,
        significant: impl Into<String>,
    ) -> Self {
        self.best = best.into();
        self.significant = significant.into();
        self
    }

    pub(super) fn write(&self, html: &mut String, number: usize) -> Result<(), ReportError> {
        for (index, row) in self.rows.iter().enumerate() {
            if row.len() != self.columns.len() {
                return Err(ReportError::Cells {
                    table: self.caption.clone(),
                    row: index + 1,
                    expected: self.columns.len(),
                    got: row.len(),
                });
            }
        }
        // Keyboards can move what is wider than the page only where it can be focused.
        let _ = writeln!(
            html,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"caption-{number}\">\n\
             <table id=\"table-{number}\">\n<caption id=\"caption-{number}\"><b>Table {number}.</b> \
             {}</caption>",
            inline(&self.caption)
        );
        html.push_str("<thead><tr>");
        for column in &self.columns {
            let class = class_of(column.kind);
            let heading = inline(&column.heading);
            let _ = write!(html, "<th scope=\"col\"{class}>{heading}</th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (index, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                let class = class_of(column.kind);
                let mut text = inline(&cell.text);
                if cell.is_best {
                    text = format!("<b>{text}</b>");
                }
                // The asterisk takes no room, so that digits stay below each other.
                if cell.is_significant {
                    text.push_str("<span class=\"star\">*</span>");
                }
                let _ = if index == 0 {
                    write!(html, "<th scope=\"row\"{class}>{text}</th>")
                } else {
                    write!(html, "<td{class}>{text}</td>")
                };
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table>\n</div>\n");
        self.write_meanings(html);
        Ok(())
    }

    fn write_meanings(&self, html: &mut String) {
        let cells = || self.rows.iter().flatten();
        let mut meanings = Vec::new();
        if cells().any(|cell| cell.is_best) {
            meanings.push(format!("<b>Bold</b>: {}.", inline(&self.best)));
        }
        if cells().any(|cell| cell.is_significant) {
            meanings.push(format!("*: {}.", inline(&self.significant)));
        }
        if !meanings.is_empty() {
            let _ = writeln!(html, "<p class=\"note\">{}</p>", meanings.join(" "));
        }
    }
}

fn class_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Words => "",
        Kind::Numbers => " class=\"number\"",
    }
}
