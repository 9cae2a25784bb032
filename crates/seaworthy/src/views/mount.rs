//! Which paths a configuration mounts: the canonical ones, unless the file maps them to something else, and the file's.

use seaworthy_health::{Ask, View};

use super::{Entry, Mode as Answers};
use crate::config::endpoints::{Allow, Listener, Mode};
use crate::config::{Config, Endpoint};

/// The paths of one listener.
pub fn mounted(config: &Config, listener: Listener) -> Vec<Entry> {
    let mut entries: Vec<Entry> = config
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.listen == listener && endpoint.mode() != Mode::Pass)
        .map(|endpoint| entry(config, endpoint))
        .collect();
    let mut canonical = vec![
        ("/health/live", View::Live),
        ("/health/ready", View::Ready),
        ("/health/startup", View::Startup),
    ];
    if listener == Listener::Admin {
        canonical.extend([
            ("/health", View::Detailed),
            ("/health/detailed", View::Detailed),
            ("/health/summary", View::Summary),
            ("/health/security", View::Security),
        ]);
        if config.metrics.enabled {
            canonical.push(("/metrics", View::Metrics));
        }
    }
    for (path, view) in canonical {
        let mapped = config
            .endpoints
            .iter()
            .any(|endpoint| endpoint.listen == listener && endpoint.path == path);
        if !mapped {
            let answers = if view == View::Metrics {
                Answers::Merge
            } else {
                Answers::Own
            };
            let ask = Ask {
                case: config.health.case,
                outside: listener == Listener::Public,
                ..Ask::view(view)
            };
            entries.push(Entry {
                path: path.to_owned(),
                ask,
                loopback_only: false,
                answers,
            });
        }
    }
    entries
}

fn entry(config: &Config, endpoint: &Endpoint) -> Entry {
    Entry {
        path: endpoint.path.clone(),
        ask: Ask {
            format: endpoint.format,
            case: config.health.case,
            outside: !endpoint.detail(),
            ..Ask::view(endpoint.view)
        },
        loopback_only: endpoint.allow.contains(&Allow::Loopback),
        answers: if endpoint.mode() == Mode::Merge {
            Answers::Merge
        } else {
            Answers::Own
        },
    }
}
