//! Reports as wholes.

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
