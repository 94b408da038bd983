//! The page: what stands around the sections, and how texts become HTML.

use std::fmt::Write as _;

use super::error::ReportError;
use super::{Banner, Block, Report, Section, Tone};
use crate::figures::{escape, html_of, spoken, style_sheet};

const STYLE: &str = include_str!("report.css");

/// Nothing is loaded and nothing runs, whatever a text might say.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";

pub(super) fn page(report: &Report) -> Result<String, ReportError> {
    let mut html = String::new();
    let title = inline(&report.title);
    let _ = writeln!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n\
         <p class=\"summary\">{}</p>\n</header>",
        escape(&spoken(&report.title)),
        style_sheet(),
        inline(&report.summary),
    );
    for banner in &report.banners {
        write_banner(&mut html, banner);
    }
    write_contents(&mut html, report);
    let mut numbers = Numbers::default();
    for (index, section) in report.sections.iter().enumerate() {
        write_section(&mut html, index + 1, section, &mut numbers)?;
    }
    write_facts(&mut html, &report.facts);
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(html)
}

/// How many figures and tables there were.
#[derive(Default)]
struct Numbers {
    figures: usize,
    tables: usize,
}

fn write_banner(html: &mut String, banner: &Banner) {
    let class = match banner.tone {
        Tone::Note => "banner",
        Tone::Warning => "banner warning",
    };
    let _ = writeln!(
        html,
        "<div class=\"{class}\" role=\"note\"><strong>{}</strong> {}</div>",
        inline(&banner.heading),
        inline(&banner.text)
    );
}

fn write_contents(html: &mut String, report: &Report) {
    if report.sections.is_empty() {
        return;
    }
    html.push_str("<nav aria-labelledby=\"contents\">\n<h2 id=\"contents\">Contents</h2>\n<ol>\n");
    for (index, section) in report.sections.iter().enumerate() {
        let _ = writeln!(
            html,
            "<li><a href=\"#section-{}\">{}</a></li>",
            index + 1,
            inline(&section.question)
        );
    }
    html.push_str("</ol>\n");
    if !report.facts.is_empty() {
        html.push_str("<p><a href=\"#data\">Data and versions</a></p>\n");
    }
    html.push_str("</nav>\n");
}

fn write_section(
    html: &mut String,
    number: usize,
    section: &Section,
    numbers: &mut Numbers,
) -> Result<(), ReportError> {
    let _ = writeln!(
        html,
        "<section aria-labelledby=\"section-{number}\">\n<h2 id=\"section-{number}\">{number}. {}</h2>",
        inline(&section.question)
    );
    for block in &section.blocks {
        write_block(html, block, numbers)?;
    }
    html.push_str("</section>\n");
    Ok(())
}

fn write_block(html: &mut String, block: &Block, numbers: &mut Numbers) -> Result<(), ReportError> {
    let _ = match block {
        Block::Answer(text) => writeln!(html, "<p class=\"answer\">{}</p>", inline(text)),
        Block::Paragraph(text) => writeln!(html, "<p>{}</p>", inline(text)),
        Block::Note(text) => writeln!(html, "<p class=\"note\">{}</p>", inline(text)),
        Block::Figure { figure, caption } => {
            numbers.figures += 1;
            let number = numbers.figures;
            writeln!(
                html,
                "<figure id=\"figure-{number}\">\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
                 aria-label=\"Figure {number}\">\n{}</div>\n<figcaption><b>Figure {number}.</b> {}</figcaption>\n\
                 </figure>",
                figure.inline_svg()?,
                inline(caption)
            )
        }
        Block::Table(table) => {
            numbers.tables += 1;
            return table.write(html, numbers.tables);
        }
        Block::Command(command) => writeln!(
            html,
            "<pre class=\"command\" tabindex=\"0\"><code>{}</code></pre>",
            escape(command)
        ),
    };
    Ok(())
}

fn write_facts(html: &mut String, facts: &[(String, String)]) {
    if facts.is_empty() {
        return;
    }
    html.push_str(
        "<section aria-labelledby=\"data\">\n<h2 id=\"data\">Data and versions</h2>\n\
         <table class=\"facts\">\n<tbody>\n",
    );
    for (name, value) in facts {
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            inline(name),
            inline(value)
        );
    }
    html.push_str("</tbody>\n</table>\n</section>\n");
}

/// A text as HTML: escaped, with what is between backticks as code and with raised and lowered parts.
pub(super) fn inline(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A last backtick without its other one is an ordinary sign.
    let n_paired = parts.len() - 1 + parts.len() % 2;
    let mut html = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index % 2 == 1 && index < n_paired {
            let _ = write!(html, "<code>{}</code>", escape(part));
        } else {
            if index % 2 == 1 {
                html.push('`');
            }
            html.push_str(&html_of(part));
        }
    }
    html
}
