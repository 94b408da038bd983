//! What EMMA learned, first seed.

use super::{Drawn, Evidence, look_of};
use crate::experiment3::close_look::EMMA;
use crate::figures::{Axis, Chart, ColorScale, Figure, Line, Matrix, Palette};

/// How much colder the second temperature of the Gibbs distribution is.
const COLDER: f64 = 10.;
const POINTS: u32 = 200;

/// Equal steps from one number to another.
fn steps(from: f64, to: f64) -> impl Iterator<Item = f64> {
    (0..=POINTS).map(move |step| from + (to - from) * f64::from(step) / f64::from(POINTS))
}

/// The Gibbs distribution at two temperatures, and the attention function.
pub(super) fn functions(evidence: &Evidence) -> Option<Drawn> {
    let learned = &evidence.look.seeds.first()?.learned;
    let modes = &evidence.results.data.modes;
    let (coldness, gain, bias) = (learned.coldness, learned.gain, learned.attention_bias);
    let widest = 6. / coldness;
    let widest = learned
        .masking_gap
        .map_or(widest, |gap| widest.max(1.2 * gap.abs()));
    let difference =
        Axis::dimensionless("energy of a mode less that of the others").range(-widest, widest);
    let mut gibbs = Chart::new(
        difference,
        Axis::dimensionless("importance α").range(0., 1.),
    )
    .title("Gibbs distribution");
    for (look, coldness) in [(look_of(EMMA, modes), coldness), (1, COLDER * coldness)] {
        let points = steps(-widest, widest).map(|x| (x, 1. / (1. + (coldness * x).exp())));
        gibbs = gibbs.line(Line::new(format!("coldness {coldness}"), points).look(look));
    }
    if let Some(gap) = learned.masking_gap {
        gibbs = gibbs.vertical_line(gap, "masked beyond");
    }
    let points = steps(0., 1.).map(|x| (x, (gain * x - bias).tanh().max(0.)));
    let mut attention = Chart::new(
        Axis::dimensionless("importance α").range(0., 1.),
        Axis::dimensionless("attention β").range(0., 1.),
    )
    .title(format!(
        "attention function, capacity {:.3}",
        learned.rectified_capacity
    ))
    .line(Line::new("", points).filled().look(look_of(EMMA, modes)));
    if bias > 0. && gain > bias {
        attention = attention.vertical_line(bias / gain, "threshold");
    }
    Some(Drawn {
        name: "attention_function",
        figure: Figure::new(
            "",
            "Left: the importance of a mode over its energy less that of the other modes, at the coldness of \
             the model and at ten times of it. Right: attention over importance; the area below is the \
             capacity.",
        )
        .panel(gibbs)
        .panel(attention)
        .size(860., 400.),
        caption: format!(
            "What EMMA makes of energies, seed {}: coldness {coldness}, gain {gain:.3}, bias {bias:.3}. The \
             others' energy is their soft minimum. The capacity is the filled area; below the threshold a mode \
             is masked.",
            evidence.first.seed
        ),
    })
}

/// Learned coupling.
pub(super) fn coupling(evidence: &Evidence) -> Option<Drawn> {
    let learned = &evidence.look.seeds.first()?.learned;
    let modes = &evidence.results.data.modes;
    let numbers = |matrix: &Vec<Vec<Option<f64>>>| -> Vec<f64> {
        let all = matrix.iter().flatten();
        all.map(|number| number.unwrap_or(f64::NAN)).collect()
    };
    let names = |what: &str| (Axis::dimensionless(what), modes.iter().map(String::as_str));
    let matrix = |title: &str, values, from: f64, palette| {
        Matrix::new(
            names("mode i"),
            names("mode j"),
            values,
            ColorScale::new(Axis::dimensionless(title).range(from, 1.), palette),
        )
        .title(title)
    };
    let weight = numbers(&learned.coupling_weight);
    let exponent = numbers(&learned.coupling_exponent);
    Some(Drawn {
        name: "coupling",
        figure: Figure::new(
            "",
            "The learned coupling between modes: weights, and exponents that say whose energy it goes by.",
        )
        .panel(matrix("weight w_{ij}", weight, -1., Palette::Diverging))
        .panel(matrix("exponent γ_{ij}", exponent, 0., Palette::Sequential))
        .size(860., 215.),
        caption: format!(
            "Learned coupling of seed {}: mode j adds w_{{ij}} e_{{i}}^{{γ}} e_{{j}}^{{1−γ}} to the energy of \
             mode i.",
            evidence.first.seed
        ),
    })
}
