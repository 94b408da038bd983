//! `emma export`: a model for other programs.

use emma_models::{Checkpoint, onnx, state_dict};

use crate::args::{ExportArgs, ExportFormat, GlobalArgs};
use crate::failure::CommandResult;
use crate::files;

pub(crate) fn run(args: &ExportArgs, global: &GlobalArgs) -> CommandResult<()> {
    files::check_targets(
        &[("--out", Some(&*args.out))],
        &[("--model", Some(&*args.model))],
    )?;
    // Nothing is computed here that a device would speed up; one that is not there is refused all the
    // same.
    global.device.open()?;
    let checkpoint = Checkpoint::load(&args.model)?;
    let bytes = match args.format {
        ExportFormat::Onnx => onnx::to_bytes(&checkpoint),
        ExportFormat::Torch => state_dict::to_bytes(&checkpoint),
    };
    let bytes = bytes.map_err(|error| error.in_file(&args.model))?;
    files::write(&args.out, &bytes)?;
    if !global.quiet {
        files::tell(&format!(
            "{}: {}",
            args.out.display(),
            said(args.format, &checkpoint)
        ));
    }
    Ok(())
}

/// What was written, in a line.
fn said(format: ExportFormat, checkpoint: &Checkpoint) -> String {
    let modes = &checkpoint.metadata().modes;
    match format {
        ExportFormat::Onnx => {
            let names = onnx::input_names(checkpoint.metadata());
            let inputs: Vec<String> = names
                .iter()
                .zip(modes)
                .map(|(name, mode)| format!("{name} [rows, {}]", mode.columns.len()))
                .collect();
            format!("ONNX, opset {}, inputs {}", onnx::OPSET, inputs.join(", "))
        }
        ExportFormat::Torch => "a state_dict, for docs/emma_torch.py".to_owned(),
    }
}
