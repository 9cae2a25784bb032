//! One server's command line and environment, as its own file reads them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::options;

/// The arguments behind the server's name, and the environment it will get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) server: &'static str,
    pub(super) args: &'a [String],
    pub(super) env: &'a BTreeMap<String, String>,
}

impl Call<'_> {
    /// A variable that is set to something; click and the like take an empty one for unset.
    pub(super) fn env(&self, name: &str) -> Option<&str> {
        self.env
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The value of an option and the words that say it, or the same from a variable.
    pub(super) fn told(&self, names: &[&str], variable: &str) -> Option<(String, String)> {
        if let Some(found) = options::find(self.args, names).pop() {
            let words = self.args[found.at..found.at + found.words].join(" ");
            return Some((found.value, words));
        }
        let value = self.env(variable)?;
        Some((value.to_owned(), format!("{variable}={value}")))
    }

    /// A number of seconds from an option or a variable. What is no number is left for the server to complain about.
    pub(super) fn seconds(&self, names: &[&str], variable: &str, default: u64) -> Duration {
        let told = self
            .told(names, variable)
            .and_then(|(value, _)| value.parse::<f64>().ok());
        told.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(Duration::from_secs(default))
    }
}
