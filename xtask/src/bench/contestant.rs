//! Programs that are measured: started, warmed up, asked for one sample at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Starting includes compiling.
const PATIENCE: Duration = Duration::from_secs(600);
/// A round asks for samples until it has lasted so long, so that short ones do not rest on one.
const ROUND: Duration = Duration::from_millis(300);
/// More samples a round tell nothing new.
const MOST_SAMPLES: usize = 101;
/// How far numbers may lie apart that contestants of the same work agree on: sums in f32, in another order.
const TOLERANCE: f64 = 1e-3;

/// What a contestant says when it is ready.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ready {
    pub(crate) check: Vec<f64>,
    pub(crate) extra_bytes: Option<u64>,
    pub(crate) instruction_set: Option<String>,
}

impl Ready {
    fn parse(line: &str) -> Result<Self, String> {
        let value = parse(line)?;
        let ready = &value["ready"];
        let numbers = ready["check"].as_array();
        let check = numbers.and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
        Ok(Self {
            check: check.ok_or_else(|| format!("expected a line that says ready, got: {line}"))?,
            extra_bytes: ready["extra_bytes"].as_u64(),
            instruction_set: ready["instruction_set"].as_str().map(str::to_owned),
        })
    }

    /// Whether another contestant has done the same work.
    pub(crate) fn agrees_with(&self, other: &Self) -> Result<(), String> {
        let near = |a: &f64, b: &f64| (a - b).abs() <= TOLERANCE * b.abs();
        let pairs = self.check.iter().zip(&other.check);
        if self.check.len() == other.check.len() && pairs.into_iter().all(|(a, b)| near(a, b)) {
            return Ok(());
        }
        Err(format!(
            "other work than ours: its check is {:?}, ours {:?}",
            self.check, other.check
        ))
    }
}

fn parse(line: &str) -> Result<Value, String> {
    serde_json::from_str(line).map_err(|_| format!("expected a line of JSON, got: {line}"))
}

fn microseconds(line: &str) -> Result<f64, String> {
    let number = parse(line)?["microseconds"].as_f64();
    number
        .filter(|number| *number > 0.)
        .ok_or_else(|| format!("expected a positive number of microseconds, got: {line}"))
}

/// A program that runs. Errors are reasons, to be reported beside what the others did.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Receiver<String>,
}

impl Process {
    /// Starts the program and waits until it is ready.
    pub(crate) fn start(command: &mut Command) -> Result<(Self, Ready), String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!("cannot start {}: {error}", command.get_program().display())
            })?;
        let mut process = Self {
            input: child.stdin.take(),
            lines: lines_of(child.stdout.take()),
            complaints: lines_of(child.stderr.take()),
            child,
        };
        let line = process.line()?;
        Ok((process, Ready::parse(&line)?))
    }

    /// The median sample of a round.
    pub(crate) fn round(&mut self) -> Result<f64, String> {
        let start = Instant::now();
        let mut samples = Vec::new();
        while samples.is_empty() || (start.elapsed() < ROUND && samples.len() < MOST_SAMPLES) {
            let asked = self.input.as_mut().map(|input| {
                input.write_all(b"\n")?;
                input.flush()
            });
            if !matches!(asked, Some(Ok(()))) {
                return Err(self.complaint());
            }
            samples.push(microseconds(&self.line()?)?);
        }
        samples.sort_by(f64::total_cmp);
        Ok(samples[samples.len() / 2])
    }

    fn line(&mut self) -> Result<String, String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                Err(format!("no answer for {} s", PATIENCE.as_secs()))
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Err(self.complaint()),
        }
    }

    /// The last that it said on standard error.
    fn complaint(&mut self) -> String {
        drop(self.input.take());
        let status = self.child.wait();
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let last = self
            .complaints
            .iter()
            .filter(|line| !line.trim().is_empty());
        match last.last() {
            Some(line) => format!("{status}: {}", line.trim()),
            None => status,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // At the end of their input they end; one that hangs does not.
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines as they come; a thread of its own keeps the pipe from filling.
fn lines_of(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(stream) = stream {
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const READY: &str = r#"echo '{"ready": {"check": [0.5], "extra_bytes": 7}}'; "#;

    fn started(script: &str) -> (Process, Ready) {
        Process::start(&mut shell(&format!("{READY}{script}"))).expect("it is ready")
    }

    fn refused(script: &str) -> String {
        Process::start(&mut shell(script))
            .err()
            .expect("it is not ready")
    }

    #[test]
    fn a_round_is_the_median_of_its_samples() {
        let (mut process, ready) = started(
            r#"n=0; while read line; do n=$((n % 3 + 1)); sleep 0.02; echo "{\"microseconds\": $n}"; done"#,
        );
        assert_eq!(ready.check, [0.5]);
        assert_eq!(ready.extra_bytes, Some(7));
        let median = process.round().expect("samples");
        assert!((median - 2.).abs() < f64::EPSILON, "{median}");
    }

    #[test]
    fn one_that_fails_before_it_is_ready_says_why() {
        let reason = refused("echo 'Traceback:' >&2; echo 'No module named torch' >&2; exit 1");
        assert!(reason.contains("exit status: 1"), "{reason}");
        assert!(reason.ends_with("No module named torch"), "{reason}");
    }

    #[test]
    fn one_that_fails_in_a_round_says_why() {
        let (mut process, _) = started("read line; echo 'out of memory' >&2; exit 3");
        let reason = process.round().expect_err("it fails");
        assert!(reason.ends_with("out of memory"), "{reason}");
    }

    #[test]
    fn junk_is_quoted() {
        assert!(refused("echo Hello").contains("Hello"));
        assert!(refused("echo '{\"ready\": 1}'").contains("ready"));
        assert!(refused("echo '{\"ready\": {\"check\": [\"a\"]}}'").contains("check"));
        for junk in [
            "3.5",
            "{}",
            r#"{"microseconds": "fast"}"#,
            r#"{"microseconds": -1}"#,
        ] {
            let (mut process, _) = started(&format!("read line; echo '{junk}'; read line"));
            let reason = process.round().expect_err("junk");
            assert!(reason.contains(junk), "{reason}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let reason = Process::start(&mut Command::new("/nowhere/python"))
            .err()
            .expect("it is not there");
        assert!(reason.contains("/nowhere/python"), "{reason}");
    }

    #[test]
    fn other_work_is_told_apart() {
        let of = |check: &[f64]| Ready {
            check: check.to_vec(),
            ..Ready::default()
        };
        assert_eq!(of(&[0.5001]).agrees_with(&of(&[0.5])), Ok(()));
        for other in [&[0.51][..], &[0.5, 0.5], &[], &[f64::NAN]] {
            assert!(of(other).agrees_with(&of(&[0.5])).is_err(), "{other:?}");
        }
    }
}
