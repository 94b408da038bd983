//! The part of `docs/benchmarks.md` that the command writes.

use std::fs;
use std::path::Path;

use anyhow::Context;

const BEGIN: &str = "<!-- written by cargo xtask bench: begin -->\n";
const END: &str = "<!-- written by cargo xtask bench: end -->\n";

/// Puts the text between the two marks of the file.
pub(crate) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let context = || path.display().to_string();
    let document = fs::read_to_string(path).with_context(context)?;
    fs::write(path, replaced(&document, text).with_context(context)?).with_context(context)
}

fn replaced(document: &str, text: &str) -> anyhow::Result<String> {
    let missing = "expected the two marks between which the figures stand";
    let (before, rest) = document.split_once(BEGIN).context(missing)?;
    let (_, after) = rest.split_once(END).context(missing)?;
    Ok(format!("{before}{BEGIN}\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays() {
        let document = format!("# Title\n{BEGIN}old\n{END}the end\n");
        let once = replaced(&document, "new\n").expect("marks");
        assert_eq!(once, format!("# Title\n{BEGIN}\nnew\n\n{END}the end\n"));
        assert_eq!(replaced(&once, "new").expect("marks"), once);
    }

    #[test]
    fn a_document_without_marks_is_left_alone() {
        assert!(replaced("# Title\n", "new").is_err());
        assert!(replaced(&format!("{END}{BEGIN}"), "new").is_err());
    }

    #[test]
    fn the_document_has_the_marks() {
        let document = include_str!("../../../docs/benchmarks.md");
        assert!(replaced(document, "").is_ok());
    }
}
