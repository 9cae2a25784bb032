//! The view `security`: who is shut out, and who is flagged.

use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Armour, BanDocument, FlagDocument};

/// Who is shut out, and who is flagged.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SecurityDocument {
    /// `healthy`, or `degraded` while somebody is flagged or blocked.
    pub status: &'static str,
    /// When this was written.
    pub timestamp: String,
    /// Who is flagged, the latest first.
    pub abuse_flags: Vec<FlagDocument>,
    /// Who is blocked, the latest first.
    pub blocked_ips: Vec<BanDocument>,
}

impl Armour {
    /// The document of the view.
    pub fn security(&self) -> Bytes {
        let blocked_ips = self.bans_document().bans;
        let abuse_flags = self.flags_document().flags;
        let quiet = blocked_ips.is_empty() && abuse_flags.is_empty();
        let document = SecurityDocument {
            status: if quiet { "healthy" } else { "degraded" },
            timestamp: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            abuse_flags,
            blocked_ips,
        };
        let text = serde_json::to_vec(&document);
        text.expect("every key of the document is a text").into()
    }
}
