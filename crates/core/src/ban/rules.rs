//! When somebody is blocked, and for how long.

use std::time::Duration;

use crate::clock::Moment;

/// See the [module documentation](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// So many requests within the window are fine; the next one blocks.
    pub threshold: u32,
    /// The length of the window.
    pub window: Duration,
    /// How long the first block lasts.
    pub block: Duration,
    /// Each further block lasts so many times as long; 1 is always the same.
    pub factor: u32,
    /// But no longer than this.
    pub most: Duration,
    /// How long after its end a block makes the next one longer.
    pub memory: Duration,
}

impl Rules {
    /// How long the block lasts that follows `before` others.
    pub fn length(&self, before: u32) -> Duration {
        let factor = self.factor.max(1).checked_pow(before).unwrap_or(u32::MAX);
        self.block
            .saturating_mul(factor)
            .min(self.most.max(self.block))
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Pass,
    /// It may pass, and was not counted: the table is full.
    Uncounted,
    /// Its sender is blocked until then; `first` for the request that brought it about.
    Blocked {
        /// The end of the block.
        until: Moment,
        /// Whether this request exceeded the threshold.
        first: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_to_their_bound() {
        let mut rules = Rules {
            threshold: 1,
            window: Duration::from_secs(60),
            block: Duration::from_secs(900),
            factor: 1,
            most: Duration::from_secs(86_400),
            memory: Duration::from_secs(3_600),
        };
        assert_eq!(rules.length(7), rules.block);
        rules.factor = 2;
        assert_eq!(rules.length(0), rules.block);
        assert_eq!(rules.length(2), rules.block * 4);
        assert_eq!(rules.length(200), rules.most);
        rules.most = Duration::ZERO;
        assert_eq!(rules.length(3), rules.block, "never shorter than the first");
    }
}
