//! A measure over growing levels of one corruption.

use std::fmt::Write as _;
use std::str::FromStr;

use emma_data::ModeCorruption;
use serde::Serialize;

use crate::figures::{Axis, Chart, Estimate, Figure, Line};

/// Levels of a curve that does not say how many.
const DEFAULT_STEPS: usize = 9;
/// Most levels.
const MOST_STEPS: usize = 1000;

/// A corruption of one mode at several levels: `ip:noise:0..4`, or `ip:noise:0..4/17` for 17 of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CurveSpec {
    text: String,
    pub(crate) mode: String,
    pub(crate) kind: String,
    pub(crate) points: Vec<(f64, ModeCorruption)>,
}

impl FromStr for CurveSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected MODE:KIND:FROM..TO or MODE:KIND:FROM..TO/STEPS, such as ip:noise:0..4, got {text:?}"
            )
        };
        let (place, levels) = text.rsplit_once(':').ok_or_else(expected)?;
        let (mode, kind) = place.split_once(':').ok_or_else(expected)?;
        let (range, steps) = match levels.split_once('/') {
            Some((range, steps)) => (range, steps.parse().map_err(|_| expected())?),
            None => (levels, DEFAULT_STEPS),
        };
        let (from, to) = range.split_once("..").ok_or_else(expected)?;
        let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
        let (Some(from), Some(to)) = (number(from), number(to)) else {
            return Err(expected());
        };
        if !(2..=MOST_STEPS).contains(&steps) || from >= to {
            return Err(format!(
                "expected a growing range in 2 to {MOST_STEPS} steps, got {text:?}"
            ));
        }
        let point = |step: usize| {
            let level = from + (to - from) * step as f64 / (steps - 1) as f64;
            // Tenths as people write them.
            let level = (level * 1e9).round() / 1e9;
            let corruption = format!("{mode}:{kind}:{level}").parse();
            let corruption = corruption.map_err(|error: emma_data::Error| error.to_string())?;
            Ok((level, corruption))
        };
        Ok(Self {
            text: text.to_owned(),
            mode: mode.to_owned(),
            kind: kind.to_owned(),
            points: (0..steps).map(point).collect::<Result<_, String>>()?,
        })
    }
}

impl std::fmt::Display for CurveSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.text)
    }
}

/// A measured curve.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Curve {
    pub(crate) corruption: String,
    pub(crate) measure: &'static str,
    pub(crate) points: Vec<CurvePoint>,
}

/// The measure at one level.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CurvePoint {
    pub(crate) level: f64,
    pub(crate) estimate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<(f64, f64)>,
}

impl Curve {
    /// Whether the measure lies between 0 and 1.
    fn is_share(&self) -> bool {
        self.measure != "rmse"
    }

    /// A line a level, with a bar from 0 to 1, or to the largest of an error.
    pub(crate) fn to_text(&self) -> String {
        const WIDTH: f64 = 40.;
        let largest = self
            .points
            .iter()
            .map(|point| point.estimate)
            .fold(0., f64::max);
        let longest = if self.is_share() || largest <= 0. {
            1.
        } else {
            largest
        };
        let mut rows = vec![vec![
            "level".to_owned(),
            self.measure.to_owned(),
            "95 % interval".to_owned(),
        ]];
        for point in &self.points {
            let interval = point.interval.map_or(String::new(), |(lower, upper)| {
                format!("{lower:.3} to {upper:.3}")
            });
            rows.push(vec![
                point.level.to_string(),
                format!("{:.3}", point.estimate),
                interval,
            ]);
        }
        let mut table = String::new();
        crate::text::align(&mut table, &rows);
        let mut lines = table.lines();
        let mut text = format!("{}\n", lines.next().unwrap_or_default());
        let widest = table
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0);
        for (line, point) in lines.zip(&self.points) {
            let share = (point.estimate / longest).clamp(0., 1.);
            #[expect(clippy::cast_sign_loss, reason = "a share of the width")]
            let bar = "#".repeat((share * WIDTH).round() as usize);
            let _ = writeln!(text, "{line:<widest$}  |{bar}"); // Writing to a String cannot fail.
        }
        text
    }

    /// The same, drawn.
    pub(crate) fn figure(&self, spec: &CurveSpec) -> Figure {
        let points = self.points.iter().map(|point| {
            let estimate = match point.interval {
                Some((lower, upper)) => Estimate::between(point.estimate, lower, upper),
                None => Estimate::exact(point.estimate),
            };
            (point.level, estimate)
        });
        let x = Axis::dimensionless(format!("Level of {} on {}", spec.kind, spec.mode));
        let y = Axis::dimensionless(self.measure);
        let y = if self.is_share() { y.range(0., 1.) } else { y };
        let chart = Chart::new(x, y).line(Line::estimated("", points));
        Figure::new(
            "",
            format!(
                "{} over the level of {} on mode {}, with 95 % bootstrap intervals.",
                self.measure, spec.kind, spec.mode
            ),
        )
        .panel(chart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_end_to_end() {
        let spec: CurveSpec = "ip:noise:0..4".parse().unwrap();
        let levels: Vec<f64> = spec.points.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, [0., 0.5, 1., 1.5, 2., 2.5, 3., 3.5, 4.]);
        assert_eq!(spec.points[1].1.to_string(), "ip:noise:0.5");
        let spec: CurveSpec = "dm:drop:0..0.3/4".parse().unwrap();
        assert_eq!(spec.points[3].0.to_string(), "0.3");
        assert_eq!(spec.points[1].0.to_string(), "0.1");
    }

    #[test]
    fn what_is_no_curve_is_refused() {
        for text in [
            "ip:noise:4",
            "noise:0..4",
            "ip:noise:4..0",
            "ip:noise:0..4/1",
            "ip:nois:0..4",
            "ip:noise:a..b",
        ] {
            assert!(text.parse::<CurveSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn bars_follow_the_numbers() {
        let point = |level, estimate| CurvePoint {
            level,
            estimate,
            interval: Some((0.25, 0.75)),
        };
        let curve = Curve {
            corruption: "a:noise:0..1".into(),
            measure: "f1",
            points: vec![point(0., 1.), point(1., 0.5)],
        };
        let text = curve.to_text();
        assert_eq!(text.matches('#').count(), 60, "{text}");
        assert!(text.contains("0.250 to 0.750"));
    }
}
