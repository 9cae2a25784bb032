//! `seaworthy ctl flags`: the feature flags, as they hold now.

use clap::Args;
use hyper::Method;

use super::{TIMEOUT, percent_encoded, table};
use crate::cli::locate::{self, Which};
use crate::cli::{Global, output};

/// Which flags are shown.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// Say for each whether it is on for this principal, address or request id
    #[arg(long = "for", value_name = "KEY")]
    pub key: Option<String>,
}

pub(super) async fn execute(global: &Global, flags: &Flags) -> anyhow::Result<()> {
    let found = locate::find(&flags.which)?;
    let path = match &flags.key {
        Some(key) => format!("/-/flags?key={}", percent_encoded(key)),
        None => "/-/flags".to_owned(),
    };
    let answer = found.ask(Method::GET, &path, TIMEOUT).await?;
    if global.json {
        output::json(&answer);
    } else {
        let columns = ["name", "value", "by", "env", "on"];
        let shown = if flags.key.is_some() { 5 } else { 4 };
        output::data(&table(
            &answer["flags"],
            &columns[..shown],
            "there are no flags",
        ));
    }
    Ok(())
}
