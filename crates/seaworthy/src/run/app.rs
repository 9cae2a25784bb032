//! The app's command, ready to be started again and again: each start gets an address of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use seaworthy_core::address::Address;
use seaworthy_lifecycle::spawn::Program;
use seaworthy_lifecycle::supervise::Launch;

use crate::config::Config;
use crate::config::app::Command as Words;
use crate::config::listen::BadBind;
use crate::config::service::Kind;
use crate::failure::Failure;
use crate::launch::{Command, Endpoint, Launcher, Plan, installed, words};

/// Lets Python write the stacks of all threads when it is ended by SIGABRT, as a stalled app is.
const FAULT_HANDLER: &str = "PYTHONFAULTHANDLER";

/// How a command is started.
#[derive(Debug)]
enum AppKind {
    /// As a server behind us.
    Server(Box<Launcher>),
    /// As it is: it listens nowhere.
    Worker(Vec<String>),
}

/// A recognised command with everything a start needs.
#[derive(Debug)]
pub(super) struct App {
    kind: AppKind,
    env: Vec<(OsString, Option<OsString>)>,
    cwd: Option<PathBuf>,
    sockets: PathBuf,
    /// The plan that was announced; the first start must be just that.
    announced: Mutex<Option<Plan>>,
}

/// A host in a variable that is none.
pub(super) fn host_env(error: BadBind) -> Failure {
    Failure::usage(format!("listen.host_env: {error}"))
}

impl App {
    /// Recognises the command of the configuration, if it has one.
    pub(super) fn recognise(
        config: &Config,
        env: &BTreeMap<String, String>,
        state_dir: &Path,
    ) -> anyhow::Result<Option<Self>> {
        let argv = match &config.app.command {
            None => return Ok(None),
            Some(Words::Words(words)) => words.clone(),
            Some(Words::Line(line)) => words::split(line).ok_or_else(|| {
                Failure::usage(
                    "app.command: a quote is not closed; write the command as a list of words"
                        .to_owned(),
                )
            })?,
        };
        let mut own: BTreeMap<String, String> = config
            .app
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect();
        for (name, value) in config.defaults() {
            own.insert(name, value);
        }
        if config.is_judged() && !env.contains_key(FAULT_HANDLER) {
            own.entry(FAULT_HANDLER.to_owned())
                .or_insert_with(|| "1".to_owned());
        }
        let mut seen = env.clone();
        seen.extend(own.clone());
        let path = seen.get("PATH").cloned().unwrap_or_default();
        let kind = match config.service.kind {
            Kind::Worker => AppKind::Worker(argv),
            Kind::Http => {
                let launcher = Launcher::recognise(Command {
                    argv: &argv,
                    env: &seen,
                    port_env: &config.app.port_env,
                    host: config.listen.host(&config.given).map_err(host_env)?,
                    connect: config.app.connect.as_ref(),
                    trusted_proxies: &config.listen.trusted_proxies,
                    installed: &|package, program| installed::version(package, program, &path),
                })
                .map_err(|refusal| Failure::usage(refusal.to_string()))?;
                AppKind::Server(Box::new(launcher))
            }
        };
        Ok(Some(Self {
            kind,
            env: own
                .into_iter()
                .map(|(name, value)| (name.into(), Some(value.into())))
                .collect(),
            cwd: config.app.cwd.clone(),
            sockets: state_dir.join("sockets"),
            announced: Mutex::default(),
        }))
    }

    /// The public address that the command itself names.
    pub(super) fn public(&self) -> Option<SocketAddr> {
        match &self.kind {
            AppKind::Server(launcher) => launcher.public(),
            AppKind::Worker(_) => None,
        }
    }

    /// A sentence for the user when the command names the very address that is ours, in words that the launcher did not
    /// understand and so could not change.
    pub(super) fn claims(&self, ours: SocketAddr) -> Option<String> {
        let plan = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        let named = ours.to_string();
        let claimed = plan
            .argv
            .iter()
            .any(|word| word.rsplit('=').next() == Some(named.as_str()));
        claimed.then(|| {
            format!(
                "the command names {named}, which Seaworthy itself serves: let the app read its port from PORT, or give it \
                 another address and set app.connect to that"
            )
        })
    }

    /// Plans the first start of a server and keeps the plan for it.
    pub(super) fn announce(&self) -> io::Result<Option<Plan>> {
        let AppKind::Server(launcher) = &self.kind else {
            return Ok(None);
        };
        let plan = self.plan(launcher, 0, 1)?;
        *self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(plan.clone());
        Ok(Some(plan))
    }

    fn plan(&self, launcher: &Launcher, instance: usize, generation: u64) -> io::Result<Plan> {
        fs::create_dir_all(&self.sockets)?;
        let name = format!("app-{}-{instance}-{generation}", std::process::id());
        let mut free_port = || {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
                .local_addr()
                .map(|address| address.port())
        };
        launcher.plan(Endpoint {
            sockets: Some(&self.sockets),
            name: &name,
            free_port: &mut free_port,
        })
    }

    /// One start, as the supervisor wants it.
    pub(super) fn launch(&self, instance: usize, generation: u64) -> io::Result<Launch> {
        let launcher = match &self.kind {
            AppKind::Server(launcher) => launcher,
            AppKind::Worker(words) => {
                return Ok(Launch {
                    program: self.program(words.clone(), Vec::new()),
                    address: None,
                });
            }
        };
        let announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let plan = match announced {
            Some(plan) if instance == 0 => plan,
            _ => self.plan(launcher, instance, generation)?,
        };
        if let Address::Unix(path) = &plan.address {
            // A file that a killed server left behind would be taken for a listener that refuses.
            fs::remove_file(path).ok();
        }
        Ok(Launch {
            program: self.program(plan.argv, plan.env),
            address: Some(plan.address),
        })
    }

    fn program(&self, words: Vec<String>, env: Vec<(String, String)>) -> Program {
        let mut words = words.into_iter().map(OsString::from);
        let planned = env.into_iter().map(|(name, value)| {
            // The launcher's way of saying that a variable must not be seen.
            (
                OsString::from(name),
                Some(value)
                    .filter(|value| !value.is_empty())
                    .map(OsString::from),
            )
        });
        Program {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            env: self.env.iter().cloned().chain(planned).collect(),
            cwd: self.cwd.clone(),
            stdin: true,
        }
    }
}
