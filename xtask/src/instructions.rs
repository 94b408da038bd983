//! `cargo xtask instructions`: how many instructions fixed work takes, against what it took before.
//!
//! Times say little on a shared machine; instructions, counted by valgrind at one instruction set, hardly
//! vary. They depend on the compiler, so that counts of another one are not compared.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::json;

use crate::bench::machine::rustc;
use crate::{release_build, target_folder};

const FILE: &str = "benches/instructions.json";
/// Percent: more than this, either way, has to be looked at.
const TOLERANCE: u64 = 3;
/// Options of the kernel program, by the name of the work.
const WORKS: [(&str, &str); 4] = [
    ("stage_one", "--what stage_one"),
    ("stage_two", "--what step"),
    ("scoring", "--what score"),
    ("gate_of_32_modes", "--what modes --modes 32"),
];

/// Counts of each work, with the compiler that made them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counts {
    rustc: String,
    instructions: BTreeMap<String, u64>,
}

impl Counts {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        let rustc = value["rustc"].as_str().context("no rustc")?.to_owned();
        let counts = value["instructions"]
            .as_object()
            .context("no instructions")?;
        let instructions = counts
            .iter()
            .map(|(name, count)| {
                let count = count.as_u64().filter(|count| *count > 0);
                let count = count.with_context(|| format!("{name}: expected a count"))?;
                Ok((name.clone(), count))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            rustc,
            instructions,
        })
    }

    fn text(&self) -> String {
        let value = json!({"rustc": self.rustc, "instructions": self.instructions});
        format!("{value:#}\n")
    }

    /// A line for every work, and whether all are where they were.
    fn compare(&self, before: &Self) -> (Vec<String>, bool) {
        let mut lines = Vec::new();
        let mut same = true;
        for (name, &count) in &self.instructions {
            let Some(&old) = before.instructions.get(name) else {
                same = false;
                lines.push(format!("{name}: {count}, not in {FILE}: commit it"));
                continue;
            };
            let change = count as f64 / old as f64 - 1.;
            let verdict = if count * 100 > old * (100 + TOLERANCE) {
                same = false;
                ": MORE than before"
            } else if count * 100 < old * (100 - TOLERANCE) {
                same = false;
                ": fewer than before, commit the new count"
            } else {
                ""
            };
            lines.push(format!(
                "{name}: {count} ({:+.2} %){verdict}",
                change * 100.
            ));
        }
        (lines, same)
    }
}

/// Runs the command; what keeps it from comparing is said aloud.
pub(crate) fn run(options: &[OsString]) -> anyhow::Result<()> {
    let update = match options {
        [] => false,
        [option] if option == "--update" => true,
        _ => bail!("instructions takes --update or nothing"),
    };
    if let Some(reason) = cannot() {
        println!("instructions: SKIPPED, {reason}");
        return Ok(());
    }
    let rustc = rustc();
    let before = fs::read_to_string(FILE);
    let before = before
        .map_err(anyhow::Error::new)
        .and_then(|text| Counts::parse(&text));
    let before = match (before, update) {
        (_, true) => None,
        (Ok(before), false) if before.rustc != rustc => {
            println!(
                "instructions: SKIPPED, {FILE} was counted with {}, this is {rustc}",
                before.rustc
            );
            return Ok(());
        }
        (before, false) => Some(before.context(FILE)?),
    };
    let target = target_folder()?;
    let package = ["--package", "emma-bench"];
    crate::run(release_build(&target).args(package))?;
    let mut instructions = BTreeMap::new();
    for (name, options) in WORKS {
        let Some(prepared) = count(&target, options, 0)? else {
            println!("instructions: SKIPPED, this processor has no AVX2");
            return Ok(());
        };
        let worked = count(&target, options, 1)?.context("AVX2 went away")?;
        let count = worked
            .checked_sub(prepared)
            .context("work took no instructions")?;
        instructions.insert(name.to_owned(), count);
    }
    let counts = Counts {
        rustc,
        instructions,
    };
    let Some(before) = before else {
        fs::write(FILE, counts.text())?;
        print!("{FILE}: {}", counts.text());
        return Ok(());
    };
    let (lines, same) = counts.compare(&before);
    println!("{}", lines.join("\n"));
    if !same {
        bail!(
            "instructions differ by more than {TOLERANCE} %; `cargo xtask instructions --update` writes {FILE}"
        );
    }
    Ok(())
}

/// Why nothing can be counted here, if so.
fn cannot() -> Option<String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Some("counts are those of x86-64 Linux".to_owned());
    }
    let valgrind = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    (!valgrind.is_ok_and(|status| status.success())).then(|| "valgrind is not installed".to_owned())
}

/// Instructions of the whole program; none where it cannot use AVX2.
fn count(target: &Path, options: &str, repeat: usize) -> anyhow::Result<Option<u64>> {
    let file = target.join(format!("callgrind.{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(target.join("release/kernels"))
        .args(options.split_whitespace())
        .args(["--repeat", &repeat.to_string()])
        .env("EMMA_SIMD", "avx2")
        .output()
        .context("cannot start valgrind")?;
    let profile = fs::read_to_string(&file);
    // What stays behind takes room and does no harm.
    let _ = fs::remove_file(&file);
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{} from valgrind: {}", output.status, complaint.trim());
    }
    if String::from_utf8_lossy(&output.stdout).trim() != "Avx2" {
        return Ok(None);
    }
    total(&profile?).map(Some)
}

/// The total of a profile.
fn total(profile: &str) -> anyhow::Result<u64> {
    let line = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals:"));
    let number = line
        .context("a profile of callgrind without totals")?
        .trim();
    number
        .parse()
        .with_context(|| format!("totals of callgrind: {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        Counts {
            rustc: "rustc 1.0.0".to_owned(),
            instructions: pairs
                .iter()
                .map(|&(name, count)| (name.to_owned(), count))
                .collect(),
        }
    }

    #[test]
    fn three_percent_either_way_are_let_through_and_no_more() {
        let before = counts(&[("work", 10_000)]);
        for (now, same) in [
            (10_000, true),
            (10_300, true),
            (9_700, true),
            (10_301, false),
            (9_699, false),
        ] {
            assert_eq!(counts(&[("work", now)]).compare(&before).1, same, "{now}");
        }
    }

    #[test]
    fn a_change_says_which_way_it_went() {
        let before = counts(&[("a", 100), ("b", 100)]);
        let (lines, _) = counts(&[("a", 200), ("b", 50)]).compare(&before);
        assert_eq!(lines[0], "a: 200 (+100.00 %): MORE than before");
        assert!(lines[1].ends_with("commit the new count"), "{lines:?}");
    }

    #[test]
    fn a_work_that_was_never_counted_is_not_let_through() {
        let (lines, same) = counts(&[("new", 5)]).compare(&counts(&[]));
        assert!(!same);
        assert!(lines[0].contains("commit it"), "{lines:?}");
    }

    #[test]
    fn counts_read_back_as_they_were_written() {
        let written = counts(&[("a", 1), ("b", u64::from(u32::MAX) * 9)]);
        assert_eq!(Counts::parse(&written.text()).expect("valid"), written);
        for junk in ["", "{}", r#"{"rustc": "r", "instructions": {"a": -1}}"#] {
            assert!(Counts::parse(junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn every_work_has_a_committed_count() {
        let text = include_str!("../../benches/instructions.json");
        let committed = Counts::parse(text).expect("valid");
        let names: Vec<&str> = committed.instructions.keys().map(String::as_str).collect();
        let mut works = WORKS.map(|(name, _)| name);
        works.sort_unstable();
        assert_eq!(names, works);
    }

    #[test]
    fn the_total_of_a_profile_is_found() {
        assert_eq!(
            total("events: Ir\nfn=main\n1 2\ntotals: 123\n").expect("it is there"),
            123
        );
        assert!(total("events: Ir\n").is_err());
    }
}
