//! `emma transform`: rows as a model's gate leaves them, for other learners.

use emma_data::{LabelColumn, MissingValues};
use emma_models::{Checkpoint, MissingModes, Task, TrainedModel};

use crate::args::{GlobalArgs, TransformArgs};
use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::scoring::delivery::Delivery;
use crate::scoring::input::Input;
use crate::scoring::output::Output;
use crate::scoring::rejects::Rejects;
use crate::scoring::scorer::Writing;
use crate::scoring::transform::{TransformLayout, Transformer};
use crate::threads::pool;

pub(crate) fn run(args: &TransformArgs, global: &GlobalArgs) -> CommandResult<()> {
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
    // Of no row, what the model cannot do with any.
    model
        .transform_rows(&[], MissingModes::Refuse)
        .map_err(|error| error.in_file(&args.model))?;
    let (missing_values, missing) = match args.nan {
        Some(MissingValues::AsNan) => (MissingValues::AsNan, MissingModes::LeaveOut),
        _ => (MissingValues::Refuse, MissingModes::Refuse),
    };
    let metadata = model.metadata();
    // Classes by name and numbers are no labels of 0 and 1, which alone are read beside the features.
    let label = match &metadata.task {
        Task::Binary { classes } if classes.is_empty() => {
            LabelColumn::Optional(metadata.label.clone())
        }
        _ => LabelColumn::None,
    };
    let keeps_faulty_rows = args.rejects.is_some();
    let mut input = Input::open(
        &args.data,
        metadata,
        label,
        missing_values,
        keeps_faulty_rows,
    )?;
    let layout = TransformLayout::new(&model, input.has_labels())
        .map_err(|failure: Failure| failure.context(args.model.display().to_string()))?;
    let delivery = Delivery {
        output: Output::create(args.out.as_deref(), layout.columns())?,
        ranking: None,
        rejects: args.rejects.as_deref().map(Rejects::create).transpose()?,
    };
    let file = input.name().to_owned();
    let transformer = Transformer {
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
    let counts = delivery.run(&pool, &mut input, |chunk| transformer.transform(chunk))?;
    if keeps_faulty_rows && !global.quiet {
        files::tell(&format!(
            "transformed {} rows, rejected {}",
            counts.n_made, counts.n_rejected
        ));
    }
    Ok(())
}
