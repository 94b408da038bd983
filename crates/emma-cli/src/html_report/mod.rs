//! Reports: one HTML file that opens offline, without scripts, light or dark, on paper and on a phone.
//!
//! ```ignore
//! Report::new("Experiment 3", "Pulsars from two modes, one of which may be corrupted.")
//!     .banner(Tone::Warning, "Simulated data", "HTRU2 could not be had; …")
//!     .fact("Rows", "17,898")
//!     .section(
//!         Section::new("Does EMMA help when a mode is corrupted?")
//!             .answer("Yes: the F_{1} score rises by 0.12 (95 % interval 0.09 to 0.15).")
//!             .figure(figure, "F_{1} score against noise; bands are 95 % intervals over ten seeds.")
//!             .table(table)
//!             .command("emma experiment3 --seeds 10"),
//!     )
//!     .write(&results)?;
//! ```
//!
//! Texts are plain: every sign of HTML in them is shown, not obeyed. Three marks are: `_{…}` lowers,
//! `^{…}` raises, and backticks enclose code.

mod error;
mod page;
mod table;

#[cfg(test)]
mod tests;

use std::path::Path;

pub(crate) use error::ReportError;
pub(crate) use table::{Cell, Column, Table};

use crate::failure::CommandResult;
use crate::figures::Figure;
use crate::files;

/// How loud a banner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Worth knowing.
    Note,
    /// Changes what the whole report means: simulated data, a quick run.
    Warning,
}

#[derive(Clone, Debug)]
struct Banner {
    tone: Tone,
    heading: String,
    text: String,
}

/// A part of a section.
#[derive(Clone, Debug)]
enum Block {
    Answer(String),
    Paragraph(String),
    Note(String),
    Figure {
        figure: Box<Figure>,
        caption: String,
    },
    Table(Table),
    Command(String),
}

/// A question with its answer and what the answer rests on, in the order in which it is added.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    question: String,
    blocks: Vec<Block>,
}

impl Section {
    /// A section under a question or another heading.
    pub(crate) fn new(question: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            blocks: Vec::new(),
        }
    }

    /// Adds the answer: one sentence, with its interval.
    pub(crate) fn answer(self, sentence: impl Into<String>) -> Self {
        self.block(Block::Answer(sentence.into()))
    }

    /// Adds a paragraph.
    pub(crate) fn paragraph(self, text: impl Into<String>) -> Self {
        self.block(Block::Paragraph(text.into()))
    }

    /// Adds a remark in smaller letters: what was left out, what to beware of.
    pub(crate) fn note(self, text: impl Into<String>) -> Self {
        self.block(Block::Note(text.into()))
    }

    /// Adds a figure; its description is its alternative text.
    pub(crate) fn figure(self, figure: Figure, caption: impl Into<String>) -> Self {
        self.block(Block::Figure {
            figure: Box::new(figure),
            caption: caption.into(),
        })
    }

    /// Adds a table.
    pub(crate) fn table(self, table: Table) -> Self {
        self.block(Block::Table(table))
    }

    /// Adds the command that made all this, as it is typed.
    pub(crate) fn command(self, command: impl Into<String>) -> Self {
        self.block(Block::Command(command.into()))
    }

    fn block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }
}

/// A report: a title, what data it rests on, and sections.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    title: String,
    summary: String,
    banners: Vec<Banner>,
    facts: Vec<(String, String)>,
    sections: Vec<Section>,
}

impl Report {
    /// A report without sections; the summary says in a sentence or two what it is about.
    pub(crate) fn new(title: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            summary: summary.into(),
            banners: Vec::new(),
            facts: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// Adds a banner below the title.
    pub(crate) fn banner(
        mut self,
        tone: Tone,
        heading: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        self.banners.push(Banner {
            tone,
            heading: heading.into(),
            text: text.into(),
        });
        self
    }

    /// Adds a line to the table of data and versions at the end.
    pub(crate) fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Adds a section.
    pub(crate) fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The file's text. Without the figures it is as long as what is said in it and six kilobytes.
    pub(crate) fn html(&self) -> Result<String, ReportError> {
        page::page(self)
    }

    /// Writes `report.html` into a results folder, whole or not at all.
    pub(crate) fn write(&self, results: &Path) -> CommandResult<()> {
        files::write(&results.join("report.html"), self.html()?.as_bytes())
    }
}
