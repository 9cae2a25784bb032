//! `seaworthy run`: from a configuration to a serving process, and back to none.
//!
//! One road: load -> bind -> build -> start workers -> start the app -> serve until told to stop -> shut down. The public port
//! is bound first, so that a taken one is found before anything is started, and closed last.

mod announce;
mod boot;
mod plane;

use std::collections::BTreeMap;
use std::io::IsTerminal;

use anyhow::Context;

use crate::cli::{Global, RunArgs};
use crate::config::{Config, Options};

/// Runs until the service has stopped. The result is the exit code.
///
/// # Errors
/// When the service cannot be started.
pub fn execute(global: &Global, args: RunArgs) -> anyhow::Result<u8> {
    let cwd = std::env::current_dir().context("cannot tell the current folder")?;
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let options = Options {
        file: global.config.clone(),
        cwd,
        env: env.clone(),
        set: args.set.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        preset: args.preset,
        listen: args.listen,
        admin: args.admin,
        connect: args.connect,
        threads: args.threads,
        command: args.command,
    };
    let loaded = match Config::load(&options) {
        Ok(loaded) => loaded,
        Err(problems) => {
            report(&problems, global.json);
            return Ok(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(boot::run(loaded, env))
}

fn report(problems: &seaworthy_config::Problems, json: bool) {
    if json {
        eprintln!("{}", problems.to_json());
    } else {
        eprint!("{}", problems.render(std::io::stderr().is_terminal()));
    }
}
