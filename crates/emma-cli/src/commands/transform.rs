//! `emma transform`: rows as a model's gate leaves them, for other learners.

use emma_data::{LabelColumn, MissingValues};
use emma_models::{Checkpoint, MissingModes, Task, TrainedModel};

use crate::args::{GlobalArgs, TransformArgs};
use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::scoring::input::Input;
use crate::scoring::output::Output;
use crate::scoring::pipeline;
use crate::scoring::scorer::Writing;
use crate::scoring::transform::{TransformLayout, Transformer};
use crate::threads::pool;

pub(crate) fn run(args: &TransformArgs, global: &GlobalArgs) -> CommandResult<()> {
    files::check_targets(
        &[("--out", args.out.as_deref())],
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
    let mut input = Input::open(&args.data, metadata, label, missing_values, false)?;
    let layout = TransformLayout::new(&model, input.has_labels())
        .map_err(|failure: Failure| failure.context(args.model.display().to_string()))?;
    let mut output = Output::create(args.out.as_deref(), layout.columns())?;
    let file = input.name().to_owned();
    let transformer = Transformer {
        model: &model,
        layout: &layout,
        missing,
        writing: Writing {
            rejects: false,
            text: output.is_text(),
            file: &file,
        },
    };
    let ended = pipeline::run(
        &pool(global, &device)?,
        |chunk| input.read(chunk),
        |chunk| transformer.transform(chunk),
        |transformed| output.write(transformed.rows),
    );
    if let Err(failure) = ended {
        output.flush()?;
        return Err(failure);
    }
    output.finish()
}
