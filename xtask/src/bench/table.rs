//! Results as tables in Markdown.

use std::fmt::Write;

use super::race::{Race, Verdict};
use super::statistics::Spread;
use super::work::Target;

/// Rows of equal length, the first of which is the header; numbers stand right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if number == 0 {
            let rules = row.iter().enumerate();
            let rules: Vec<&str> = rules
                .map(|(column, _)| if column == 0 { "---" } else { "---:" })
                .collect();
            let _ = writeln!(text, "| {} |", rules.join(" | "));
        }
    }
    text
}

/// A time in the unit that keeps it short.
pub(crate) fn time(microseconds: f64) -> String {
    match microseconds {
        us if us < 1e3 => format!("{} µs", digits(us)),
        us if us < 1e6 => format!("{} ms", digits(us / 1e3)),
        us => format!("{} s", digits(us / 1e6)),
    }
}

/// Three significant digits, more before the point.
pub(crate) fn digits(number: f64) -> String {
    match number.abs() {
        size if size < 10. => format!("{number:.2}"),
        size if size < 100. => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", digits(bytes as f64 / 1e6))
}

fn spread(spread: Spread, number: impl Fn(f64) -> String) -> String {
    format!("{} to {}", number(spread.lowest), number(spread.highest))
}

fn factor(number: f64) -> String {
    format!("{}x", digits(number))
}

/// Every contestant: time, ratio to ours, memory where it is known.
pub(crate) fn contestants(race: &Race) -> String {
    let memory = race.outcomes.iter().any(|outcome| {
        let ready = outcome.result.as_ref().ok();
        ready.is_some_and(|(_, ready)| ready.extra_bytes.is_some())
    });
    let mut header = vec![
        race.work.title.to_owned(),
        race.work.unit.to_owned(),
        "range".to_owned(),
        "ours is faster".to_owned(),
        "range".to_owned(),
    ];
    header.extend(memory.then(|| "extra memory".to_owned()));
    let mut rows = vec![header];
    for (number, outcome) in race.outcomes.iter().enumerate() {
        let mut row = vec![outcome.name.to_owned()];
        match (&outcome.result, outcome.time()) {
            (Ok((_, ready)), Some(taken)) => {
                row.push(time(taken.median));
                row.push(spread(taken, time));
                match race.ratio(outcome).filter(|_| number > 0) {
                    Some(ratio) => row.extend([factor(ratio.median), spread(ratio, factor)]),
                    None => row.extend([String::new(), String::new()]),
                }
                row.extend(memory.then(|| ready.extra_bytes.map_or(String::new(), megabytes)));
            }
            (Err(reason), _) => row.push(format!("did not run: {}", shortened(reason))),
            (Ok(_), None) => row.push("did not run: no rounds".to_owned()),
        }
        row.resize(rows[0].len(), String::new());
        rows.push(row);
    }
    table(&rows)
}

/// Reasons are lines of other programs, of any length.
fn shortened(reason: &str) -> String {
    const LONGEST: usize = 200;
    let line: Vec<&str> = reason.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// Every ratio that is wanted, and whether it is reached.
pub(crate) fn targets(races: &[Race]) -> String {
    let header = [
        "work", "against", "measured", "range", "at least", "aim", "",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for race in races {
        for target in &race.work.targets {
            rows.push(of_target(race, target));
        }
        rows.extend(race.work.memory_limit.map(|limit| of_memory(race, limit)));
    }
    table(&rows)
}

fn of_memory(race: &Race, limit: u64) -> Vec<String> {
    let ours = race.outcomes.first();
    let ready = ours.and_then(|ours| ours.result.as_ref().ok());
    let bytes = ready.and_then(|(_, ready)| ready.extra_bytes);
    let verdict = match bytes {
        Some(bytes) if bytes < limit => "met",
        Some(_) => "**missed**",
        None => "not measured",
    };
    vec![
        race.work.title.to_owned(),
        "extra memory".to_owned(),
        bytes.map_or(String::new(), megabytes),
        String::new(),
        format!("under {}", megabytes(limit)),
        String::new(),
        verdict.to_owned(),
    ]
}

fn of_target(race: &Race, target: &Target) -> Vec<String> {
    let measured = race.against(target);
    let mut against = target.against.to_owned();
    if let Some((name, _)) = measured
        && target.contestants.len() > 1
    {
        let _ = write!(against, " ({name})");
    }
    let verdict = match race.verdict(target) {
        Verdict::AimMet => "aim met",
        Verdict::Met => "met",
        Verdict::Missed => "**missed**",
        Verdict::NotMeasured => "not measured",
    };
    let ratio = measured.map(|(_, ratio)| ratio);
    vec![
        race.work.title.to_owned(),
        against,
        ratio.map_or(String::new(), |ratio| factor(ratio.median)),
        ratio.map_or(String::new(), |ratio| spread(ratio, factor)),
        target.at_least.map_or(String::new(), factor),
        factor(target.aim),
        verdict.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::race::tests::race;
    use super::*;

    #[test]
    fn a_contestant_that_fails_keeps_its_row_and_its_reason() {
        let race = race(vec![
            ("ours", Ok(vec![2., 2.])),
            ("peer", Ok(vec![8., 12.])),
            ("better peer", Err("exit status: 1: no\ncompiler | none")),
        ]);
        assert_eq!(
            contestants(&race),
            "\
| some work | a step | range | ours is faster | range |
| --- | ---: | ---: | ---: | ---: |
| ours | 2.00 µs | 2.00 µs to 2.00 µs |  |  |
| peer | 10.0 µs | 8.00 µs to 12.0 µs | 5.00x | 4.00x to 6.00x |
| better peer | did not run: exit status: 1: no compiler \\| none |  |  |  |
"
        );
        assert_eq!(
            targets(&[race]),
            "\
| work | against | measured | range | at least | aim |  |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| some work | the peer at its best (peer) | 5.00x | 4.00x to 6.00x | 2.00x | 4.00x | aim met |
"
        );
    }

    #[test]
    fn memory_is_held_against_its_limit() {
        for (bytes, verdict) in [
            (Some(19_999_999), "| met |"),
            (Some(20_000_000), "| **missed** |"),
            (None, "| not measured |"),
        ] {
            let mut race = race(vec![("ours", Ok(vec![1.]))]);
            race.work.targets.clear();
            race.work.memory_limit = Some(20_000_000);
            if let Ok((_, ready)) = &mut race.outcomes[0].result {
                ready.extra_bytes = bytes;
            }
            let text = targets(&[race]);
            assert!(text.contains("under 20.0 MB"), "{text}");
            assert!(text.trim_end().ends_with(verdict), "{text}");
        }
    }

    #[test]
    fn without_ours_there_are_times_and_no_ratios() {
        let race = race(vec![("ours", Err("broken")), ("peer", Ok(vec![8.]))]);
        let text = contestants(&race);
        assert!(text.contains("| ours | did not run: broken |"), "{text}");
        assert!(
            text.contains("| peer | 8.00 µs | 8.00 µs to 8.00 µs |  |  |"),
            "{text}"
        );
        assert!(targets(&[race]).contains("not measured"));
    }

    #[test]
    fn long_reasons_are_cut() {
        let race = race(vec![("ours", Err(&"é".repeat(500)))]);
        assert!(contestants(&race).chars().count() < 500);
    }

    #[test]
    fn times_have_the_unit_that_keeps_them_short() {
        assert_eq!(time(1.7), "1.70 µs");
        assert_eq!(time(999.), "999 µs");
        assert_eq!(time(33_500.), "33.5 ms");
        assert_eq!(time(2_500_000.), "2.50 s");
    }
}
