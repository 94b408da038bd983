//! `emma inspect`: what a model learned, in words and numbers.

use candle_core::Device;
use emma_models::{Checkpoint, TrainedModel};

use crate::args::{GlobalArgs, InspectArgs};
use crate::failure::CommandResult;
use crate::files;
use crate::inspection::Inspection;

pub(crate) fn run(args: &InspectArgs, global: &GlobalArgs) -> CommandResult<()> {
    // Nothing is computed here that a device would speed up; one that is not there is refused all the
    // same.
    global.device.open()?;
    let checkpoint = Checkpoint::load(&args.model)?;
    // Building the model checks that it could score.
    let model = TrainedModel::from_checkpoint(&checkpoint, &Device::Cpu)
        .map_err(|error| error.in_file(&args.model))?;
    let inspection = Inspection::of(&checkpoint, &model)
        .map_err(|failure| failure.context(args.model.display().to_string()))?;
    if args.json {
        return files::print_json(&inspection);
    }
    files::print(&inspection.text(&args.model.display().to_string()))
}
