//! Reports as wholes.

use std::collections::BTreeSet;

use scraper::{ElementRef, Html, Selector};

use super::*;
use crate::figures::{Axis, Chart, Estimate, Line};

/// A report with one of everything.
fn sample() -> Report {
    let points = (0..7).map(|step| {
        let level = -30. + 10. * f64::from(step);
        let value = 0.9 / (1. + ((level - 10.) / 6.).exp());
        (level, Estimate::with_half_width(value, 0.03))
    });
    let chart = Chart::new(
        Axis::new("noise-to-signal ratio", "dB"),
        Axis::dimensionless("F_{1} score"),
    )
    .line(Line::estimated("with", points).markers());
    let figure = Figure::new(
        "",
        "The F1 score of the model with EMMA falls from 0.9 to 0 as noise grows.",
    )
    .panel(chart)
    .size(860., 340.);
    let table = Table::new(
        "F_{1} scores of ten seeds, mean ± half-width of the 95 % interval.",
        [
            Column::words("model"),
            Column::numbers("uncorrupted"),
            Column::numbers("profile corrupted"),
        ],
    )
    .row(["without", "0.871 ± 0.012", "0.512 ± 0.030"].map(Cell::from))
    .row([
        Cell::from("with"),
        Cell::from("0.869 ± 0.011"),
        Cell::from("0.780 ± 0.020").best().significant(),
    ])
    .meanings(
        "the highest mean of the column",
        "differs from `without` (paired t-test, p < 0.05)",
    );
    Report::new(
        "Experiment 3: pulsars",
        "Pulsars are told from noise by two modes, one of which may be corrupted.",
    )
    .banner(
        Tone::Warning,
        "Simulated data",
        "HTRU2 could not be had, so that every number here is about simulated candidates.",
    )
    .banner(Tone::Note, "Quick run", "two seeds in place of ten.")
    .fact("Rows", "17,898")
    .fact("SHA-256", "b2b388ceaa9718d00f6feba97bfe7096ee61996526cee2bea94e9dd034e9cbbe")
    .section(
        Section::new("Does EMMA help when a mode is corrupted?")
            .answer("Yes: with a corrupted profile the F_{1} score rises by 0.27 (95 % interval 0.23 to 0.31).")
            .paragraph("Noise is added to every test row, after standardization.")
            .figure(figure, "F_{1} score against noise; the band is the 95 % interval over ten seeds.")
            .table(table)
            .note("Thresholds come from validation rows of the same seed.")
            .command("emma experiment3 --data simulated --seeds 10"),
    )
    .section(Section::new("What does it cost?").answer("Nothing that ten seeds can tell from 0."))
}

#[test]
fn a_report_is_written_whole() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("EMMA_GALLERY");
    let folder = folder.map_or(temporary.path().to_owned(), std::path::PathBuf::from);
    sample().write(&folder).unwrap();
    let html = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert_eq!(html, sample().html().unwrap());
}

/// The parsed page, which must be without any error of HTML.
fn parsed(html: &str) -> Html {
    let page = Html::parse_document(html);
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    page
}

fn select<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: &ElementRef) -> String {
    element.text().collect()
}

/// Every tag that is opened is closed: HTML's own rules would close some by themselves.
fn assert_every_tag_is_closed(html: &str) {
    // As XML, once the tags that HTML never closes are.
    let mut xml = String::new();
    for line in html.lines() {
        if line.starts_with("<meta ") {
            xml.push_str(&line.replace('>', "/>"));
        } else if !line.starts_with("<!DOCTYPE") {
            xml.push_str(line);
        }
        xml.push('\n');
    }
    if let Err(error) = roxmltree::Document::parse(&xml) {
        panic!("{error}");
    }
}

#[test]
fn the_page_is_valid_and_complete() {
    let html = sample().html().unwrap();
    let page = parsed(&html);
    assert_every_tag_is_closed(&html);
    let ids: Vec<_> = select(&page, "[id]")
        .iter()
        .map(|element| element.attr("id").unwrap())
        .collect();
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
    for link in select(&page, "a[href]") {
        let target = link.attr("href").unwrap().strip_prefix('#').unwrap();
        assert!(ids.contains(&target), "{target}");
    }
    for element in select(&page, "[aria-labelledby]") {
        let target = element.attr("aria-labelledby").unwrap();
        assert!(ids.contains(&target), "{target}");
    }
    let figures = select(&page, "figure");
    assert_eq!(figures.len(), 1);
    for figure in figures {
        let [svg] = figure
            .select(&Selector::parse("svg[role=img]").unwrap())
            .collect::<Vec<_>>()[..]
        else {
            panic!("expected one picture in a figure");
        };
        assert_eq!(
            svg.attr("aria-label").unwrap(),
            "The F1 score of the model with EMMA falls from 0.9 to 0 as noise grows."
        );
        assert_eq!(
            figure
                .select(&Selector::parse("figcaption").unwrap())
                .count(),
            1
        );
    }
    assert_eq!(text(&select(&page, ".warning strong")[0]), "Simulated data");
    assert_eq!(text(&select(&page, "title")[0]), "Experiment 3: pulsars");
}

#[test]
fn the_page_loads_and_runs_nothing() {
    let html = sample().html().unwrap();
    let page = parsed(&html);
    for selector in [
        "script",
        "link",
        "iframe",
        "object",
        "img",
        "form",
        "[onload]",
        "[onclick]",
    ] {
        assert!(select(&page, selector).is_empty(), "{selector}");
    }
    let rest = html.replace("http://www.w3.org/2000/svg", "");
    assert!(!rest.contains("http:") && !rest.contains("https:") && !rest.contains("@import"));
    for (place, _) in html.match_indices("url(") {
        assert!(html[place..].starts_with("url(data:font/woff2;base64,"));
    }
}

#[test]
fn numbers_stand_on_the_right_and_marks_are_explained() {
    let html = sample().html().unwrap();
    let page = parsed(&html);
    let numbers = select(&page, "#table-1 tbody td");
    assert_eq!(numbers.len(), 4);
    assert!(
        numbers
            .iter()
            .all(|cell| cell.attr("class") == Some("number"))
    );
    assert!(
        select(&page, "#table-1 tbody th[scope=row]")
            .iter()
            .all(|cell| cell.attr("class").is_none())
    );
    assert_eq!(text(&select(&page, "#table-1 td b")[0]), "0.780 ± 0.020");
    assert_eq!(text(&select(&page, "#table-1 .star")[0]), "*");
    assert!(html.contains(
        "<b>Bold</b>: the highest mean of the column. *: differs from <code>without</code>"
    ));
    let plain = Table::new("plain", [Column::words("a")]).row([Cell::from("b")]);
    let html = Report::new("t", "s")
        .section(Section::new("q").table(plain))
        .html()
        .unwrap();
    assert!(!html.contains("Bold"));
}

#[test]
fn hostile_texts_are_shown_and_not_obeyed() {
    let hostile = "</style></title></code><script>alert('1')</script><!-- &lt; \" ' `</b>` ]]> \u{0}\u{7}\u{202e}";
    let shown = hostile.replace(['\u{0}', '\u{7}', '\u{202e}'], " ");
    let without_code_marks = shown.replace('`', "");
    let chart = Chart::new(Axis::dimensionless(hostile), Axis::new(hostile, hostile))
        .title(hostile)
        .line(Line::new(hostile, [(0., 1.), (1., 2.)]));
    let figure = Figure::new(hostile, hostile).panel(chart);
    let table = Table::new(hostile, [Column::words(hostile), Column::numbers(hostile)])
        .row([
            Cell::from(hostile).best(),
            Cell::from(hostile).significant(),
        ])
        .meanings(hostile, hostile);
    let report = Report::new(hostile, hostile)
        .banner(Tone::Note, hostile, hostile)
        .fact(hostile, hostile)
        .section(
            Section::new(hostile)
                .answer(hostile)
                .paragraph(hostile)
                .note(hostile)
                .figure(figure, hostile)
                .table(table)
                .command(hostile),
        );
    let html = report.html().unwrap();
    let page = parsed(&html);
    assert_every_tag_is_closed(&html);
    assert!(select(&page, "script").is_empty());
    assert_eq!(text(&select(&page, "h1")[0]), without_code_marks);
    assert_eq!(text(&select(&page, ".answer")[0]), without_code_marks);
    assert_eq!(text(&select(&page, "pre code")[0]), shown);
    assert_eq!(text(&select(&page, "title")[0]), shown);
}

#[test]
fn texts_have_code_and_raised_and_lowered_parts() {
    for (text, html) in [
        (
            "F_{1} of 10^{-3} m²",
            "F<sub>1</sub> of 10<sup>-3</sup> m<sup>2</sup>",
        ),
        ("`a<b_{c}`", "<code>a&lt;b_{c}</code>"),
        ("one ` alone", "one ` alone"),
        ("`a` and ` b", "<code>a</code> and ` b"),
        ("a\nb", "a b"),
    ] {
        assert_eq!(page::inline(text), html);
    }
}

#[test]
fn rows_have_a_cell_for_each_column() {
    let table = Table::new("short", [Column::words("a"), Column::numbers("b")])
        .row(["x", "1"].map(Cell::from))
        .row([Cell::from("y")]);
    let report = Report::new("t", "s").section(Section::new("q").table(table));
    let message = report.html().unwrap_err().to_string();
    assert_eq!(
        message,
        "expected 2 cells in row 2 of the table \"short\", got 1"
    );
    let axes = (Axis::dimensionless(""), Axis::dimensionless("y"));
    let figure = Figure::new("", "words").panel(Chart::new(axes.0, axes.1));
    let report = Report::new("t", "s").section(Section::new("q").figure(figure, "c"));
    let message = report.html().unwrap_err().to_string();
    assert!(message.starts_with("expected a quantity"), "{message}");
}

#[test]
fn structure_of_a_report() {
    let html = sample().html().unwrap();
    let (head, body) = html.split_once("<body>").unwrap();
    let (before, style) = head.split_once("<style>").unwrap();
    let (_, after) = style.split_once("</style>").unwrap();
    let (first, figure) = body.split_once("<svg").unwrap();
    let (_, last) = figure.split_once("</svg>").unwrap();
    insta::assert_snapshot!(format!(
        "{before}<style>…</style>{after}<body>{first}<svg>…</svg>{last}"
    ));
}
