//! Figures as wholes: a gallery of every kind, and what holds for all of them.

mod gallery;

use super::*;

/// Writes every figure of the gallery, to be looked at, to the folder that `EMMA_GALLERY` names, else to
/// one that goes away.
#[test]
fn every_kind_of_figure_is_written_in_three_files() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("EMMA_GALLERY");
    let folder = folder.map_or(temporary.path().to_owned(), std::path::PathBuf::from);
    for (name, figure) in gallery::figures() {
        figure.write(&folder, name).unwrap();
        for ending in [".svg", ".png", "-dark.png"] {
            let file = folder.join("figures").join(format!("{name}{ending}"));
            assert!(file.metadata().unwrap().len() > 1000, "{}", file.display());
        }
    }
}
