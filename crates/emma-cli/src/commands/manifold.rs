//! `emma data manifold`: points on the curves of the thesis's first experiment.

use emma_data::generator;

use crate::args::{GlobalArgs, ManifoldArgs};
use crate::failure::CommandResult;
use crate::files::{self, AtomicFile, output_failure};
use crate::tables;
use crate::text::thousands;

pub(crate) fn run(args: &ManifoldArgs, global: &GlobalArgs) -> CommandResult<()> {
    let rng = &mut generator(args.seed, "manifold");
    let points = args.manifold.sample(args.rows, args.noise, rng)?;
    let file = AtomicFile::create(&args.out)?;
    let mut table = tables::writer(&args.out, &["x", "y"], None, file)?;
    for point in points.rows() {
        table
            .write_row(&[point[0], point[1]], None)
            .map_err(output_failure)?;
    }
    table.finish().map_err(output_failure)?.finish()?;
    if !global.quiet {
        files::tell(&format!(
            "{}: {} points on the {}",
            args.out.display(),
            thousands(args.rows),
            args.manifold
        ));
    }
    Ok(())
}
