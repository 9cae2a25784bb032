//! Recognises the server in the app's command and moves it behind Seaworthy.
//!
//! Seaworthy owns the public port, so the server must listen elsewhere: on a unix socket where it can, else on a loopback
//! port. [`Launcher::recognise`] looks once, [`Launcher::plan`] is asked before every start, because each start gets a fresh
//! address. Pure: it reads no file, no environment and no clock of its own; [`installed`] is the one look at the disk, handed
//! in by the caller. Every change is one sentence for the user; what the user set is not lowered in silence.
//!
//! It does not look into shell strings, config files of servers, or programs that take their port from anything but `PORT`.

mod call;
mod edit;
mod fastapi;
mod flask;
mod granian;
mod gunicorn;
mod http_server;
mod hypercorn;
pub mod installed;
mod named;
mod options;
mod port;
mod refusal;
mod server;
#[cfg(test)]
mod tests;
mod trust;
mod uvicorn;
pub mod words;
mod wrapper;

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use seaworthy_core::address::Address;

use call::Call;
use edit::Edit;
pub use refusal::Refusal;
use server::{Server, Told, Wish};
use wrapper::Seen;

/// The longest socket path that every kernel here takes.
const LONGEST_SOCKET_PATH: usize = 103;

/// In this order each is asked whether the command is its own; the last one always says yes.
const SERVERS: &[&dyn Server] = &[
    &uvicorn::Uvicorn,
    &gunicorn::Gunicorn,
    &hypercorn::Hypercorn,
    &granian::Granian,
    &fastapi::Fastapi,
    &flask::Flask,
    &http_server::HttpServer,
    &port::Node,
    &port::Generic,
];

/// Answers which major and minor version of a Python package a program runs with, see [`installed::version`].
pub type Installed<'a> = dyn Fn(&str, &str) -> Option<(u32, u32)> + 'a;

/// What to launch, and what the configuration says about it.
#[derive(Clone, Copy)]
pub struct Command<'a> {
    /// The words of the command.
    pub argv: &'a [String],
    /// The environment the app will get before any change: ours, overlaid with `app.env`.
    pub env: &'a BTreeMap<String, String>,
    /// Names of variables that carry the public port, `app.port_env`.
    pub port_env: &'a [String],
    /// Where to listen when only the port is known.
    pub host: Option<IpAddr>,
    /// Where the app listens by the user's own word, `app.connect`; the command is then left as it is.
    pub connect: Option<&'a Address>,
    /// Proxies in front of Seaworthy as addresses or networks, from `listen.trusted_proxies`.
    pub trusted_proxies: &'a [String],
    /// Tells versions of Python packages apart; asked about granian only.
    pub installed: &'a Installed<'a>,
}

impl Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("argv", &self.argv)
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}

/// Where one start of the app may listen.
pub struct Endpoint<'a> {
    /// The folder for unix sockets; `None` keeps the app on TCP.
    pub sockets: Option<&'a Path>,
    /// The socket's file name without `.sock`; unlike that of any other start.
    pub name: &'a str,
    /// Supplies a free loopback port; asked only when one is needed.
    pub free_port: &'a mut dyn FnMut() -> io::Result<u16>,
}

impl Debug for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("sockets", &self.sockets)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One start of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The words to execute.
    pub argv: Vec<String>,
    /// Variables to set over [`Command::env`]; an empty value stands for one that must not be seen.
    pub env: Vec<(String, String)>,
    /// Where it will listen.
    pub address: Address,
    /// What Seaworthy listens on when neither a flag nor the file says so, see [`Launcher::public`].
    pub public: Option<SocketAddr>,
    /// How long the server keeps an idle connection; the pool must let go earlier.
    pub keep_alive: Duration,
    /// The most connections the pool may open before the server itself turns requests away.
    pub max_connections: Option<u32>,
    /// The server's name, `app` when it is not known.
    pub server: &'static str,
    /// What was changed, one sentence each.
    pub changes: Vec<Change>,
}

/// One sentence about something that Seaworthy changed in the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change(String);

impl Change {
    fn new(text: String) -> Self {
        Self(text)
    }

    /// The sentence.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A recognised command, ready to be planned for each start.
#[derive(Debug)]
pub struct Launcher {
    argv: Vec<String>,
    seen: Seen,
    env: BTreeMap<String, String>,
    port_env: Vec<String>,
    connect: Option<Address>,
    trusted_proxies: Vec<String>,
    server: &'static dyn Server,
    told: Told,
    unix: bool,
    public: Option<SocketAddr>,
}

impl Launcher {
    /// Looks at the command once.
    ///
    /// # Errors
    /// When the command is empty or tells the server something that cannot work behind Seaworthy.
    pub fn recognise(command: Command<'_>) -> Result<Self, Refusal> {
        if command.argv.is_empty() {
            return Err(Refusal::Empty);
        }
        let seen = wrapper::see(command.argv);
        let env = seen.environment(command.argv, command.env);
        let args = &command.argv[seen.at + 1..];
        let server = *SERVERS
            .iter()
            .find(|server| server.owns(&seen.program, args))
            .expect("the last one owns everything");
        let call = Call {
            server: server.name(),
            args,
            env: &env,
        };
        // With app.connect the words are the user's own business, so they are read but never refused.
        let told = match server.told(&call) {
            Err(_) if command.connect.is_some() => port::Generic.told(&call)?,
            told => told?,
        };
        let known = |since| {
            (command.installed)(server.name(), &command.argv[seen.executed])
                .is_some_and(|version| version >= since)
        };
        let unix = told.unix && server.unix_since().is_none_or(known);
        let public = public(&told, &env, &command);
        Ok(Self {
            argv: command.argv.to_vec(),
            port_env: command.port_env.to_vec(),
            connect: command.connect.cloned(),
            trusted_proxies: command.trusted_proxies.to_vec(),
            seen,
            env,
            server,
            told,
            unix,
            public,
        })
    }

    /// The name of the recognised server: `uvicorn`, `gunicorn`, `hypercorn`, `granian`, `fastapi`, `flask`, `http.server`,
    /// `node` or `app`.
    pub fn server(&self) -> &'static str {
        self.server.name()
    }

    /// The address that the command, or else a port variable, names; Seaworthy's own default address.
    pub fn public(&self) -> Option<SocketAddr> {
        self.public
    }

    /// Plans one start.
    ///
    /// # Errors
    /// When a loopback port is needed and none is to be had.
    pub fn plan(&self, endpoint: Endpoint<'_>) -> io::Result<Plan> {
        let (head, args) = self.argv.split_at(self.seen.at + 1);
        let call = Call {
            server: self.server.name(),
            args,
            env: &self.env,
        };
        let (env, changes) = (Vec::new(), Vec::new());
        let mut edit = Edit {
            server: call.server,
            args: args.to_vec(),
            env,
            changes,
            public: self.public,
        };
        let address = if let Some(address) = &self.connect {
            self.set_port_variables(&mut edit, address);
            address.clone()
        } else {
            let address = self.address(&mut edit, endpoint)?;
            let wish = Wish {
                address: &address,
                trusted_proxies: &self.trusted_proxies,
                shell: self.seen.shell,
            };
            self.server.steer(&call, &mut edit, &self.told, &wish);
            self.set_port_variables(&mut edit, &address);
            address
        };
        let mut argv = head.to_vec();
        argv.append(&mut edit.args);
        self.pass_through_env(&mut argv, &edit.env);
        Ok(Plan {
            argv,
            env: edit.env,
            address,
            public: self.public,
            keep_alive: self.told.keep_alive,
            max_connections: self.told.max_connections,
            server: call.server,
            changes: edit.changes,
        })
    }

    fn address(&self, edit: &mut Edit, endpoint: Endpoint<'_>) -> io::Result<Address> {
        if let Some(folder) = endpoint.sockets.filter(|_| self.unix) {
            let socket: PathBuf = folder.join(format!("{}.sock", endpoint.name));
            if socket.as_os_str().len() <= LONGEST_SOCKET_PATH {
                return Ok(Address::Unix(socket));
            }
            edit.say(&format!("{} is too long for a unix socket, so a loopback port is used; a shorter state_dir mends it", socket.display()));
        }
        let port = (endpoint.free_port)()?;
        Ok(Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }

    /// On TCP the variables that carry the public port say the app's own port to the child. On a unix socket there is no
    /// such port, and they go on saying the public one.
    fn set_port_variables(&self, edit: &mut Edit, address: &Address) {
        let Address::Tcp(address) = address else {
            return;
        };
        let port = address.port().to_string();
        for name in &self.port_env {
            if self.env.get(name).is_some_and(|value| *value != port) {
                edit.set(name, &port);
            }
        }
        let public = self.public.map_or_else(
            || "the public port".to_owned(),
            |public| format!(":{}", public.port()),
        );
        let ours = |name: &String| *name == port::VARIABLE || self.port_env.contains(name);
        let names: Vec<String> = edit
            .env
            .iter()
            .map(|(name, _)| name.clone())
            .filter(ours)
            .collect();
        for name in names {
            match self.env.get(&name) {
                Some(before) => edit.say(&format!(
                    "{name}={before} -> {name}={port} for the app only (Seaworthy owns {public})"
                )),
                None => edit.say(&format!(
                    "{name}={port} added for the app only (Seaworthy owns {public})"
                )),
            }
        }
    }

    /// `env A=B command` has the last word about variables, so ours are written into it as well.
    fn pass_through_env(&self, argv: &mut Vec<String>, env: &[(String, String)]) {
        for (name, value) in env {
            let mut assigned = false;
            for &at in &self.seen.assignments {
                if argv[at]
                    .split_once('=')
                    .is_some_and(|(assigned, _)| assigned == name)
                {
                    argv[at] = format!("{name}={value}");
                    assigned = true;
                }
            }
            if let Some(at) = self.seen.cleaned_at.filter(|_| !assigned) {
                argv.insert(at, format!("{name}={value}"));
            }
        }
    }
}

/// The command's own address, completed or replaced by the first port variable that is set.
fn public(
    told: &Told,
    env: &BTreeMap<String, String>,
    command: &Command<'_>,
) -> Option<SocketAddr> {
    let names = command
        .port_env
        .iter()
        .map(String::as_str)
        .chain([port::VARIABLE]);
    let from_env = names
        .filter_map(|name| env.get(name)?.parse::<u16>().ok())
        .next();
    let named = told.named.public(from_env.unwrap_or(told.default_port));
    let host = command.host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    named.or_else(|| Some(SocketAddr::from((host, from_env?))))
}
