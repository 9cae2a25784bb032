//! Who takes a version first.
//!
//! Instances are ordered by a hash of their name and the environment, so everybody who counts them gets the same cohorts, a larger
//! stage has everybody of the smaller ones, and the order says nothing of where an instance runs.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

/// How many take a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// So many instances.
    Count(u32),
    /// So many of a hundred, one at least.
    Percent(u8),
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no stage; write how many instances, as in `1`, or a share, as in `25%`"
            )
        };
        let text = text.trim();
        let stage = match text.strip_suffix('%') {
            Some(share) => share.trim_end().parse().ok().map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        let stage = stage.ok_or_else(wrong)?;
        match stage {
            Self::Count(1..) | Self::Percent(1..=100) => Ok(stage),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl Stage {
    /// How many of `all` these are.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        let some = match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Percent(share) => (all * usize::from(share)).div_ceil(100),
        };
        some.clamp(1, all.max(1))
    }
}

/// The instances of a stage.
#[must_use]
pub fn cohort(environment: &str, instances: &[String], stage: Stage) -> Vec<String> {
    let mut order: Vec<_> = instances
        .iter()
        .map(|instance| {
            let name = format!("{environment}\n{instance}");
            (digest(&SHA256, name.as_bytes()).as_ref().to_vec(), instance)
        })
        .collect();
    order.sort();
    order.dedup();
    let first = order.into_iter().take(stage.of(instances.len()));
    first.map(|(_, instance)| instance.clone()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stages_are_read_and_refused() {
        assert_eq!("1".parse(), Ok(Stage::Count(1)));
        assert_eq!(" 25% ".parse(), Ok(Stage::Percent(25)));
        for wrong in ["0", "0%", "101%", "-1", "", "%", "all"] {
            assert!(wrong.parse::<Stage>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_larger_stage_has_everybody_of_a_smaller_one(
            names in prop::collection::hash_set("[a-z]{1,9}", 1..40),
            small in 1u8..=100,
            more in 0u8..=100,
        ) {
            let mut names: Vec<String> = names.into_iter().collect();
            let large = Stage::Percent(small.saturating_add(more).min(100));
            let first = cohort("production", &names, Stage::Percent(small));
            let more = cohort("production", &names, large);
            prop_assert!(!first.is_empty() && more.starts_with(&first));
            names.reverse();
            prop_assert_eq!(cohort("production", &names, Stage::Percent(small)), first);
            prop_assert_eq!(cohort("production", &names, Stage::Percent(100)).len(), names.len());
        }
    }
}
