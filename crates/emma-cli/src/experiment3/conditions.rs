//! What is done to the test rows: the conditions of the generalization study.

use emma_data::{Corruption, ModeCorruption, NoiseStd};

use crate::failure::CommandResult;

/// The condition without corruption.
pub(crate) const UNCORRUPTED: &str = "uncorrupted";

/// What stands in the place of a mode where all modes have the fault.
pub(crate) const BOTH: &str = "both";

/// Standard deviations of the Gaussian noise.
pub(crate) const NOISE_LEVELS: [f64; 7] = [0.25, 0.5, 1., 1.5, 2., 3., 4.];

/// The other faults, one mode at a time.
pub(crate) const FAULTS: [&str; 5] = ["missing", "offset:2", "drop:0.5", "student_t:0.5", "swap"];

/// A condition: what happens to every test row, after standardization.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    /// `uncorrupted`, a corruption of a mode as `emma data corruptions` writes them, or
    /// `both:noise:S`.
    pub(crate) name: String,
    /// Done in this order; empty for `uncorrupted`.
    pub(crate) corruptions: Vec<ModeCorruption>,
}

impl Condition {
    /// All of them, in the order of tables: 32 for two modes.
    pub(crate) fn all(modes: &[String]) -> CommandResult<Vec<Self>> {
        let mut all = vec![Self {
            name: UNCORRUPTED.into(),
            corruptions: Vec::new(),
        }];
        for mode in modes {
            for level in NOISE_LEVELS {
                all.push(Self::one(mode, noise(level)?)?);
            }
        }
        for level in NOISE_LEVELS {
            let noise = noise(level)?;
            let on = |mode: &String| ModeCorruption::new(mode.as_str(), noise);
            all.push(Self {
                name: noise_name(BOTH, level)?,
                corruptions: modes.iter().map(on).collect::<Result<_, _>>()?,
            });
        }
        for mode in modes {
            for fault in FAULTS {
                all.push(Self::one(mode, fault.parse()?)?);
            }
        }
        Ok(all)
    }

    fn one(mode: &str, corruption: Corruption) -> CommandResult<Self> {
        let corruption = ModeCorruption::new(mode, corruption)?;
        Ok(Self {
            name: corruption.to_string(),
            corruptions: vec![corruption],
        })
    }

    /// The stream of its draws.
    ///
    /// Noise as in training on one mode has had a name of its own since before there were other
    /// conditions.
    pub(crate) fn stream(&self, training_noise: f64) -> String {
        if let [corruption] = &self.corruptions[..]
            && let Corruption::Noise(level) = corruption.corruption()
            && level.get().to_bits() == training_noise.to_bits()
        {
            return format!("test noise on {}", corruption.mode());
        }
        format!("test {}", self.name)
    }
}

fn noise(level: f64) -> CommandResult<Corruption> {
    Ok(Corruption::Noise(NoiseStd::new(level)?))
}

/// The name of the condition of Gaussian noise on a mode, or on all ([`BOTH`]).
pub(crate) fn noise_name(place: &str, level: f64) -> CommandResult<String> {
    Ok(format!("{place}:{}", noise(level)?))
}

/// Each mode with the condition that its name alone stands for: noise as in training.
pub(crate) fn short_names(
    modes: &[String],
    training_noise: f64,
) -> CommandResult<Vec<(String, String)>> {
    let long = |mode: &String| Ok((mode.clone(), noise_name(mode, training_noise)?));
    modes.iter().map(long).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes() -> Vec<String> {
        vec!["ip".into(), "dm".into()]
    }

    #[test]
    fn two_modes_have_the_32_conditions_of_the_study() {
        let names: Vec<String> = Condition::all(&modes())
            .unwrap()
            .into_iter()
            .map(|condition| condition.name)
            .collect();
        let expected = "uncorrupted \
            ip:noise:0.25 ip:noise:0.5 ip:noise:1 ip:noise:1.5 ip:noise:2 ip:noise:3 ip:noise:4 \
            dm:noise:0.25 dm:noise:0.5 dm:noise:1 dm:noise:1.5 dm:noise:2 dm:noise:3 dm:noise:4 \
            both:noise:0.25 both:noise:0.5 both:noise:1 both:noise:1.5 both:noise:2 both:noise:3 \
            both:noise:4 \
            ip:missing ip:offset:2 ip:drop:0.5 ip:student_t:0.5 ip:swap \
            dm:missing dm:offset:2 dm:drop:0.5 dm:student_t:0.5 dm:swap";
        assert_eq!(names.join(" "), expected);
        assert_eq!(names.len(), 32);
        assert_eq!(
            short_names(&modes(), 0.5).unwrap(),
            [
                ("ip".into(), "ip:noise:0.5".into()),
                ("dm".into(), "dm:noise:0.5".into())
            ]
        );
    }

    #[test]
    fn every_condition_has_a_stream_of_its_own() {
        let all = Condition::all(&modes()).unwrap();
        let mut streams: Vec<String> = all.iter().map(|one| one.stream(0.5)).collect();
        assert_eq!(streams[2], "test noise on ip");
        assert_eq!(streams[16], "test both:noise:0.5");
        streams.sort();
        streams.dedup();
        assert_eq!(streams.len(), all.len());
    }
}
