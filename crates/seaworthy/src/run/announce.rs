//! The first lines on the terminal: what was found, what listens where, what to do next.
//!
//! A person gets a few aligned lines; a machine gets the same facts as events.

use std::fmt::Write as _;
use std::net::SocketAddr;

use seaworthy_core::address::Address;
use seaworthy_core::names::event;

/// What there is to say once everything listens.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// The app listens nowhere.
    pub(super) worker: bool,
    /// The server that was recognised, and where it will listen.
    pub(super) app: Option<(&'static str, &'a Address)>,
    /// The service that something else runs.
    pub(super) remote: Option<&'a Address>,
    /// What was changed in the command.
    pub(super) changes: &'a [String],
    /// The public address.
    pub(super) public: SocketAddr,
    /// Whether it speaks TLS.
    pub(super) secure: bool,
    /// The admin address, if there is one.
    pub(super) admin: Option<&'a Address>,
    /// The admin port is not the usual one because that was taken.
    pub(super) admin_moved: bool,
    /// The shutdown budget in one line.
    pub(super) budget: &'a str,
}

impl Facts<'_> {
    fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.public)
    }
}

/// Says it.
pub(super) fn announce(facts: &Facts<'_>, json: bool) {
    if json {
        events(facts);
    } else {
        eprint!("{}", lines(facts));
    }
}

fn events(facts: &Facts<'_>) {
    for change in facts.changes {
        tracing::info!(event = event::APP_COMMAND_CHANGED, message = %change);
    }
    let url = facts.url();
    tracing::info!(
        event = event::LISTENER_OPENED,
        public = %facts.public,
        tls = facts.secure,
        admin = facts.admin.map(tracing::field::display),
        app = facts.app.map(|(server, _)| server),
        address = facts.app.map(|(_, address)| address).or(facts.remote).map(tracing::field::display),
        budget = facts.budget,
        "listening on {url}"
    );
}

fn lines(facts: &Facts<'_>) -> String {
    let mut text = String::new();
    let mut line = |mark: &str, what: &str, words: &str| {
        writeln!(text, "{mark} {what:<8} {words}").expect("a string takes everything");
    };
    if let Some((server, address)) = facts.app {
        // The name that a command goes by which no launcher knows.
        let server = if server == "app" {
            "your command"
        } else {
            server
        };
        line("✓", "app", &format!("{server} → {address}"));
    }
    if facts.worker {
        line("✓", "app", "your command, a worker that takes no requests");
    }
    if let Some(address) = facts.remote {
        line("✓", "app", &format!("{address} (not started by Seaworthy)"));
    }
    for change in facts.changes {
        line(" ", "changed", change);
    }
    line("✓", "public", &facts.url());
    match facts.admin {
        Some(admin) if facts.admin_moved => {
            line(
                "!",
                "admin",
                &format!("{admin} (9900 is taken; --admin ADDR chooses)"),
            );
        }
        Some(admin) => line("✓", "admin", &admin.to_string()),
        None => line(" ", "admin", "off"),
    }
    line(" ", "probes", "/health/live /health/ready /health/startup");
    line(" ", "shutdown", facts.budget);
    line(
        " ",
        "next",
        "seaworthy status · seaworthy config show --origin · Ctrl+C drains and stops",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_what_listens_where_and_what_was_changed() {
        let address = Address::Unix("/run/app.sock".into());
        let text = lines(&Facts {
            worker: false,
            app: Some(("uvicorn", &address)),
            remote: None,
            changes: &["uvicorn: --port 8000 became --uds".to_owned()],
            public: SocketAddr::from(([0, 0, 0, 0], 8000)),
            secure: false,
            admin: None,
            admin_moved: false,
            budget: "5s propagation",
        });
        for part in [
            "uvicorn → unix:/run/app.sock",
            "--port 8000 became --uds",
            "http://0.0.0.0:8000",
            "5s propagation",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
