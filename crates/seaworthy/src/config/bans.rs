//! The sections `bans`, `abuse` and `security`: who is shut out or flagged, and how much of them is shown.

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::abuse::{self, Event};
use seaworthy_core::ban;
use seaworthy_core::quantity::Duration;
use seaworthy_core::route::RouteTable;
use seaworthy_core::window;
use seaworthy_http::reveal::Reveal;
use seaworthy_telemetry::access::Shown;
use serde::{Deserialize, Serialize};

use super::Config;
use super::rates::StoreKind;

/// Addresses that ask too often are shut out for a while. Views, such as probes, are never counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bans {
    /// So many requests of one address within the window are fine; the next one blocks it. Addresses of one IPv6 /64 are one.
    /// Default 1000.
    #[schemars(range(min = 1, max = 100_000))]
    pub threshold: u32,
    /// The length of the window, which slides. Default `60s`.
    pub window: Duration,
    /// How long the first block lasts. Default `15m`.
    pub block: Duration,
    /// Each further block lasts so many times as long. Default 1, which is always the same.
    #[schemars(range(min = 1, max = 100))]
    pub factor: u32,
    /// But no longer than this. Default `24h`.
    pub max_block: Duration,
    /// How long after its end a block makes the next one longer. Default `24h`.
    pub memory: Duration,
    /// Addresses that are counted at a time; beyond them newcomers pass uncounted. Default 100000.
    #[schemars(range(min = 16, max = 10_000_000))]
    #[schemars(extend("x-restart" = true))]
    pub max_addresses: usize,
    /// Senders of API keys of these tiers are not counted. Default `api_key`, `premium` and `admin`.
    pub exempt_tiers: Vec<String>,
    /// Whether blocks outlive a restart, in `state_dir`. Default `true`.
    #[schemars(extend("x-restart" = true))]
    pub persist: bool,
    /// Where blocks are kept: `memory` of this instance, or `redis`, which instances share; a block of one holds for all within a
    /// second or so. Each goes on alone while Redis is away. Default `memory`.
    #[schemars(extend("x-restart" = true))]
    pub store: StoreKind,
    /// The key of the blocks in Redis: services that have the same share them. Default `bans`.
    #[schemars(extend("x-restart" = true))]
    pub key: String,
}

impl Default for Bans {
    fn default() -> Self {
        Self {
            threshold: 1_000,
            window: Duration::from_secs(60),
            block: Duration::from_secs(900),
            factor: 1,
            max_block: Duration::from_secs(86_400),
            memory: Duration::from_secs(86_400),
            max_addresses: 100_000,
            exempt_tiers: ["api_key", "premium", "admin"].map(str::to_owned).into(),
            persist: true,
            store: StoreKind::Memory,
            key: "bans".to_owned(),
        }
    }
}

impl Bans {
    /// The rules of this section.
    pub fn rules(&self) -> ban::Rules {
        ban::Rules {
            threshold: self.threshold,
            window: self.window.get(),
            block: self.block.get(),
            factor: self.factor,
            most: self.max_block.get(),
            memory: self.memory.get(),
        }
    }
}

/// Callers that cause what honest ones seldom cause are flagged. A flag blocks nobody unless `block` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Abuse {
    /// So many events of one caller within the window flag it. Default 50.
    #[schemars(range(min = 1, max = 100_000))]
    pub threshold: u32,
    /// The length of the window, which slides. Default `5m`.
    pub window: Duration,
    /// What counts. Default `denied`, `auth_failed`, `validation_failed` and `scanned`.
    pub events: Vec<Kind>,
    /// How long a flag stays. Default `1h`.
    pub keep: Duration,
    /// Whether requests of flagged callers are refused. Default `false`.
    pub block: bool,
    /// Paths that only scanners ask for, written like routes. Default: a few of those that every log is full of.
    pub scanner_paths: Vec<String>,
    /// Callers that are watched at a time. Default 100000.
    #[schemars(range(min = 16, max = 10_000_000))]
    #[schemars(extend("x-restart" = true))]
    pub max_callers: usize,
}

/// What counts towards a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Everything, every request among it.
    All,
    /// A rate limit or a ban refused a request.
    Denied,
    /// There was no valid key, token or permission.
    AuthFailed,
    /// A body was not what was agreed.
    ValidationFailed,
    /// A path was asked for that only scanners ask for.
    Scanned,
}

impl Default for Abuse {
    fn default() -> Self {
        Self {
            threshold: 50,
            window: Duration::from_secs(300),
            events: vec![
                Kind::Denied,
                Kind::AuthFailed,
                Kind::ValidationFailed,
                Kind::Scanned,
            ],
            keep: Duration::from_secs(3_600),
            block: false,
            scanner_paths: [
                "/.env*",
                "/.git/*",
                "/.aws/*",
                "/cgi-bin/*",
                "/phpmyadmin*",
                "/wp-admin*",
                "/wp-login.php",
                "/xmlrpc.php",
            ]
            .map(str::to_owned)
            .into(),
            max_callers: 100_000,
        }
    }
}

impl Abuse {
    /// The rules of this section.
    pub fn rules(&self) -> abuse::Rules {
        let events = self.events.iter().map(|kind| match kind {
            Kind::All => abuse::Events::ALL,
            Kind::Denied => abuse::Events::NONE.with(Event::Denied),
            Kind::AuthFailed => abuse::Events::NONE.with(Event::AuthFailed),
            Kind::ValidationFailed => abuse::Events::NONE.with(Event::ValidationFailed),
            Kind::Scanned => abuse::Events::NONE.with(Event::Scanned),
        });
        abuse::Rules {
            events: events.fold(abuse::Events::NONE, abuse::Events::and),
            threshold: self.threshold,
            window: self.window.get(),
            keep: self.keep.get(),
        }
    }
}

/// How much is shown of those who are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// How addresses and callers are shown by the admin API, the view `security` and the log. Default: masked, and the access log
    /// has whole addresses; set, it holds for the access log too.
    pub reveal: Option<Reveal>,
}

impl Security {
    /// How the access log shows clients, where not as they are.
    pub fn in_lines(&self) -> Option<Shown> {
        match self.reveal {
            None | Some(Reveal::Raw) => None,
            Some(Reveal::Masked) => Some(Shown(|address| Reveal::Masked.address(address))),
            Some(Reveal::Hash) => Some(Shown(|address| Reveal::Hash.address(address))),
        }
    }

    /// How somebody is shown to operators.
    pub fn shown(&self) -> Reveal {
        self.reveal.unwrap_or_default()
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let (bans, abuse) = (config.bans.as_ref(), config.abuse.as_ref());
    if let Some(bans) = bans.filter(|bans| bans.store == StoreKind::Redis) {
        shared(bans, config, findings);
    }

    let mut time = |path: &str, time: Duration, longest: Option<std::time::Duration>| {
        if time.is_zero() {
            findings
                .error(path, "no time at all makes the rule pointless")
                .help("write a time such as `60s`");
        } else if longest.is_some_and(|longest| time.get() > longest) {
            findings
                .error(path, format!("{time} is longer than a window can be"))
                .help("write at most `7d`");
        }
    };
    if let Some(bans) = bans {
        time("bans.window", bans.window, Some(window::LONGEST));
        time("bans.block", bans.block, None);
    }
    if let Some(abuse) = abuse {
        time("abuse.window", abuse.window, Some(window::LONGEST));
        time("abuse.keep", abuse.keep, None);
        if let Err(error) = RouteTable::try_new(&abuse.scanner_paths) {
            findings.error("abuse.scanner_paths", error.to_string());
        }
    }
}

fn shared(bans: &Bans, config: &Config, findings: &mut Findings) {
    if config.redis.place(&config.variables).is_none() {
        findings
            .warning(
                "bans.store",
                "nothing says where the Redis is: each instance has bans of its own",
            )
            .related("redis.url")
            .help("write `redis.url`, or set the variable that `redis.env` names");
    }
    if bans.key.is_empty() || bans.key.chars().any(char::is_control) {
        findings
            .error("bans.key", "it is no name of a key")
            .help("write `bans`, or a name of your own for services that share");
    }
}
