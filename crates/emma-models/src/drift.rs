//! Watching a stream of rows: do the energies still come from where the clean rows came from?

use rand::Rng;
use serde::Serialize;

use crate::calibration::Calibration;
use crate::error::{Error, Result};

/// Exponents of the bets: small ones win on rare extremes, large ones on slight shifts.
const EXPONENTS: [f64; 6] = [0.05, 0.15, 0.3, 0.5, 0.7, 0.9];

/// Watches the potentials of every mode and alarms when they have left the distribution of the clean rows that a
/// model was calibrated on, upwards (noise, faults, unknown sources) or downwards (a sensor that is stuck).
///
/// # The test
/// The potentials of n clean rows cut the line into n + 1 gaps, each of them one chance (where fewer order statistics
/// are kept, a bin has as many as it has gaps); every row of the stream adds a chance where it fell. The next row is
/// worth the smoothed conformal p-value
/// `p = (chances above its bin + U · chances in its bin) / all chances`,
/// U uniform. As long as clean rows and stream are drawn alike, with potentials that do not repeat, the p-values are
/// independent and uniform, exactly: what the chances describe is a Pólya urn.
/// Bets `ε p^(ε − 1)` on small p, and on small `1 − p`, are then worth 1 on average, and so is their mean over
/// several ε. Each bet's statistic of Shiryaev and Roberts, `R ← (1 + R) · bet`, grows by 1 a row on average; a mode
/// alarms when the mean of its R reaches `rows per false alarm`, times twice the number of modes if there are several.
///
/// # Guarantee
/// Until the first alarm, as long as nothing has changed, it takes `rows per false alarm` rows or more
/// on average, over all modes together: of several modes, which know of each other, any alarms within t rows with a
/// probability of at most t / (2 · rows per false alarm). The average is also one over calibrations: a single one may
/// have drawn odd clean rows. After an alarm the mode begins anew, from the clean rows
/// alone: what has drifted is not learned, and goes on to alarm.
///
/// # Source
/// V. Vovk, I. Nouretdinov and A. Gammerman, "Testing exchangeability on-line" (2003), for the bets; V. Vovk, A. Gammerman and
/// G. Shafer, "Algorithmic learning in a random world" (2005), for the p-values; J. Shin, A. Ramdas and
/// A. Rinaldo, "E-detectors" (2023), for the rate.
#[derive(Debug, Clone)]
pub struct DriftMonitor {
    modes: Vec<ModeMonitor>,
    threshold: f64,
    n_rows: u64,
}

/// A mode whose potentials have drifted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftAlarm {
    /// Row of the stream, from 0, at which the evidence sufficed.
    pub row: u64,
    /// Row from which on the best bet gained: where the drift likely began.
    pub since: u64,
    /// Place of the mode.
    #[serde(skip)]
    pub mode_index: usize,
    /// Where the potentials went.
    pub direction: DriftDirection,
    /// The statistic that was compared with the threshold.
    pub evidence: f64,
}

/// Where potentials went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftDirection {
    /// Higher: less like the clean rows.
    Up,
    /// Lower: more alike than the clean rows are among themselves.
    Down,
}

#[derive(Debug, Clone)]
struct ModeMonitor {
    /// Ascending potentials of clean rows.
    edges: Vec<f32>,
    /// Clean rows in each bin: below the first edge, between two, above the last.
    clean: Vec<u64>,
    urn: Counts,
    bets: Vec<Bet>,
}

/// A bet's fortunes.
#[derive(Debug, Clone)]
struct Bet {
    direction: DriftDirection,
    exponent: f64,
    /// Shiryaev and Roberts's statistic.
    evidence: f64,
    /// Gain since the row that promised most.
    gain: f64,
    since: u64,
}

impl DriftMonitor {
    /// Begins a watch.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if `rows_per_false_alarm` is not at least 1 and finite.
    pub fn new(calibration: &Calibration, rows_per_false_alarm: f64) -> Result<Self> {
        if !(rows_per_false_alarm >= 1. && rows_per_false_alarm.is_finite()) {
            return Err(Error::InvalidSetting {
                name: "rows per false alarm",
                expected: "at least 1 and finite",
                found: rows_per_false_alarm.to_string(),
            });
        }
        let n_modes = calibration.n_modes();
        Ok(Self {
            modes: (0..n_modes)
                .map(|mode| {
                    let (edges, clean) = calibration.bins(mode);
                    ModeMonitor {
                        urn: Counts::new(&clean),
                        edges,
                        clean,
                        bets: bets(),
                    }
                })
                .collect(),
            threshold: rows_per_false_alarm * if n_modes > 1 { 2. * n_modes as f64 } else { 1. },
            n_rows: 0,
        })
    }

    /// Rows seen so far.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// What the evidence of a mode must reach.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Looks at the next row: its potentials, one a mode; NaN for a mode that is missing, which is passed over.
    ///
    /// # Errors
    /// [`Error::ModeCount`].
    pub fn observe(&mut self, potentials: &[f32], rng: &mut impl Rng) -> Result<Vec<DriftAlarm>> {
        if potentials.len() != self.modes.len() {
            return Err(Error::ModeCount {
                expected: self.modes.len(),
                found: potentials.len(),
            });
        }
        let row = self.n_rows;
        self.n_rows += 1;
        let mut alarms = Vec::new();
        for (mode_index, (mode, &potential)) in self.modes.iter_mut().zip(potentials).enumerate() {
            // One draw a mode and row, so that what is missing in one row changes no later one.
            let uniform = 1. - rng.random::<f64>();
            if potential.is_nan() {
                continue;
            }
            let p = mode.p_value(potential, uniform);
            if let Some((direction, since, evidence)) = mode.bet(p, row, self.threshold) {
                mode.urn = Counts::new(&mode.clean);
                mode.bets = bets();
                alarms.push(DriftAlarm {
                    row,
                    since,
                    mode_index,
                    direction,
                    evidence,
                });
            }
        }
        Ok(alarms)
    }
}

fn bets() -> Vec<Bet> {
    let both = [DriftDirection::Up, DriftDirection::Down];
    let of_direction = |direction| {
        EXPONENTS.map(|exponent| Bet {
            direction,
            exponent,
            evidence: 0.,
            gain: 1.,
            since: 0,
        })
    };
    both.into_iter().flat_map(of_direction).collect()
}

impl ModeMonitor {
    /// The smoothed conformal p-value, small for a high potential, and one more row in its bin.
    fn p_value(&mut self, potential: f32, uniform: f64) -> f64 {
        let bin = self.edges.partition_point(|&edge| edge < potential);
        let (above, own, all) = self.urn.above(bin);
        self.urn.add(bin);
        (above as f64 + uniform * own as f64) / all as f64
    }

    /// Places all bets; says which way and since when if the evidence suffices.
    fn bet(&mut self, p: f64, row: u64, threshold: f64) -> Option<(DriftDirection, u64, f64)> {
        // Neither end can be reached exactly; rounding may say otherwise.
        let logs = [p, 1. - p].map(|p| p.max(f64::MIN_POSITIVE).ln());
        for bet in &mut self.bets {
            let log = match bet.direction {
                DriftDirection::Up => logs[0],
                DriftDirection::Down => logs[1],
            };
            let worth = bet.exponent * ((bet.exponent - 1.) * log).exp();
            bet.evidence = ((1. + bet.evidence) * worth).min(f64::MAX);
            if bet.gain <= 1. {
                (bet.gain, bet.since) = (1., row);
            }
            bet.gain = (bet.gain * worth).min(f64::MAX);
        }
        let n_bets = self.bets.len() as f64;
        let evidence = self
            .bets
            .iter()
            .map(|bet| bet.evidence / n_bets)
            .sum::<f64>();
        if evidence < threshold {
            return None;
        }
        let best = self
            .bets
            .iter()
            .max_by(|a, b| a.evidence.total_cmp(&b.evidence))?;
        Some((best.direction, best.since, evidence.min(f64::MAX)))
    }
}

/// Counts of bins whose sums are quickly known: a binary indexed tree (P. M. Fenwick, 1994).
#[derive(Debug, Clone)]
struct Counts {
    of_bin: Vec<u64>,
    sums: Vec<u64>,
    all: u64,
}

impl Counts {
    fn new(counts: &[u64]) -> Self {
        let mut urn = Self {
            of_bin: vec![0; counts.len()],
            sums: vec![0; counts.len() + 1],
            all: 0,
        };
        for (bin, &count) in counts.iter().enumerate() {
            urn.add_many(bin, count);
        }
        urn
    }

    fn add(&mut self, bin: usize) {
        self.add_many(bin, 1);
    }

    fn add_many(&mut self, bin: usize, count: u64) {
        self.of_bin[bin] += count;
        self.all += count;
        let mut place = bin + 1;
        while place < self.sums.len() {
            self.sums[place] += count;
            place += place & place.wrapping_neg();
        }
    }

    /// How many are above a bin, in it, and in all.
    fn above(&self, bin: usize) -> (u64, u64, u64) {
        let mut up_to = 0;
        let mut place = bin + 1;
        while place > 0 {
            up_to += self.sums[place];
            place -= place & place.wrapping_neg();
        }
        (self.all - up_to, self.of_bin[bin], self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    fn normal(rng: &mut impl Rng) -> f32 {
        StandardNormal.sample(rng)
    }

    /// Clean rows of two modes, standard normal.
    fn calibration(n_rows: usize, rng: &mut impl Rng) -> Calibration {
        let rows: Vec<Vec<f32>> = (0..n_rows)
            .map(|_| vec![normal(rng), normal(rng)])
            .collect();
        Calibration::new(&["a", "b"], &rows).expect("finite potentials")
    }

    #[test]
    fn p_values_of_clean_rows_are_uniform_whatever_the_calibration() {
        // Few clean rows in one, thinned ones in the other; 400 streams of 50 rows.
        for n_clean in [7, 20_000] {
            let mut tenths = [0usize; 10];
            let mut rng = emma_testkit::rng(1);
            let n_streams = if n_clean == 7 { 400 } else { 20 };
            for _ in 0..n_streams {
                let calibration = calibration(n_clean, &mut rng);
                let mut monitor = DriftMonitor::new(&calibration, 1e300).expect("a rate");
                for _ in 0..20_000 / n_streams {
                    let (potential, uniform) = (normal(&mut rng), 1. - rng.random::<f64>());
                    let p = monitor.modes[0].p_value(potential, uniform);
                    let tenth = (1..10).filter(|&tenth| p * 10. >= f64::from(tenth)).count();
                    tenths[tenth] += 1;
                }
            }
            // Chi-squared with 9 degrees of freedom: 27.9 has probability 0.001.
            let n: usize = tenths.iter().sum();
            let expected = n as f64 / 10.;
            let squares = tenths
                .iter()
                .map(|&found| (found as f64 - expected).powi(2));
            let chi_squared = squares.sum::<f64>() / expected;
            assert!(chi_squared < 27.9, "{n_clean}: {chi_squared} {tenths:?}");
        }
    }

    #[test]
    fn without_a_drift_alarms_are_as_rare_as_stated() {
        let (n_streams, n_rows) = (300, 500);
        let mut n_alarmed = 0;
        let mut rng = emma_testkit::rng(2);
        for _ in 0..n_streams {
            let calibration = calibration(100, &mut rng);
            let mut monitor = DriftMonitor::new(&calibration, 2500.).expect("a rate");
            let alarmed = (0..n_rows).any(|_| {
                let row = [normal(&mut rng), normal(&mut rng)];
                !monitor
                    .observe(&row, &mut rng)
                    .expect("two modes")
                    .is_empty()
            });
            n_alarmed += usize::from(alarmed);
        }
        // At most 500 / 5,000 of the streams, 30 of 300, on average; 4 standard deviations are 21.
        assert!(n_alarmed <= 30 + 21, "{n_alarmed}");
        assert!(n_alarmed > 0, "a test that never alarms is none");
    }

    #[test]
    fn drifts_of_either_direction_are_found_in_the_mode_that_drifts() {
        let mut rng = emma_testkit::rng(3);
        let calibration = calibration(1000, &mut rng);
        for (shift, direction) in [(1., DriftDirection::Up), (-1., DriftDirection::Down)] {
            let mut monitor = DriftMonitor::new(&calibration, 1e5).expect("a rate");
            let mut first = None;
            for row in 0..2000 {
                let drift = if row < 500 { 0. } else { shift };
                let potentials = [normal(&mut rng), normal(&mut rng) + drift];
                let alarms = monitor.observe(&potentials, &mut rng).expect("two modes");
                first = first.or(alarms.into_iter().next());
            }
            let alarm = first.expect("an alarm");
            assert_eq!((alarm.mode_index, alarm.direction), (1, direction));
            assert!((500..650).contains(&alarm.row), "{alarm:?}");
            assert!((450..=alarm.row).contains(&alarm.since), "{alarm:?}");
            assert!(alarm.evidence >= monitor.threshold());
        }
    }

    #[test]
    fn what_has_drifted_is_not_learned() {
        let mut rng = emma_testkit::rng(4);
        let calibration = calibration(1000, &mut rng);
        let mut monitor = DriftMonitor::new(&calibration, 1e4).expect("a rate");
        let mut last = 0;
        for _ in 0..20_000 {
            let row = [normal(&mut rng) + 2., f32::NAN];
            for alarm in monitor.observe(&row, &mut rng).expect("two modes") {
                assert_eq!(alarm.mode_index, 0);
                last = alarm.row;
            }
        }
        assert!(last > 19_800, "{last}");
    }

    #[test]
    fn other_modes_and_rates_are_refused() {
        let mut rng = emma_testkit::rng(5);
        let calibration = calibration(10, &mut rng);
        for rate in [0., f64::NAN, f64::INFINITY] {
            assert!(DriftMonitor::new(&calibration, rate).is_err());
        }
        let mut monitor = DriftMonitor::new(&calibration, 10.).expect("a rate");
        let error = monitor.observe(&[1.], &mut rng).unwrap_err();
        assert_eq!(error.to_string(), "expected 2 modes, got 1");
    }
}
