//! The section `env`: what the app expects in its environment, and what it finds there.
//!
//! The types and their rules are those of [`seaworthy_config::environment`]. A file is checked without its environment, which
//! may be another machine's; what is there is looked at when the app is about to be started, and by `config env`.

use seaworthy_config::environment::{Found, Report};
use seaworthy_config::{Findings, Loaded, Path, Problems};
use seaworthy_health::probe::Variables;

use super::Config;

/// The section.
const SECTION: &str = "env";

impl Config {
    /// What the app expects, held against what it would find.
    #[must_use]
    pub fn environment(&self) -> Report {
        self.env.check(|name| self.given.verbatim(name))
    }

    /// Defaults that the app gets as variables. It does not get those by which Seaworthy listens, because it is Seaworthy
    /// that listens there.
    #[must_use]
    pub fn defaults(&self) -> Vec<(String, String)> {
        let listen = &self.listen;
        let ours = [&listen.host_env, &self.app.port_env];
        let is_ours = |name: &str| ours.iter().any(|names| names.iter().any(|own| own == name));
        let report = self.environment();
        let defaults = report.defaults().filter(|(name, _)| !is_ours(name));
        defaults
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// What the app sees, defaults included.
pub(super) fn with_defaults(config: &Config) -> Variables {
    let given = config.given.iter();
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    given.chain(config.defaults()).collect()
}

/// Says what the app would stumble over in its environment: all of it at once, each at the line that expects it.
///
/// # Errors
/// When something is such that the app must not be started; otherwise warnings come back.
pub fn environment(loaded: &Loaded<Config>) -> Result<Problems, Problems> {
    let report = loaded.value.environment();
    let mut findings = Findings::default();
    for found in report.iter() {
        for error in &found.errors {
            let (path, what) = placed(found, error);
            if found.refuses {
                findings.error(path, what);
            } else {
                findings.warning(path, what);
            }
        }
        for warning in &found.warnings {
            let (path, what) = placed(found, warning);
            findings.warning(path, what);
        }
    }
    let problems = loaded.problems(findings);
    match report.refuses() {
        true => Err(problems),
        false => Ok(problems),
    }
}

/// Where it belongs, and the words without the name.
fn placed(found: &Found, said: &str) -> (Path, String) {
    match said.split_once(": ") {
        Some((name, what)) => (
            Path::from(format!("{SECTION}.{name}").as_str()),
            what.to_owned(),
        ),
        None => (
            Path::root().key(SECTION).key(found.name.as_str()),
            said.to_owned(),
        ),
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    config.env.faults(&Path::root().key(SECTION), findings);
}
