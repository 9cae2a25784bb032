//! A bucket's size and refill, and the arithmetic on its one number.
//!
//! With a continuous refill the number is the moment at which the bucket will be full again (the "theoretical arrival time" of
//! the generic cell rate algorithm): a token taken moves it one token's time away, time passing comes nearer by itself, and
//! nothing needs to be written while nobody asks. With a refill at once it is the begin of an interval and what was taken in
//! it. In both, zero is a full bucket that nobody has touched.
//!
//! Rounding is always against the one who takes: the refill may be slower than written by a millionth, never faster.

use std::time::Duration;

use super::{Decision, Standing};
use crate::clock::{Moment, nanos};

/// States never reach this number, which the table uses for itself.
pub(super) const RESERVED: u64 = u64::MAX;

/// Bits of a state that count what an interval has given; the others are its begin in milliseconds, enough for eight years.
const USED_BITS: u32 = 26;
const USED: u64 = (1 << USED_BITS) - 1;
const LAST_BEGIN: u64 = (1 << (64 - USED_BITS)) - 2;
const MILLI: u64 = 1_000_000;

/// A token that takes less time than this is counted in parts of a nanosecond.
const FINE: u64 = 1 << 20;
const FINE_SHIFT: u32 = 6;

/// A bucket may take this long to fill; beyond, the arithmetic could run out of numbers.
const LONGEST: u64 = 20 * 365 * 86_400 * 1_000_000_000;

/// How a bucket fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refill {
    /// Token by token.
    Continuous,
    /// All at once, this long after the first token was taken.
    Interval(Duration),
    /// Not at all.
    Never,
}

/// A bucket's size and refill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    capacity: u64,
    refill: Refill,
    /// With a continuous refill, the time of one token in units of 2^-shift nanoseconds.
    token: u64,
    shift: u32,
    /// The time of all tokens, in the same units.
    room: u64,
}

/// Why there can be no such bucket. The message says what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The time of the rate is zero.
    #[error("a refill over no time at all: name a time, such as `100/min`")]
    NoTime,
    /// The bucket is larger than its state can count.
    #[error("more than {most} tokens at once: write a smaller number, or refill continuously")]
    TooMany {
        /// The most.
        most: u64,
    },
    /// The bucket would take longer to fill than can be counted.
    #[error(
        "it would take more than 20 years to fill: write a smaller capacity or a faster refill"
    )]
    TooSlow,
}

impl Quota {
    /// Whether a state that was written under `other` means something here.
    pub(super) fn reads(&self, other: &Self) -> bool {
        self.refill == other.refill && self.shift == other.shift
    }

    /// `capacity` tokens, of which `count` come back in each `per`, one after the other. A `count` of zero is a bucket that
    /// never fills.
    ///
    /// # Errors
    /// When `per` is zero, or the numbers are out of reach.
    pub fn continuous(capacity: u64, count: u64, per: Duration) -> Result<Self, QuotaError> {
        if per.is_zero() {
            return Err(QuotaError::NoTime);
        }
        if count == 0 || capacity == 0 {
            return Self::never(capacity);
        }
        let coarse = per.as_nanos().div_ceil(u128::from(count));
        let shift = if coarse < u128::from(FINE) {
            FINE_SHIFT
        } else {
            0
        };
        let token = (per.as_nanos() << shift).div_ceil(u128::from(count));
        let room = token
            .checked_mul(u128::from(capacity))
            .and_then(|room| u64::try_from(room).ok())
            .filter(|room| room >> shift <= LONGEST && *room <= u64::MAX / 4)
            .ok_or(QuotaError::TooSlow)?;
        Ok(Self {
            capacity,
            refill: Refill::Continuous,
            token: room / capacity,
            shift,
            room,
        })
    }

    /// `capacity` tokens, all of which come back `per` after the first was taken.
    ///
    /// # Errors
    /// When `per` is less than a millisecond, or the numbers are out of reach.
    pub fn interval(capacity: u64, per: Duration) -> Result<Self, QuotaError> {
        if per < Duration::from_millis(1) {
            return Err(QuotaError::NoTime);
        }
        if nanos(per) > LONGEST {
            return Err(QuotaError::TooSlow);
        }
        Self::counted(capacity, Refill::Interval(per))
    }

    /// `capacity` tokens and no more.
    ///
    /// # Errors
    /// When `capacity` is out of reach.
    pub fn never(capacity: u64) -> Result<Self, QuotaError> {
        Self::counted(capacity, Refill::Never)
    }

    fn counted(capacity: u64, refill: Refill) -> Result<Self, QuotaError> {
        if capacity > USED / 2 {
            return Err(QuotaError::TooMany { most: USED / 2 });
        }
        Ok(Self {
            capacity,
            refill,
            token: 0,
            shift: 0,
            room: 0,
        })
    }

    /// How many tokens a full bucket holds.
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How it fills.
    pub const fn refill(&self) -> Refill {
        self.refill
    }

    /// How long an empty bucket takes to be full; [`Duration::MAX`] when it never is.
    pub fn full_time(&self) -> Duration {
        match self.refill {
            Refill::Continuous => self.time(self.room),
            Refill::Interval(per) => per,
            Refill::Never => Duration::MAX,
        }
    }

    /// Tokens that come back in a second; zero when none ever do.
    #[allow(clippy::cast_precision_loss)]
    pub fn per_second(&self) -> f64 {
        match self.refill {
            Refill::Continuous => {
                let token = self.token as f64 / f64::from(1_u32 << self.shift);
                1e9 / token
            }
            Refill::Interval(per) => self.capacity as f64 / per.as_secs_f64(),
            Refill::Never => 0.0,
        }
    }

    /// One of `parts` equal shares of this, at least one token: what a replica may give alone when it cannot ask the others.
    #[must_use]
    pub fn share(&self, parts: u32) -> Self {
        let parts = u64::from(parts.max(1));
        let capacity = self.capacity.div_ceil(parts);
        let token = self.token.saturating_mul(parts);
        let room = token.saturating_mul(capacity).min(u64::MAX / 4);
        Self {
            capacity,
            token: room.checked_div(capacity).unwrap_or(token),
            room,
            ..*self
        }
    }

    /// Takes `cost` tokens from a bucket. Returns its new state, if that is another one, and the decision.
    pub(super) fn take(&self, state: u64, now: Moment, cost: u64) -> (Option<u64>, Decision) {
        match self.refill {
            Refill::Continuous => self.take_gradually(state, now, cost),
            Refill::Interval(_) | Refill::Never => self.take_counted(state, now, cost),
        }
    }

    /// Takes `cost` tokens that may not be there: what was used already has to be paid for.
    pub(super) fn charge(&self, state: u64, now: Moment, cost: u64) -> u64 {
        if self.token > 0 {
            let full_at = state.max(self.units(now));
            let later = full_at.saturating_add(cost.saturating_mul(self.token));
            return later.min(RESERVED - 1);
        }
        let (begin, used) = self.interval_at(state, now);
        pack(begin, used.saturating_add(cost))
    }

    /// Puts `tokens` back.
    pub(super) fn give_back(&self, state: u64, now: Moment, tokens: u64) -> u64 {
        if self.token > 0 {
            return state.saturating_sub(tokens.saturating_mul(self.token));
        }
        let (begin, used) = self.interval_at(state, now);
        pack(begin, used.saturating_sub(tokens))
    }

    /// How a bucket stands.
    pub(super) fn standing(&self, state: u64, now: Moment) -> Standing {
        if self.token > 0 {
            let now = self.units(now);
            return self.gradual(state.max(now) - now);
        }
        let (begin, used) = self.interval_at(state, now);
        self.counted_standing(begin, used, now)
    }

    /// How many tokens are missing from a bucket, those that are owed included.
    pub(super) fn missing(&self, state: u64, now: Moment) -> u64 {
        if self.token > 0 {
            let now = self.units(now);
            return (state.max(now) - now).div_ceil(self.token);
        }
        self.interval_at(state, now).1
    }

    /// Whether a bucket is full, so that forgetting it changes nothing.
    pub(super) fn is_full(&self, state: u64, now: Moment) -> bool {
        if self.token > 0 {
            state <= self.units(now)
        } else {
            self.interval_at(state, now).1 == 0
        }
    }

    fn take_gradually(&self, state: u64, now: Moment, cost: u64) -> (Option<u64>, Decision) {
        let now = self.units(now);
        let ahead = state.max(now) - now;
        let price = cost.saturating_mul(self.token);
        let after = ahead.saturating_add(price);
        if after <= self.room {
            let decision = Decision::Taken(self.gradual(after));
            return (Some((now + after).min(RESERVED - 1)), decision);
        }
        let decision = Decision::Refused {
            standing: self.gradual(ahead),
            retry_after: (cost <= self.capacity).then(|| self.time(after - self.room)),
        };
        (None, decision)
    }

    /// How a bucket stands that will be full in `ahead`.
    fn gradual(&self, ahead: u64) -> Standing {
        Standing {
            remaining: self.room.saturating_sub(ahead) / self.token,
            full_in: self.time(ahead),
        }
    }

    fn take_counted(&self, state: u64, now: Moment, cost: u64) -> (Option<u64>, Decision) {
        let (begin, used) = self.interval_at(state, now);
        let after = used.saturating_add(cost);
        if after <= self.capacity {
            let decision = Decision::Taken(self.counted_standing(begin, after, now));
            return (Some(pack(begin, after)), decision);
        }
        let reachable = cost <= self.capacity;
        let decision = Decision::Refused {
            standing: self.counted_standing(begin, used, now),
            retry_after: reachable
                .then(|| self.wait(begin, after - self.capacity, now))
                .flatten(),
        };
        (None, decision)
    }

    fn counted_standing(&self, begin: u64, used: u64, now: Moment) -> Standing {
        let full_in = match used {
            0 => Some(Duration::ZERO),
            used => self.wait(begin, used, now),
        };
        Standing {
            remaining: self.capacity.saturating_sub(used),
            full_in: full_in.unwrap_or(Duration::MAX),
        }
    }

    /// How long until `tokens` have come back to a bucket whose interval began at `begin`.
    fn wait(&self, begin: u64, tokens: u64, now: Moment) -> Option<Duration> {
        let Refill::Interval(per) = self.refill else {
            return None;
        };
        let intervals = tokens.div_ceil(self.capacity.max(1));
        let at = begin
            .saturating_mul(MILLI)
            .saturating_add(intervals.saturating_mul(nanos(per)));
        Some(Duration::from_nanos(at.saturating_sub(now.0)))
    }

    /// The interval that a bucket is in, and what was taken in it. What is owed is carried over.
    fn interval_at(&self, state: u64, now: Moment) -> (u64, u64) {
        let (mut begin, mut used) = (state >> USED_BITS, state & USED);
        if let Refill::Interval(per) = self.refill {
            let per = nanos(per).div_ceil(MILLI);
            let over = (now.0 / MILLI).saturating_sub(begin) / per;
            used = used.saturating_sub(over.saturating_mul(self.capacity));
            begin += over * per;
        }
        if used == 0 {
            // Never before it was: an interval is at least as long as written.
            begin = now.0.div_ceil(MILLI);
        }
        (begin, used)
    }

    fn units(&self, now: Moment) -> u64 {
        now.0.saturating_mul(1 << self.shift).min(RESERVED / 2)
    }

    fn time(&self, units: u64) -> Duration {
        Duration::from_nanos(units.div_ceil(1 << self.shift))
    }
}

fn pack(begin: u64, used: u64) -> u64 {
    begin.min(LAST_BEGIN) << USED_BITS | used.min(USED)
}
