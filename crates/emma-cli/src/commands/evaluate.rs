//! `emma evaluate`: measures on labelled rows, clean or corrupted.

use std::fmt::Write as _;

use candle_core::Device;
use emma_data::{ModeCorruption, generator};
use emma_models::{Answers, Checkpoint, TrainedModel};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::json;

use crate::abstaining::Abstaining;
use crate::args::{EvaluateArgs, GlobalArgs, RowsArg};
use crate::evaluation::curve::{Curve, CurvePoint, CurveSpec};
use crate::evaluation::measured::Measured;
use crate::evaluation::rows::LabeledTable;
use crate::evaluation::selective_risk::SelectiveRisk;
use crate::failure::{CommandResult, Failure};
use crate::figures::Theme;
use crate::files;
use crate::text::{align, thousands};
use crate::threads::pool;

pub(crate) fn run(args: &EvaluateArgs, global: &GlobalArgs) -> CommandResult<()> {
    let inputs = [
        ("--model", Some(&*args.model)),
        ("--data", Some(&*args.data)),
    ];
    let figures: Vec<_> = args
        .figure
        .iter()
        .map(|path| ("--figure", Some(&**path)))
        .collect();
    files::check_targets(&figures, &inputs)?;
    for path in &args.figure {
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        if !matches!(suffix, Some("svg" | "png")) {
            return Err(Failure::input(format!(
                "--figure {}: expected a name that ends in .svg or .png",
                path.display()
            )));
        }
    }
    let device = global.device.open()?;
    let checkpoint = Checkpoint::load(&args.model)?;
    let model = TrainedModel::from_checkpoint(&checkpoint, &device)
        .map_err(|error| error.in_file(&args.model))?;
    check_modes(args, &model)?;
    let abstaining = Abstaining::of(&args.risk, &args.model, &checkpoint)?;
    let table = LabeledTable::open(&args.data, &checkpoint)?;
    let pool = pool(global, &device)?;
    let predict = |corruptions: &[ModeCorruption]| {
        // The same draws whatever else is measured.
        let mut rng = generator(args.seed, "evaluation");
        table
            .prediction(&model, corruptions, args.rows, &mut rng)
            .map_err(|failure| failure.context(args.data.display().to_string()))
    };
    let measured_of = |answers: &Answers| {
        let mut rng = generator(args.seed, "bootstrap");
        Measured::of(&model, answers, &table, args.resamples, &mut rng)
    };
    let measure = |corruptions: &[ModeCorruption]| measured_of(&predict(corruptions)?.answers);
    let prediction = pool.install(|| predict(&args.corrupt))?;
    let measured = pool.install(|| measured_of(&prediction.answers))?;
    let answered = abstaining
        .map(|abstaining| SelectiveRisk::of(&abstaining, &model, &prediction, &table))
        .transpose()?;
    let curve = match &args.curve {
        Some(spec) => Some(pool.install(|| curve(spec, args, &device, &measure))?),
        None => None,
    };
    for path in &args.figure {
        let Some((curve, spec)) = curve.as_ref().zip(args.curve.as_ref()) else {
            continue;
        };
        let figure = curve.figure(spec);
        let bytes = match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("svg") => figure.svg()?.into_bytes(),
            _ => figure.png(Theme::Light)?,
        };
        files::write(path, &bytes)?;
    }
    if args.json {
        let corruptions: Vec<String> = args.corrupt.iter().map(ToString::to_string).collect();
        return files::print_json(&json!({
            "model": model.metadata().name,
            "rows": table.n_rows(),
            "corruption": corruptions,
            "seed": args.seed,
            "threshold": model.metadata().threshold,
            "metrics": measured.metrics,
            "intervals": measured.intervals,
            "abstention": answered,
            "curve": curve,
        }));
    }
    let mut text = text(args, &table, &measured);
    if let Some(answered) = &answered {
        let _ = write!(text, "\n{}", answered.to_text()); // Writing to a String cannot fail.
    }
    if let Some(curve) = &curve {
        let _ = writeln!(text, "\n{} over {}:", curve.measure, curve.corruption);
        text.push_str(&curve.to_text());
    }
    files::print(&text)
}

fn check_modes(args: &EvaluateArgs, model: &TrainedModel) -> CommandResult<()> {
    let modes = model.metadata().modes.iter();
    let names: Vec<&str> = modes.map(|mode| mode.name.as_str()).collect();
    let of_curve = args.curve.iter().flat_map(|curve| &curve.points);
    let of_curve = of_curve.map(|(_, corruption)| ("--curve", corruption));
    let all = args
        .corrupt
        .iter()
        .map(|corruption| ("--corrupt", corruption))
        .chain(of_curve);
    for (option, corruption) in all {
        corruption
            .mode_index(&names)
            .map_err(|error| Failure::from(error).context(format!("{option} {corruption}")))?;
    }
    Ok(())
}

/// The main measure at every level, each after the corruptions that were asked for besides.
fn curve(
    spec: &CurveSpec,
    args: &EvaluateArgs,
    device: &Device,
    measure: &(impl Fn(&[ModeCorruption]) -> CommandResult<Measured> + Sync),
) -> CommandResult<Curve> {
    let point = |(level, corruption): &(f64, ModeCorruption)| {
        let mut corruptions = args.corrupt.clone();
        corruptions.push(corruption.clone());
        let measured = measure(&corruptions)?;
        let (name, estimate) = measured.metrics.main();
        let interval = measured.intervals.get(name);
        let point = CurvePoint {
            level: *level,
            estimate,
            interval: interval.map(|interval| (interval.lower, interval.upper)),
        };
        Ok((name, point))
    };
    let points: Vec<CommandResult<(&str, CurvePoint)>> = if device.is_cpu() {
        spec.points.par_iter().map(point).collect()
    } else {
        spec.points.iter().map(point).collect()
    };
    let points = points.into_iter().collect::<CommandResult<Vec<_>>>()?;
    Ok(Curve {
        corruption: spec.to_string(),
        measure: points.first().map_or("", |(name, _)| name),
        points: points.into_iter().map(|(_, point)| point).collect(),
    })
}

fn text(args: &EvaluateArgs, table: &LabeledTable, measured: &Measured) -> String {
    let mut text = String::new();
    let condition = if args.corrupt.is_empty() {
        "as they are".to_owned()
    } else {
        let corruptions: Vec<String> = args.corrupt.iter().map(ToString::to_string).collect();
        let rows = match args.rows {
            RowsArg::All => "every row",
            RowsArg::Mixture => "half of the rows, one mode each",
            RowsArg::Constrained => "half of the rows",
        };
        format!("with {} in {rows}", corruptions.join(", "))
    };
    let _ = writeln!(text, "{} rows {condition}", thousands(table.n_rows()));
    let mut rows = vec![vec!["measure".to_owned(), "value".to_owned()]];
    if !measured.intervals.is_empty() {
        rows[0].push("95 % interval".to_owned());
    }
    for (name, value) in measured.metrics.shown() {
        let mut row = vec![name.to_owned(), format!("{value:.4}")];
        if let Some(interval) = measured.intervals.get(name) {
            row.push(format!("{:.4} to {:.4}", interval.lower, interval.upper));
        }
        rows.push(row);
    }
    align(&mut text, &rows);
    text
}
