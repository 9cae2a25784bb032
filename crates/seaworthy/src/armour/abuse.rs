//! The flags as documents, and by hand.

use std::time::Duration;

use schemars::JsonSchema;
use seaworthy_core::abuse::{Flag, Suspect};
use seaworthy_core::clock::Moment;
use serde::Serialize;

use super::Armour;

/// How long a flag by hand stays where no section says how long.
const KEEP: Duration = Duration::from_secs(3_600);

/// One who is flagged.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FlagDocument {
    /// The user, the subject of a token or the address, as far as it is shown.
    pub caller: String,
    /// What vouches for it: `api_key`, `jwt`, `header`; `client` is an address.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// When it was flagged.
    pub first_at: String,
    /// The latest event.
    pub last_at: String,
    /// Events within the window when it was flagged, and all since.
    pub count: u64,
    /// When the flag ends.
    pub seconds_left: u64,
}

/// All who are flagged, the latest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FlagsDocument {
    /// They.
    pub flags: Vec<FlagDocument>,
    /// Callers that are watched.
    pub watched: usize,
    /// Events that were not kept for want of room.
    pub lost: u64,
}

impl Armour {
    /// All who are flagged.
    pub fn flags_document(&self) -> FlagsDocument {
        let now = self.now();
        let flags = self.abuse.flags(now);
        FlagsDocument {
            flags: flags
                .iter()
                .map(|flag| self.flag_document(flag, now))
                .collect(),
            watched: self.abuse.len(),
            lost: self.abuse.lost(),
        }
    }

    /// Flags `id`, and says how that is shown from now on. `None` when there is no room.
    pub fn flag(&self, id: &str, reason: &str, keep: Option<Duration>) -> Option<FlagDocument> {
        let keep = keep
            .or(self.rules().abuse.map(|rules| rules.keep))
            .unwrap_or(KEEP);
        let now = self.now();
        let known = self
            .abuse
            .flags(now)
            .into_iter()
            .find(|flag| *flag.id == *id);
        // Whoever was flagged already keeps what vouches for it; a name that is an address is one.
        let kind = known.map_or_else(|| guess(id), |flag| kind(&flag.kind));
        if !self.abuse.flag(Suspect { kind, id }, reason, keep, now) {
            return None;
        }
        let flags = self.abuse.flags(now);
        let flag = flags.iter().find(|flag| *flag.id == *id)?;
        Some(self.flag_document(flag, now))
    }

    /// Takes the flag of `id` back; `false` when there was none.
    pub fn clear(&self, id: &str) -> bool {
        self.abuse.clear(id, self.now())
    }

    fn flag_document(&self, flag: &Flag, now: Moment) -> FlagDocument {
        FlagDocument {
            caller: self.rules().reveal.name(&flag.id),
            kind: flag.kind.clone().into(),
            reason: flag.reason.clone().into(),
            first_at: self.wall(flag.since),
            last_at: self.wall(flag.last),
            count: flag.count,
            seconds_left: flag.until.since(now).as_secs(),
        }
    }
}

fn guess(id: &str) -> &'static str {
    if id.parse::<std::net::IpAddr>().is_ok() {
        "client"
    } else {
        "header"
    }
}

fn kind(word: &str) -> &'static str {
    use seaworthy_core::principal::Kind;
    let kinds = [Kind::ApiKey, Kind::Token, Kind::Header];
    let found = kinds.into_iter().find(|kind| kind.word() == word);
    found.map_or("client", Kind::word)
}
