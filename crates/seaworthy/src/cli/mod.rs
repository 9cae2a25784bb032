//! The command line: what each verb is called and takes, and how the program ends.
//!
//! stdout is data, stderr is talk. Global flags stand on either side of the verb. Exit codes: 0 fine, 1 findings or failure,
//! 2 usage or configuration, 3 what the verb needs could not be reached; `run` adds those of the app. The verbs that talk to a running
//! instance find it by its state folder and change nothing on their own.

mod bench;
mod check;
mod config;
mod ctl;
mod environment;
mod errors;
mod explain;
mod files;
mod fleet;
mod health;
mod init;
mod lint;
mod locate;
mod mock;
mod openapi;
mod output;
mod prestop;
mod run;
mod schema;
mod status;
mod stop;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;

pub use bench::BenchArgs;
pub use check::CheckArgs;
pub use config::{ConfigArgs, options};
pub use ctl::CtlArgs;
pub use errors::ErrorsArgs;
pub use explain::ExplainArgs;
pub use fleet::FleetArgs;
pub use health::HealthArgs;
pub use init::InitArgs;
pub use locate::Which;
pub use mock::MockArgs;
pub use openapi::OpenapiArgs;
pub use prestop::PrestopArgs;
pub use schema::SchemaArgs;
pub use status::StatusArgs;
pub use stop::StopArgs;

/// The exit code of a verb that did what it should, and found nothing amiss.
const FINE: u8 = 0;
/// The exit code of a verb that reports, and whose report has something amiss.
const FINDINGS: u8 = 1;

/// Makes any service fit for production.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "seaworthy",
    version,
    after_help = "Begin with:  seaworthy run -- uvicorn app:app"
)]
pub struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes, before or behind it.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Configuration file [default: seaworthy.yaml here or in a parent folder]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Report as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Run a service behind its hardening
    Run(RunArgs),
    /// Write a short configuration file for the project in this folder
    Init(InitArgs),
    /// Serve a small upstream for trying things out
    Mock(MockArgs),
    /// Show how the running instance is
    Status(StatusArgs),
    /// Show what the running instance depends on, and whether it works
    Health(HealthArgs),
    /// Show what went wrong lately, by service
    Errors(ErrorsArgs),
    /// Look for what would break in production, and say how to mend it
    Check(CheckArgs),
    /// Ask a URL many times, and hold what comes back against what was expected
    Bench(BenchArgs),
    /// Steer the running instance
    Ctl(CtlArgs),
    /// Shut the running instance down
    Stop(StopArgs),
    /// Take the running instance out of service, for a container's preStop hook
    Prestop(PrestopArgs),
    /// Explain an error type, or list them all
    Explain(ExplainArgs),
    /// Check and show the configuration
    Config(ConfigArgs),
    /// Look at all instances that follow a registry
    Fleet(FleetArgs),
    /// Show what answers look like, and check one
    Schema(SchemaArgs),
    /// Print which paths are answered, as OpenAPI
    Openapi(OpenapiArgs),
}

const RUN_EXAMPLES: &str = "\
Examples:
  seaworthy run -- uvicorn app:app
  seaworthy run --listen 0.0.0.0:8080 --set shutdown.grace=20s -- gunicorn shop.wsgi
  seaworthy run --connect 127.0.0.1:9000      in front of what something else starts";

/// Arguments of `run`. Values are texts: the configuration reads them as its last layer and says where they are wrong.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// Begin with a preset: scry, kronos, house, soma or harvester
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Public address [default: what the command names, else $PORT, else 0.0.0.0:8000]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Admin address, `HOST:PORT`, `unix:PATH` or `off` [default: 127.0.0.1:9900]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
    /// Where the app listens, when it is not Seaworthy that says so
    #[arg(long, value_name = "ADDR")]
    pub connect: Option<String>,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<String>,
    /// Set any key of the configuration, as in `shutdown.grace=20s`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
    /// Let $SEAWORTHY_TIME_SCALE make the time of limits, bans and breakers run faster, for tests
    #[arg(long, hide = true)]
    pub allow_time_scale: bool,
    /// The app's command
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, as in shutdown.grace=20s".to_owned()),
    }
}

/// Reads the program's arguments, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    main_from(std::env::args_os())
}

fn main_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; a closed stdout is no reason to fail.
            error.print().ok();
            if let Some(command) = with_dashes(&error, &args) {
                output::talk(&format!(
                    "\nthe app's command stands behind `--`: {command}"
                ));
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let Cli { global, verb } = cli;
    let done = match verb {
        Verb::Run(args) => run::execute(&global, &args),
        verb => execute(&global, verb),
    };
    done.map_or_else(|error| report(&global, &error), ExitCode::from)
}

/// What `run uvicorn app:app` was meant to be.
fn with_dashes(error: &clap::Error, args: &[OsString]) -> Option<String> {
    let words: Vec<_> = args
        .iter()
        .skip(1)
        .map(|arg| arg.to_string_lossy())
        .collect();
    let Some(ContextValue::String(odd)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let run = words.iter().position(|word| word == "run")?;
    let at = run + 1 + words[run + 1..].iter().position(|word| word == odd)?;
    if odd.starts_with('-') {
        return None;
    }
    let (flags, command) = words.split_at(at);
    Some(format!(
        "seaworthy {} -- {}",
        flags.join(" "),
        command.join(" ")
    ))
}

/// Gives the exit code: what was found is an answer, not an error.
fn execute(global: &Global, verb: Verb) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match verb {
            Verb::Mock(args) => mock::execute(args).await,
            Verb::Status(args) => status::execute(global, &args).await,
            Verb::Errors(args) => errors::execute(global, &args).await,
            Verb::Ctl(args) => ctl::execute(global, &args).await,
            Verb::Stop(args) => stop::execute(global, &args).await,
            Verb::Prestop(args) => prestop::execute(global, &args).await,
            Verb::Explain(args) => explain::execute(global, &args),
            Verb::Openapi(args) => openapi::execute(global, &args),
            Verb::Config(args) => return config::execute(global, &args).await,
            Verb::Init(args) => return init::execute(global, &args),
            Verb::Fleet(args) => return fleet::execute(global, &args).await,
            Verb::Schema(args) => return schema::execute(global, &args),
            Verb::Bench(args) => return bench::execute(global, args).await,
            Verb::Check(args) => return check::execute(global, &args).await,
            Verb::Health(args) => return health::execute(global, &args).await,
            Verb::Run(_) => unreachable!("run is taken before"),
        }
        .map(|()| FINE)
    })
}

fn report(global: &Global, error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<seaworthy_config::Problems>() {
        return ExitCode::from(config::report(global, problems));
    }
    let code = Failure::code_of(error);
    output::talk(&format!("error: {error:#}"));
    if global.json {
        output::json(
            &serde_json::json!({"error": {"message": format!("{error:#}"), "code": code}}),
        );
    }
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(text: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(text.split(' '))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_on_either_side_of_the_verb() {
        for text in [
            "seaworthy --json -c f.yaml explain",
            "seaworthy explain --json -c f.yaml",
            "seaworthy -c f.yaml explain --json",
        ] {
            let global = parse(text).unwrap().global;
            assert_eq!(
                (global.json, global.config),
                (true, Some(PathBuf::from("f.yaml"))),
                "{text}"
            );
        }
    }

    #[test]
    fn what_stands_behind_the_dashes_is_the_apps() {
        let text = "seaworthy run --set a.b=c=d --threads 2 -- uvicorn app:app --json -c x";
        let Verb::Run(args) = parse(text).unwrap().verb else {
            panic!("not run")
        };
        assert_eq!(args.set, [("a.b".to_owned(), "c=d".to_owned())]);
        assert_eq!(args.command, ["uvicorn", "app:app", "--json", "-c", "x"]);
    }

    #[test]
    fn a_command_without_dashes_is_shown_with_them() {
        let meant = |text: &str| {
            let args: Vec<OsString> = text.split(' ').map(Into::into).collect();
            with_dashes(&parse(text).unwrap_err(), &args)
        };
        assert_eq!(
            meant("seaworthy run --threads 2 uvicorn app:app --reload").as_deref(),
            Some("seaworthy run --threads 2 -- uvicorn app:app --reload")
        );
        assert_eq!(meant("seaworthy run --thread 2"), None);
        assert_eq!(meant("seaworthy sail"), None);
    }

    #[test]
    fn usage_errors_end_with_2() {
        for text in [
            "seaworthy",
            "seaworthy sail",
            "seaworthy run --set x",
            "seaworthy run uvicorn",
            "seaworthy stop --timeout 5",
            // Which of two instances would be meant?
            "seaworthy ctl limits --state-dir /a reset 192.0.2.1",
        ] {
            assert_eq!(parse(text).unwrap_err().exit_code(), 2, "{text}");
        }
        assert_eq!(parse("seaworthy --help").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn the_exit_code_is_that_of_the_error() {
        let failure: anyhow::Error = Failure::usage("no command").into();
        let ended = report(&Global::default(), &failure);
        assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::from(2)));
    }
}
