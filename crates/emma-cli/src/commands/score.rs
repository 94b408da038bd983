//! `emma score`: one output row per input row, in order, in bounded memory.

use emma_data::{LabelColumn, MissingValues};
use emma_models::{
    Calibration, Checkpoint, ConformalGate, FalseAlarms, MissingModes, TrainedModel,
};

use crate::abstaining::Abstaining;
use crate::args::{GlobalArgs, ScoreArgs};
use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::scoring::delivery::Delivery;
use crate::scoring::input::Input;
use crate::scoring::layout::Layout;
use crate::scoring::output::Output;
use crate::scoring::ranking::Ranking;
use crate::scoring::rejects::Rejects;
use crate::scoring::scorer::{Scorer, Writing};
use crate::scoring::sentence::{SUSPECT, Sentences};
use crate::threads::pool;

pub(crate) fn run(args: &ScoreArgs, global: &GlobalArgs) -> CommandResult<()> {
    files::check_targets(
        &[
            ("--out", args.out.as_deref()),
            ("--rejects", args.rejects.as_deref()),
        ],
        &[
            ("--model", Some(&*args.model)),
            ("--data", Some(&*args.data)),
        ],
    )?;
    let device = global.device.open()?;
    let checkpoint = Checkpoint::load(&args.model)?;
    let model = TrainedModel::from_checkpoint(&checkpoint, &device)
        .map_err(|error| error.in_file(&args.model))?;
    let sentences = sentences(args, global, &checkpoint, &model)?;
    let gate = gate(args, &checkpoint)?;
    let abstaining = Abstaining::of(&args.risk, &args.model, &checkpoint)?;
    if let (Some(abstaining), false) = (&abstaining, global.quiet) {
        files::tell(&format!("note: {}", abstaining.note()));
    }
    let layout = Layout::new(&model, args.explain, gate, abstaining, sentences);
    let (missing_values, missing) = match args.nan {
        Some(MissingValues::AsNan) => (MissingValues::AsNan, MissingModes::LeaveOut),
        _ => (MissingValues::Refuse, MissingModes::Refuse),
    };
    let keeps_faulty_rows = args.rejects.is_some();
    let mut input = Input::open(
        &args.data,
        model.metadata(),
        LabelColumn::None,
        missing_values,
        keeps_faulty_rows,
    )?;
    let columns = layout.columns();
    let ranking = args.top.map(|n_best| Ranking::new(n_best, &columns));
    let output = match &ranking {
        Some(_) => Output::create(args.out.as_deref(), &Ranking::described(&columns))?,
        None => Output::create(args.out.as_deref(), &columns)?,
    };
    let delivery = Delivery {
        output,
        ranking,
        rejects: args.rejects.as_deref().map(Rejects::create).transpose()?,
    };
    let file = input.name().to_owned();
    let scorer = Scorer {
        model: &model,
        layout: &layout,
        missing,
        writing: Writing {
            rejects: keeps_faulty_rows,
            text: delivery.takes_text(),
            file: &file,
        },
    };
    let pool = pool(global, &device)?;
    let counts = delivery.run(&pool, &mut input, |chunk| scorer.score(chunk))?;
    if keeps_faulty_rows && !global.quiet {
        files::tell(&format!(
            "scored {} rows, rejected {}",
            counts.n_made, counts.n_rejected
        ));
    }
    Ok(())
}

/// What says of each row which modes are suspect, if that is wanted.
fn gate(args: &ScoreArgs, checkpoint: &Checkpoint) -> CommandResult<Option<ConformalGate>> {
    let Some(rate) = args.suspect_rate else {
        return Ok(None);
    };
    let in_file = |error: emma_models::Error| error.in_file(&args.model);
    let Some(calibration) = Calibration::from_checkpoint(checkpoint).map_err(in_file)? else {
        return Err(Failure::input(format!(
            "{}: expected a model with potentials of clean rows, as emma train writes those with EMMA, since \
             --suspect-rate compares with them; it has none",
            args.model.display()
        )));
    };
    let gate = ConformalGate::new(calibration, FalseAlarms::EachMode(rate)).map_err(in_file)?;
    Ok(Some(gate))
}

/// What says of each row why, if that is wanted; and what to know about it beforehand.
fn sentences(
    args: &ScoreArgs,
    global: &GlobalArgs,
    checkpoint: &Checkpoint,
    model: &TrainedModel,
) -> CommandResult<Option<Sentences>> {
    let note = |message: &str| {
        if !global.quiet {
            files::tell(&format!("note: {} {message}", args.model.display()));
        }
    };
    if args.why && model.emma_plus().is_some() {
        return Err(Failure::input(format!(
            "{}: --why needs the potentials of a model of the thesis's kinds, this is EMMA+ (energy of kind \
             joint_density); --explain has its energies",
            args.model.display()
        )));
    }
    for (option, given) in [("--explain", args.explain), ("--why", args.why)] {
        if given && !model.has_energies() {
            note(&format!("has no EMMA, so {option} adds nothing"));
        }
    }
    if !args.why || !model.has_emma() {
        return Ok(None);
    }
    let calibration = Calibration::from_checkpoint(checkpoint);
    let calibration = calibration.map_err(|error| error.in_file(&args.model))?;
    let suspect = args.suspect.unwrap_or(SUSPECT);
    match &calibration {
        None => note("has no potentials of clean rows, so --why calls no mode suspect"),
        Some(calibration) if calibration.smallest_p_value() >= suspect => note(&format!(
            "has potentials of {} clean rows, too few to call a mode suspect at {suspect}",
            calibration.n_rows()
        )),
        Some(_) => {}
    }
    Ok(Some(Sentences::new(model.metadata(), calibration, suspect)))
}
