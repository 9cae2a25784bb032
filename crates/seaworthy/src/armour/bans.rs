//! The bans as documents, and by hand.

use jiff::Timestamp;
use schemars::JsonSchema;
use seaworthy_core::ban::{Ban, Cause, Target};
use seaworthy_core::clock::Moment;
use seaworthy_http::reveal::Reveal;
use serde::Serialize;

use super::Armour;

/// One who is shut out.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BanDocument {
    /// The address or network, as far as it is shown.
    pub address: String,
    /// Why.
    pub reason: String,
    /// When the block ends.
    pub expires_at: String,
    /// How long that is from now.
    pub seconds_left: u64,
    /// How often it was blocked lately, this time included.
    pub times: u32,
}

/// All who are shut out, the latest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BansDocument {
    /// They.
    pub bans: Vec<BanDocument>,
    /// Addresses that are counted or blocked.
    pub addresses: usize,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that were let through uncounted for want of room.
    pub uncounted: u64,
}

impl Armour {
    /// All who are shut out.
    pub fn bans_document(&self) -> BansDocument {
        let now = self.now();
        let bans = self.bans.bans(now);
        BansDocument {
            bans: bans.iter().map(|ban| self.ban_document(ban, now)).collect(),
            addresses: self.bans.len(),
            refused: self.bans.refused(),
            uncounted: self.bans.uncounted(),
        }
    }

    /// Shuts `target` out, and says how that is shown from now on. `None` when there is no room.
    pub fn ban(
        &self,
        target: Target,
        time: std::time::Duration,
        reason: &str,
    ) -> Option<BanDocument> {
        let now = self.now();
        if !self.bans.ban(target, time, Cause::Hand(reason.into()), now) {
            return None;
        }
        let bans = self.bans.bans(now);
        let ban = bans.iter().find(|ban| ban.target == target)?;
        Some(self.ban_document(ban, now))
    }

    /// Lets `target` in again; `false` when it was not shut out.
    pub fn unban(&self, target: Target) -> bool {
        self.bans.unban(target, self.now())
    }

    /// How a target is shown.
    pub fn shown(&self, target: Target) -> String {
        match (target, self.rules().reveal) {
            (Target::Address(_), Reveal::Raw) | (Target::Network(_), _) => target.to_string(),
            (Target::Address(address), reveal) => reveal.address(address),
        }
    }

    fn ban_document(&self, ban: &Ban, now: Moment) -> BanDocument {
        let left = ban.until.since(now);
        BanDocument {
            address: self.shown(ban.target),
            reason: ban.cause.words().to_owned(),
            expires_at: self.wall(ban.until),
            seconds_left: left.as_secs() + u64::from(left.subsec_nanos() > 0),
            times: ban.times,
        }
    }

    /// What the clock on the wall will show, or has shown, at `moment`.
    pub(super) fn wall(&self, moment: Moment) -> String {
        let now = self.now();
        let wall = Timestamp::now();
        let shown = if moment >= now {
            wall.checked_add(self.clock.real(moment.since(now)))
        } else {
            wall.checked_sub(self.clock.real(now.since(moment)))
        };
        let shown = shown.unwrap_or(Timestamp::MAX);
        shown.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}
