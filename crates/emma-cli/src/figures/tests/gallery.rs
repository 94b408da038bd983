//! One figure of each kind, and of what is hard to draw. Their data are made up.

use crate::figures::*;

/// A number between 0 and 1 that looks random: the fractional part of multiples of the golden ratio,
/// scrambled.
fn noise(index: usize) -> f64 {
    let x = (index as f64 * 0.618_033_988_749_894_9 + 0.137).sin() * 43_758.545_3;
    x - x.floor()
}

/// Normally distributed by the sum of twelve.
fn normal(index: usize) -> f64 {
    (0..12).map(|part| noise(12 * index + part)).sum::<f64>() - 6.
}

pub(super) fn figures() -> Vec<(&'static str, Figure)> {
    vec![
        ("lines", lines()),
        ("logarithmic", logarithmic()),
        ("scatter", scatter()),
        ("fields", fields()),
        ("histograms", histograms()),
        ("bars", bars()),
        ("matrices", matrices()),
        ("looks", looks()),
        ("hard", hard()),
    ]
}

fn lines() -> Figure {
    let curve = |top: f64, at: f64| {
        (0..13).map(move |step| {
            let level = -30. + 5. * f64::from(step);
            let value = top / (1. + ((level - at) / 6.).exp());
            (
                level,
                Estimate::with_half_width(value, 0.015 + 0.03 * value * (1. - value)),
            )
        })
    };
    let chart = |title: &str| {
        Chart::new(
            Axis::new("noise-to-signal ratio", "dB"),
            Axis::dimensionless("F_{1} score of the pulsars"),
        )
        .title(title)
    };
    let first = chart("noise on the integrated profile")
        .line(Line::estimated("with EMMA", curve(0.91, 15.)).markers())
        .line(Line::estimated("without EMMA", curve(0.88, 2.)).markers())
        .line(Line::estimated("integrated profile alone", curve(0.86, -6.)).markers())
        .horizontal_line(0.0917, "share of pulsars")
        .vertical_line(-6.02, "training noise");
    let second = chart("noise on the DM-SNR curve")
        .line(
            Line::estimated("with EMMA", curve(0.90, 21.))
                .error_bars()
                .markers(),
        )
        .line(
            Line::estimated("without EMMA", curve(0.87, 11.))
                .error_bars()
                .markers(),
        )
        .vertical_line(-6.02, "training noise")
        .vertical_line(12., "twice as much")
        .vertical_line(24., "too much");
    Figure::new(
        "F₁ score against noise on one mode",
        "Two charts of the F1 score of pulsars against the noise-to-signal ratio from −30 to 30 dB. All models \
         fall with noise; the one with EMMA falls last.",
    )
    .panel(first)
    .panel(second)
}

fn logarithmic() -> Figure {
    let loss = |scale: f64, power: f64| {
        (0..200).map(move |step| {
            let epoch = 1.05_f64.powf(step as f64);
            let wiggle = 1. + 0.2 * (noise(step) - 0.5);
            (epoch, scale * epoch.powf(power) * wiggle)
        })
    };
    let training = Chart::new(
        Axis::dimensionless("epoch").logarithmic(),
        Axis::new("loss", "nat").logarithmic(),
    )
    .line(Line::new("training", loss(1., -0.8)))
    .line(Line::new("validation", loss(1.2, -0.7)))
    .horizontal_line(0.01, "tolerance");
    let large = Chart::new(
        Axis::new("energy", "J"),
        Axis::dimensionless("count").logarithmic(),
    )
    .line(Line::new(
        "",
        (0..50).map(|step| (1e7 * f64::from(step), f64::from(step + 1).powi(7))),
    ));
    Figure::new(
        "",
        "Left, losses that fall by powers of the epoch on two logarithmic axes; right, counts over energies up to 5e8 J.",
    )
    .panel(training)
    .panel(large)
    .size(860., 330.)
}

fn scatter() -> Figure {
    let cloud = |n: usize, shift: usize, x: f64, y: f64, size: f64| {
        (0..n).map(move |index| {
            let first = normal(2 * index + 100_000 * shift);
            let second = normal(2 * index + 1 + 100_000 * shift);
            (x + size * first, y + size * (0.6 * first + 0.8 * second))
        })
    };
    let axes = || {
        (
            Axis::new("self-energy of the profile", "nat"),
            Axis::new("self-energy of the DM-SNR curve", "nat"),
        )
    };
    let (x, y) = axes();
    let few = Chart::new(x, y)
        .title("few rows")
        .scatter(Scatter::new("clean", cloud(40, 1, 0., 0., 1.)))
        .scatter(Scatter::new("profile corrupted", cloud(40, 2, 4., 1., 1.)))
        .scatter(Scatter::new("curve corrupted", cloud(40, 3, 0., 4., 1.)))
        .scatter(Scatter::new("both", cloud(40, 4, 4., 5., 1.)));
    let (x, y) = axes();
    let many = Chart::new(x, y)
        .title("many rows")
        .scatter(Scatter::new("not pulsars", cloud(6000, 5, 0., 0., 1.)))
        .scatter(Scatter::new("pulsars", cloud(900, 6, 3., 3., 0.7)));
    Figure::new(
        "Self-energies of rows",
        "Two scatter plots of the self-energies of two modes: clean rows lie at low energies, corrupted ones apart.",
    )
    .panel(few)
    .panel(many)
}

/// A function's values at the middles of a grid's cells.
fn heat_map(grid: Grid, scale: ColorScale, function: impl Fn(f64, f64) -> f64) -> HeatMap {
    let values = grid.middles().map(|(x, y)| function(x, y)).collect();
    HeatMap::new(grid, values, scale)
}

/// Arrows of a function's `(dx, dy)` at the middles of a grid's cells.
fn arrows(length: Axis, grid: Grid, field: impl Fn(f64, f64) -> (f64, f64)) -> Arrows {
    let arrow = |(x, y): (f64, f64)| {
        let (dx, dy) = field(x, y);
        [x, y, dx, dy]
    };
    Arrows::new(length, grid.middles().map(arrow))
}

fn fields() -> Figure {
    let plane = |n: usize| Grid {
        x: (-2., 2.),
        y: (-1.5, 1.5),
        n_columns: 4 * n,
        n_rows: 3 * n,
    };
    let potential = |x: f64, y: f64| {
        let distance = (x.hypot(y) - 1.).abs();
        1.2 * distance.powi(2) - 0.2 * (3. * x).cos()
    };
    let force = |x: f64, y: f64| {
        let step = 1e-5;
        (
            -(potential(x + step, y) - potential(x - step, y)) / (2. * step),
            -(potential(x, y + step) - potential(x, y - step)) / (2. * step),
        )
    };
    let axes = || (Axis::new("x", "m"), Axis::new("y", "m"));
    let (x, y) = axes();
    let energy = ColorScale::new(Axis::new("potential energy", "nat"), Palette::Sequential);
    let sequential = Chart::new(x, y)
        .title("potential and its slope")
        .heat_map(heat_map(plane(20), energy, potential))
        .arrows(arrows(Axis::new("−∇Ψ", "nat/m"), plane(5), force))
        .equal_axes();
    let (x, y) = axes();
    let difference = ColorScale::new(
        Axis::new("difference to the truth", "nat"),
        Palette::Diverging,
    );
    let gap = |x: f64, y: f64| {
        if x.hypot(y) < 0.35 {
            f64::NAN
        } else {
            (2. * x).sin() * y
        }
    };
    let diverging = Chart::new(x, y)
        .title("difference, with a gap")
        .heat_map(heat_map(plane(20), difference, gap))
        .equal_axes();
    let (x, y) = axes();
    let ring = (0..300).map(|index| {
        let angle = index as f64 * 0.1;
        let radius = 1. + 0.1 * normal(index);
        (radius * angle.cos(), radius * angle.sin())
    });
    let over_points = Chart::new(x, y)
        .title("steps over rows")
        .scatter(Scatter::new("rows", ring))
        .arrows(arrows(Axis::new("step", "m"), plane(4), force))
        .equal_axes();
    let (x, y) = axes();
    let cut = Chart::new(x.range(-0.5, 0.7), y.range(0.3, 1.6))
        .title("a corner of the map, ten cells a meter")
        .heat_map(heat_map(
            plane(10),
            ColorScale::new(
                Axis::new("potential energy", "nat").range(0., 0.3),
                Palette::Sequential,
            ),
            potential,
        ));
    Figure::new(
        "Potential energy around the unit circle",
        "Color maps of a potential that is least on the unit circle, with arrows that point down its slope.",
    )
    .panel(sequential)
    .panel(diverging)
    .next_row()
    .panel(over_points)
    .panel(cut)
    .size(860., 720.)
}

fn histograms() -> Figure {
    let samples = |n: usize, shift: f64, size: f64| -> Vec<f64> {
        (0..n)
            .map(|index| shift + size * normal(index + 1000 * n))
            .collect()
    };
    let classes = [samples(3000, 0., 1.), samples(700, 2.5, 0.7)];
    let edges = bin_edges(classes.iter().flatten(), 40);
    let densities = Chart::new(
        Axis::new("potential energy", "nat"),
        Axis::new("density", "1/nat"),
    )
    .histogram(Histogram::new("clean", &classes[0], &edges))
    .histogram(Histogram::new("corrupted", &classes[1], &edges))
    .vertical_line(1.6, "threshold");
    let bell = |middle: f64, size: f64| {
        (-50..=80).map(move |step| {
            let x = 0.1 * f64::from(step);
            (
                x,
                (-0.5 * ((x - middle) / size).powi(2)).exp() / size / 2.5066,
            )
        })
    };
    let smooth = Chart::new(
        Axis::new("potential energy", "nat"),
        Axis::new("density", "1/nat"),
    )
    .line(Line::new("clean", bell(0., 1.)).filled().look(2))
    .line(Line::new("corrupted", bell(2.5, 0.7)).filled().look(4));
    Figure::new(
        "Energies of clean and corrupted rows",
        "Overlaid densities of the potential energy of clean and of corrupted rows, which overlap a little.",
    )
    .panel(densities)
    .panel(smooth)
}

fn bars() -> Figure {
    let models = [
        "base",
        "without",
        "with",
        "ip_only",
        "dm_only",
        "alternative",
    ];
    let estimates = |shift: f64| {
        (0..6).map(move |index| {
            let value = 0.88 - 0.03 * noise(index) - shift * (1. - 0.15 * index as f64);
            Estimate::with_half_width(value, 0.01 + 0.02 * noise(index + 7))
        })
    };
    let axis = || Axis::dimensionless("model");
    let grouped = Bars::new(axis(), models, Axis::dimensionless("F_{1} score"))
        .title("bars from 0")
        .series("uncorrupted", estimates(0.))
        .series("profile corrupted", estimates(0.3))
        .series("curve corrupted", estimates(0.15));
    let points = Bars::new(axis(), models, Axis::dimensionless("F_{1} score"))
        .title("the same as points")
        .points()
        .series("uncorrupted", estimates(0.))
        .series("curve corrupted", estimates(0.15))
        .horizontal_line(0.88, "best without noise");
    let signed = Bars::new(
        Axis::dimensionless("hyperparameter"),
        [
            "coldness",
            "capacity weight λ_{c}",
            "energy weight λ_{e}",
            "number of hidden units of the network",
        ],
        Axis::dimensionless("change of the F_{1} score"),
    )
    .series(
        "",
        [-0.02, 0.013, 0.004, -0.001].map(|value| Estimate::with_half_width(value, 0.006)),
    );
    let many = Bars::new(
        Axis::dimensionless("kind of noise"),
        (0..16).map(|index| format!("corruption number {index}")),
        Axis::new("rows", "1000"),
    )
    .series("", (0..16).map(|index| Estimate::exact(40. * noise(index))));
    Figure::new(
        "F₁ scores by model and condition",
        "Grouped bars of the F1 scores of six models under three conditions, with their intervals.",
    )
    .panel(grouped)
    .panel(points)
    .next_row()
    .panel(signed)
    .panel(many)
}

fn matrices() -> Figure {
    let rows = |axis: &str| Axis::dimensionless(axis.to_owned());
    let confusion = Matrix::new(
        (rows("true class"), ["no pulsar", "pulsar"]),
        (rows("predicted class"), ["no pulsar", "pulsar"]),
        vec![2661., 21., 34., 237.],
        ColorScale::new(
            Axis::dimensionless("rows").logarithmic(),
            Palette::Sequential,
        ),
    )
    .title("confusion")
    .decimals(0);
    let names = ["ip", "dm", "color", "a long name"];
    let values = (0..16).map(|index| {
        if index % 5 == 0 {
            f64::NAN
        } else {
            2. * noise(index + 3) - 1.
        }
    });
    let coupling = Matrix::new(
        (rows("mode i"), names),
        (rows("mode j"), names),
        values.collect(),
        ColorScale::new(
            Axis::dimensionless("coupling weight w_{ij}"),
            Palette::Diverging,
        ),
    )
    .title("coupling");
    Figure::new(
        "Matrices",
        "Left, the confusion matrix of pulsars; right, the coupling weights between four modes.",
    )
    .panel(confusion)
    .panel(coupling)
}

fn looks() -> Figure {
    let mut chart = Chart::new(Axis::new("time", "s"), Axis::dimensionless("height"));
    for number in 0..10 {
        let points = (0..21).map(|step| {
            let x = 0.5 * f64::from(step);
            (x, f64::from(number) + 0.4 * x.sin())
        });
        chart = chart.line(Line::new(format!("series {number}"), points).markers());
    }
    let mut classes = Chart::new(Axis::new("x", "m"), Axis::new("y", "m"));
    for number in 0..8 {
        let points = (0..30).map(|index| {
            let index = index + 100 * number;
            (
                number as f64 + 0.3 * normal(index),
                0.3 * normal(index + 50),
            )
        });
        classes = classes.scatter(Scatter::new(format!("class {number}"), points));
    }
    Figure::new(
        "All looks",
        "Ten waves above each other, and eight clouds of points beside each other.",
    )
    .panel(chart)
    .panel(classes)
    .size(860., 460.)
}

fn hard() -> Figure {
    let axes = || (Axis::new("x", "m"), Axis::new("y", "m"));
    let (x, y) = axes();
    let empty = Chart::new(x, y)
        .title("nothing")
        .line(Line::new("nothing", []));
    let (x, y) = axes();
    let one = Chart::new(x, y)
        .title("one point")
        .line(Line::new("one", [(3., 5.)]));
    let (x, y) = axes();
    let constant = Chart::new(x, y)
        .title("constant, with gaps")
        .line(Line::new(
            "constant",
            (0..20).map(|step| {
                let y = if step % 7 == 3 { f64::NAN } else { 1e-3 };
                (f64::from(step), y)
            }),
        ));
    let (x, y) = axes();
    let offset = Chart::new(x, y)
        .title("small differences of large numbers <&>")
        .line(Line::new(
            "offset",
            (0..20).map(|step| (f64::from(step), 1e6 + 1e-3 * f64::from(step).sin())),
        ));
    let (x, y) = axes();
    let cut = Chart::new(x.range(0., 10.), y.range(-0.5, 0.5))
        .title("cut off on all sides")
        .line(Line::estimated(
            "wave",
            (-10..300).map(|step| {
                let x = 0.1 * f64::from(step);
                (x, Estimate::with_half_width(x.sin(), 0.2))
            }),
        ));
    let (x, y) = axes();
    let unbounded = Chart::new(x, y.logarithmic())
        .title("intervals without an end")
        .line(
            Line::estimated(
                "estimate",
                (0..10).map(|step| {
                    let value = 10_f64.powi(step - 5);
                    let high = if step > 6 { f64::INFINITY } else { 3. * value };
                    (
                        f64::from(step),
                        Estimate::between(value, value - 1e-3, high),
                    )
                }),
            )
            .markers(),
        );
    Figure::new(
        "Hard to draw",
        "Panels without data, with one point, with gaps and with cut lines.",
    )
    .panel(empty)
    .panel(one)
    .panel(constant)
    .next_row()
    .panel(offset)
    .panel(cut)
    .panel(unbounded)
    .size(1000., 620.)
}
