//! Figures as wholes: a gallery of every kind, and what holds for all of them.

mod gallery;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::label::Label;
use super::surface::{Area, Cells, Direction, Fill, Point, Stroke, Surface};
use super::theme::Color;
use super::*;

/// Writes every figure of the gallery, to be looked at, to the folder that `EMMA_GALLERY` names, else to
/// one that goes away.
#[test]
fn every_kind_of_figure_is_written_in_three_files() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("EMMA_GALLERY");
    let folder = folder.map_or(temporary.path().to_owned(), std::path::PathBuf::from);
    for (name, figure) in gallery::figures() {
        figure.write(&folder, name).unwrap();
        let read = |ending: &str| {
            let file = folder.join("figures").join(format!("{name}{ending}"));
            std::fs::read(file).unwrap()
        };
        assert_eq!(read(".svg"), figure.svg().unwrap().into_bytes());
        for (ending, theme) in [(".png", Theme::Light), ("-dark.png", Theme::Dark)] {
            let file = read(ending);
            let mut reader = png::Decoder::new(std::io::Cursor::new(&file))
                .read_info()
                .unwrap();
            let (width, height) = figure.extent();
            let size = format!("{} × {}", reader.info().width, reader.info().height);
            let expected = format!("{} × {}", 2. * width, 2. * height);
            assert_eq!(size, expected, "{name}{ending}");
            assert_eq!(reader.info().color_type, png::ColorType::Rgb, "opaque");
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels[..3], Color::Background.rgb(theme), "{name}{ending}");
        }
    }
}

#[test]
fn the_same_figure_gives_the_same_bytes() {
    for ((name, one), (_, other)) in gallery::figures().iter().zip(gallery::figures()) {
        assert_eq!(one.svg().unwrap(), other.svg().unwrap(), "{name}");
    }
    let (_, one) = gallery::figures().swap_remove(0);
    for theme in [Theme::Light, Theme::Dark] {
        assert_eq!(one.png(theme).unwrap(), one.png(theme).unwrap());
    }
}

/// What texts take up.
#[derive(Default)]
struct Texts {
    boxes: Vec<(String, Area)>,
}

/// Height of capital letters in shares of the size.
const CAPITAL: f64 = 0.72;

impl Surface for Texts {
    fn line(&mut self, _: &[Point], _: Stroke) {}
    fn polygon(&mut self, _: &[Point], _: Fill) {}
    fn rectangle(&mut self, _: Area, _: Fill) {}
    fn disk(&mut self, _: Point, _: f64, _: Fill) {}
    fn cells(&mut self, _: Area, _: &Cells) {}

    fn letters(&mut self, text: &str, size: f64, start: Point, direction: Direction, _: Color) {
        let width = font::width(text.trim_end()) * size;
        let (above, below) = (CAPITAL * size, 0.2 * size);
        let area = match direction {
            Direction::Across => Area {
                left: start.x,
                top: start.y - above,
                right: start.x + width,
                bottom: start.y + below,
            },
            Direction::Up => Area {
                left: start.x - above,
                top: start.y - width,
                right: start.x + below,
                bottom: start.y,
            },
        };
        self.boxes.push((text.to_owned(), area));
    }
}

#[test]
fn no_text_covers_another_or_leaves_the_figure() {
    for (name, figure) in gallery::figures() {
        let mut texts = Texts::default();
        draw::figure(&figure, &mut texts);
        let (width, height) = figure.extent();
        assert!(texts.boxes.len() > 5, "{name}");
        for (index, (text, area)) in texts.boxes.iter().enumerate() {
            let is_inside = area.left >= 0. && area.top >= 0.;
            let is_inside = is_inside && area.right <= width && area.bottom <= height;
            assert!(is_inside, "{name}: {text:?} at {area:?}");
            for (other, at) in &texts.boxes[..index] {
                let across = area.right.min(at.right) - area.left.max(at.left);
                let down = area.bottom.min(at.bottom) - area.top.max(at.top);
                // Raised and lowered parts touch what they belong to.
                let touch = across > 0.5 && down > 0.5;
                assert!(
                    !touch,
                    "{name}: {other:?} at {at:?} and {text:?} at {area:?}"
                );
            }
        }
    }
}

/// Every number in the attributes of an SVG, with the attribute's name.
fn coordinates(svg: &str) -> Vec<(String, f64)> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let nodes = document.descendants();
    let attributes = nodes.flat_map(|node| node.attributes());
    attributes
        .filter(|attribute| {
            [
                "x", "y", "cx", "cy", "r", "points", "width", "height", "x1", "x2", "y1", "y2",
            ]
            .contains(&attribute.name())
        })
        .flat_map(|attribute| {
            let numbers = attribute.value().split([' ', ',']);
            let numbers = numbers.filter(|number| !number.is_empty());
            numbers.map(move |number| (attribute.name().to_owned(), number.parse().unwrap()))
        })
        .collect()
}

#[test]
fn every_color_of_an_svg_has_a_dark_form() {
    let style = style_sheet();
    for (name, figure) in gallery::figures() {
        // Arrows upon color maps and cells of matrices keep their colors.
        if ["fields", "matrices"].contains(&name) {
            continue;
        }
        let svg = figure.svg().unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let nodes = document.descendants();
        let colors: BTreeSet<_> = nodes
            .flat_map(|node| ["fill", "stroke"].map(|what| (what, node.attribute(what))))
            .filter_map(|(what, color)| Some((what, color?)))
            .filter(|(_, color)| *color != "none")
            .collect();
        assert!(colors.len() > 4, "{name}: {colors:?}");
        for (what, color) in colors {
            let rule = format!(".emma-figure [{what}=\"{color}\"] {{ {what}: #");
            assert!(
                style.contains(&rule),
                "{name}: no dark form of {what} {color}"
            );
        }
    }
}

#[test]
fn structure_of_an_svg() {
    let (_, figure) = gallery::figures().swap_remove(0);
    let svg = figure.svg().unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let mut lines: Vec<String> = Vec::new();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let attributes = node.attributes().filter(|attribute| {
            let places = [
                "x",
                "y",
                "cx",
                "cy",
                "r",
                "points",
                "width",
                "height",
                "transform",
                "dy",
            ];
            !places.contains(&attribute.name())
        });
        let attributes =
            attributes.map(|attribute| format!(" {}={:?}", attribute.name(), attribute.value()));
        let text = match node.tag_name().name() {
            "text" => node.text().unwrap_or("").trim().to_owned(),
            _ => String::new(),
        };
        let line = format!(
            "{}{} {text}",
            node.tag_name().name(),
            attributes.collect::<String>()
        );
        let line = line.trim_end().to_owned();
        // Elements that look the same stand once with their number.
        match lines.last_mut() {
            Some(last) if last.split(" ×").next() == Some(&line) => {
                let n = last
                    .split(" ×")
                    .nth(1)
                    .map_or(1, |n| n.parse::<usize>().unwrap());
                *last = format!("{line} ×{}", n + 1);
            }
            _ => lines.push(line),
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

fn axes() -> (Axis, Axis) {
    (Axis::new("x", "m"), Axis::new("y", "m"))
}

fn message(figure: &Figure) -> String {
    figure.svg().unwrap_err().to_string()
}

#[test]
fn figures_that_are_described_wrongly_are_refused() {
    let named = || Figure::new("name", "words");
    let (x, y) = axes();
    let chart = || Chart::new(x.clone(), y.clone());
    let grid = Grid {
        x: (0., 1.),
        y: (0., 1.),
        n_columns: 2,
        n_rows: 2,
    };
    let scale = || ColorScale::new(Axis::dimensionless("z"), Palette::Sequential);
    let names = ["a", "b"];
    let bars = Bars::new(Axis::dimensionless("model"), names, y.clone());
    let matrix = Matrix::new((x.clone(), names), (y.clone(), names), vec![0.; 3], scale());
    let arrows = Arrows::new(Axis::dimensionless(""), []);
    let messages = [
        message(&Figure::new("name", " ").panel(chart())),
        message(&named()),
        message(&named().panel(chart()).next_row()),
        message(&named().panel(chart()).size(99., 200.)),
        message(&named().panel(chart()).size(f64::NAN, 200.)),
        message(&named().panel(Chart::new(Axis::dimensionless(""), y.clone()))),
        message(
            &named()
                .panel(chart())
                .panel(Chart::new(x.clone(), Axis::new("y", "")).title("this")),
        ),
        message(&named().panel(Chart::new(x.clone().range(2., 1.), y.clone()))),
        message(&named().panel(Chart::new(x.clone(), y.clone().logarithmic().range(0., 1.)))),
        message(&named().panel(chart().heat_map(HeatMap::new(grid, vec![0.; 3], scale())))),
        message(&named().panel(
            Chart::new(x.clone().logarithmic(), y.clone()).heat_map(HeatMap::new(
                grid,
                vec![0.; 4],
                scale(),
            )),
        )),
        message(&named().panel(chart().arrows(arrows))),
        message(&named().panel(bars.series("clean", [Estimate::exact(1.)]))),
        message(&named().panel(matrix)),
        FigureError::from(png::EncodingError::LimitsExceeded).to_string(),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn names_of_files_cannot_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = axes();
    let figure = Figure::new("", "nothing").panel(Chart::new(x, y));
    for name in ["", "../a", "a/b", "a.b", "A", "ä"] {
        let error = figure.write(folder.path(), name).unwrap_err().to_string();
        assert!(error.starts_with("expected a name of a to z"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn hostile_texts_stay_texts() {
    let hostile = "</svg><script>alert(\"1\")</script>&amp;'\u{0}\u{1b}\n\u{202e}_{^{}]]>";
    let (x, _) = axes();
    let chart = Chart::new(x, Axis::new(hostile, hostile))
        .title(hostile)
        .line(Line::new(hostile, [(0., 0.), (1., 1.)]))
        .horizontal_line(0.5, hostile);
    let bars = Bars::new(
        Axis::dimensionless(hostile),
        [hostile],
        Axis::dimensionless(hostile),
    )
    .series(hostile, [Estimate::exact(1.)]);
    let figure = Figure::new(hostile, hostile).panel(chart).panel(bars);
    let svg = figure.svg().unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    assert!(
        document
            .descendants()
            .all(|node| !node.has_tag_name("script"))
    );
    let spoken = document.root_element().attribute("aria-label").unwrap();
    assert!(
        spoken.starts_with("</svg><script>alert(\"1\")</script>&amp;'"),
        "{spoken}"
    );
    figure.png(Theme::Light).unwrap();
}

#[test]
fn empty_panels_say_so() {
    let (x, y) = axes();
    let chart = || Chart::new(x.clone(), y.clone());
    let nan = f64::NAN;
    let grid = |n_columns: usize, n_rows: usize| Grid {
        x: (0., 1.),
        y: (0., 1.),
        n_columns,
        n_rows,
    };
    let map = |grid: Grid, n_values: usize| {
        let scale = ColorScale::new(Axis::dimensionless("z"), Palette::Diverging);
        Panel::from(chart().heat_map(HeatMap::new(grid, vec![nan; n_values], scale)))
    };
    let empty: [Panel; 12] = [
        map(grid(0, 3), 0),
        map(grid(3, 0), 0),
        map(grid(2, 2), 4),
        chart().into(),
        chart().line(Line::new("", [])).into(),
        chart()
            .line(Line::new("", [(nan, 1.), (1., nan), (1., f64::INFINITY)]))
            .into(),
        Chart::new(x.clone().logarithmic(), y.clone())
            .scatter(Scatter::new("", [(0., 1.), (-1., 1.)]))
            .into(),
        chart().histogram(Histogram::new("", &[], &[])).into(),
        chart().horizontal_line(1., "alone").into(),
        Bars::new(x.clone(), ["a"], y.clone()).into(),
        Bars::new(x.clone(), ["a"], y.clone())
            .series("", [Estimate::exact(nan)])
            .into(),
        Matrix::new(
            (x.clone(), [""; 0]),
            (y.clone(), [""; 0]),
            vec![],
            ColorScale::new(y.clone(), Palette::Diverging),
        )
        .into(),
    ];
    for (index, panel) in empty.into_iter().enumerate() {
        let svg = Figure::new("", "nothing").panel(panel).svg().unwrap();
        assert!(svg.contains("no data"), "panel {index}");
    }
    let one = chart().line(Line::new("", [(1., 1.)]));
    let svg = Figure::new("", "a point").panel(one).svg().unwrap();
    assert!(!svg.contains("no data") && svg.contains("<circle"));
}

#[test]
fn arrows_too_long_to_be_drawn_are_left_out() {
    let (x, y) = axes();
    let length = Axis::dimensionless("step");
    let field = [
        [0., 0., 3., 4.],
        [1., 1., 1e200, 0.],
        [1., 0., f64::NAN, 1.],
        [0., 1., 0., 0.],
    ];
    let chart = Chart::new(x, y).arrows(Arrows::new(length, field));
    let svg = Figure::new("", "one arrow").panel(chart).svg().unwrap();
    assert!(svg.contains("longest step 5.000"));
    // The head of the arrow, and that of the one in the legend.
    assert_eq!(svg.matches("<polygon").count(), 2);
}

#[test]
fn samples_fall_into_the_bins_they_belong_to() {
    let samples = [0., 0.5, 1., 1.5, 2., 2.1, -0.1, f64::NAN];
    // Two and three of five; the last edge belongs to the last bin.
    let equal = Histogram::new("", &samples, &[0., 1., 2.]);
    assert_eq!(equal.heights, [2. / 5., 3. / 5.]);
    let density = Histogram::new("", &samples, &[0., 1., 3.]);
    // Two and four of six samples, in bins of width one and two.
    assert_eq!(density.heights, [2. / 6., 4. / 12.]);
    assert_eq!(bin_edges(&[1., f64::NAN, 5.], 4), [1., 2., 3., 4., 5.]);
    assert!(bin_edges(&[f64::NAN], 4).is_empty());
}

#[test]
fn cells_stand_where_the_grid_has_them() {
    let grid = Grid {
        x: (0., 2.),
        y: (0., 4.),
        n_columns: 2,
        n_rows: 2,
    };
    let middles: Vec<_> = grid.middles().collect();
    assert_eq!(middles, [(0.5, 1.), (1.5, 1.), (0.5, 3.), (1.5, 3.)]);
}

/// Any number at all, most often one that can be drawn.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0_f64,
        1 => any::<f64>(),
        1 => proptest::num::f64::ANY,
        1 => prop_oneof![
            Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.), Just(-0.),
            Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE), Just(5e-324), Just(1e100),
        ],
    ]
}

fn any_panel() -> impl Strategy<Value = Panel> {
    let numbers = proptest::collection::vec(any_number(), 0..40);
    let axis = (
        any::<bool>(),
        proptest::option::of((-5.0..5.0_f64, 0.01..5.0_f64)),
    );
    (numbers, axis.clone(), axis, 0..8_u8).prop_map(|(numbers, x, y, kind)| {
        let linear = kind >= 6;
        let axis = |(is_logarithmic, range): (bool, Option<(f64, f64)>)| {
            let is_logarithmic = is_logarithmic && !linear;
            let axis = Axis::new("quantity", "unit");
            let axis = if is_logarithmic {
                axis.logarithmic()
            } else {
                axis
            };
            match range {
                Some((from, size)) if is_logarithmic => axis.range(from.exp(), (from + size).exp()),
                Some((from, size)) => axis.range(from, from + size),
                None => axis,
            }
        };
        let (x, y) = (axis(x), axis(y));
        let pairs = || numbers.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        let estimates = || {
            let four = numbers.chunks_exact(4);
            four.map(|four| (four[0], Estimate::between(four[1], four[2], four[3])))
        };
        let chart = Chart::new(x.clone(), y.clone());
        match kind {
            0 => chart.line(Line::new("line", pairs()).markers()).into(),
            1 => chart
                .line(Line::estimated("line", estimates()).filled())
                .into(),
            2 => chart
                .line(Line::estimated("line", estimates()).error_bars())
                .horizontal_line(numbers.first().copied().unwrap_or(0.), "here")
                .vertical_line(numbers.last().copied().unwrap_or(0.), "there")
                .into(),
            3 => chart
                .scatter(Scatter::new("points", pairs()))
                .arrows(Arrows::new(
                    Axis::dimensionless("length"),
                    numbers
                        .chunks_exact(4)
                        .map(|four| [four[0], four[1], four[2], four[3]]),
                ))
                .equal_axes()
                .into(),
            4 => {
                let edges = bin_edges(&numbers, 5);
                chart
                    .histogram(Histogram::new("bins", &numbers, &edges))
                    .histogram(Histogram::new("raw", &numbers, &numbers))
                    .into()
            }
            5 => {
                let names = (0..numbers.len() / 4).map(|index| format!("name {index}"));
                let bars = Bars::new(Axis::dimensionless("name"), names, y);
                let values = || estimates().map(|(_, estimate)| estimate);
                bars.series("one", values()).series("two", values()).into()
            }
            6 => {
                let grid = Grid {
                    x: (-1., 2.),
                    y: (0., 4.),
                    n_columns: numbers.len() / 2,
                    n_rows: 2,
                };
                let values = numbers[..numbers.len() / 2 * 2].to_vec();
                let scale = ColorScale::new(Axis::dimensionless("z"), Palette::Diverging);
                chart.heat_map(HeatMap::new(grid, values, scale)).into()
            }
            _ => {
                let names = (0..numbers.len()).map(|index| index.to_string());
                let scale = ColorScale::new(y, Palette::Sequential);
                Matrix::new(
                    (Axis::dimensionless("row"), ["one"]),
                    (Axis::dimensionless("column"), names),
                    numbers,
                    scale,
                )
                .into()
            }
        }
    })
}

proptest! {
    #[test]
    fn any_numbers_can_be_drawn_and_stay_within_the_figure(panel in any_panel(), other in any_panel()) {
        let figure = Figure::new("title", "words").panel(panel).panel(other).size(500., 240.);
        let svg = figure.svg().unwrap();
        for (name, number) in coordinates(&svg) {
            let largest = if ["y", "cy", "height"].contains(&&*name) { 2400. } else { 5000. };
            // Texts and halves of lines may stand out a little.
            let is_inside = (-100. ..=largest + 100.).contains(&number);
            prop_assert!(is_inside, "{name}={number}");
        }
    }
}

proptest! {
    // Slower, and no different but for the last step.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_numbers_can_be_drawn_in_pixels(panel in any_panel()) {
        let figure = Figure::new("", "words").panel(panel).size(260., 180.);
        prop_assert!(figure.png(Theme::Dark).is_ok());
    }

    #[test]
    fn any_texts_can_be_drawn(text in any::<String>(), size in 100.0..400.0_f64) {
        let chart = Chart::new(Axis::new(format!("x{text}"), format!("m{text}")), Axis::dimensionless(format!("{text}y")))
            .title(text.clone())
            .line(Line::new(text.clone(), [(0., 1.), (2., 3.)]))
            .vertical_line(1., text.clone());
        let bars = Bars::new(Axis::dimensionless("n"), [text.clone(), text.clone()], Axis::dimensionless("y"))
            .series(text.clone(), [Estimate::exact(1.), Estimate::exact(2.)]);
        let figure = Figure::new(text.clone(), format!("w{text}")).panel(chart).next_row().panel(bars).size(size, size);
        let svg = figure.svg().unwrap();
        prop_assert!(roxmltree::Document::parse(&svg).is_ok());
        prop_assert!(figure.png(Theme::Light).is_ok());
        let label = Label::new(&text);
        prop_assert!(label.width(10.) >= 0.);
    }
}
