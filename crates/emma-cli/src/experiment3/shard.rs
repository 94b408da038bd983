//! A share of an experiment's work, for machines that do not know of each other.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Share `index` of `of`, counted from 0; written `0/8` to `7/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) of: usize,
}

/// More shards are a slip of the finger.
const MOST_SHARDS: usize = 100_000;

impl Shard {
    /// The pieces of work of this share, of so many in all: consecutive ones, as pieces of one seed
    /// have some work in common. Shares differ by one piece at most, and are empty where there are
    /// more shares than pieces.
    pub(crate) fn pieces(self, n_pieces: usize) -> Range<usize> {
        let start = |index: usize| index * n_pieces / self.of;
        start(self.index)..start(self.index + 1)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((index, of)) if index < of && of <= MOST_SHARDS => Ok(Self { index, of }),
            _ => Err(format!(
                "expected I/N, shard I of N counted from 0, such as 0/8 to 7/8; at most {MOST_SHARDS}"
            )),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.of)
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_out_all_pieces_evenly_and_each_once() {
        for (n_pieces, of) in [(80, 10), (80, 7), (3, 5), (1300, 64), (0, 2)] {
            let shares: Vec<_> = (0..of)
                .map(|index| Shard { index, of }.pieces(n_pieces))
                .collect();
            let all: Vec<usize> = shares.iter().cloned().flatten().collect();
            assert_eq!(all, (0..n_pieces).collect::<Vec<_>>());
            let lengths = || shares.iter().map(Range::len);
            assert!(lengths().max().unwrap() - lengths().min().unwrap() <= 1);
        }
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        assert_eq!("7/8".parse(), Ok(Shard { index: 7, of: 8 }));
        for text in [
            "", "1", "8/8", "0/0", "-1/8", "a/8", "1/b", "0/100001", "1/2/3", " 0/2",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
