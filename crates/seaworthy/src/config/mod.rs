//! The configuration of the product: one struct for each section of `seaworthy.yaml`.
//!
//! Every section has defaults that work without a file. Doc comments of fields become the schema's descriptions and the
//! reference page, so each says what the setting is for, its unit and its default. What a type cannot say is checked in
//! the `validate` of the section; nothing here opens sockets or files other than the configuration's own.

pub mod app;
pub mod auth;
pub mod bans;
pub mod breakers;
pub mod changes;
pub mod check;
pub mod concurrency;
pub mod documents;
pub mod egress;
pub mod endpoints;
mod env;
pub mod fallbacks;
pub mod features;
pub mod flags;
mod found;
pub mod headers;
pub mod health;
pub mod limits;
pub mod listen;
pub mod live;
pub mod observe;
mod presets;
pub mod rates;
pub mod redis;
pub mod registry;
pub mod restart;
pub mod retry;
pub mod routes;
pub mod secrets;
pub mod service;
pub mod shutdown;
mod sources;
mod text;
pub mod validation;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::environment::Environment;
use seaworthy_config::{Findings, Loaded, Problems, Reloaded, Secret, Validate};
use seaworthy_health::probe::Variables;
use seaworthy_telemetry::log;
use serde::{Deserialize, Serialize};

pub use app::App;
pub use auth::Auth;
pub use bans::{Abuse, Bans, Security};
pub use breakers::Breaker;
pub use changes::Changes;
pub use concurrency::Concurrency;
pub use documents::DocumentSet;
pub use egress::Egress;
pub use endpoints::Endpoint;
pub use env::environment;
pub use fallbacks::Fallback;
pub use features::Features;
pub use flags::Flag;
pub use headers::Headers;
pub use health::Health;
pub use limits::Limits;
pub use listen::Listen;
pub use observe::{Errors, Metrics, Traces};
pub use presets::Preset;
pub use redis::Redis;
pub use registry::Registry;
pub use restart::Restart;
pub use retry::Retry;
pub use routes::Route;
pub use secrets::{Aws, Definition as SecretDefinition, Vault};
pub use service::Service;
pub use shutdown::Shutdown;
pub use sources::{Options, inside, read, shown, written};
pub use validation::Validation;

/// Everything that `seaworthy.yaml` can say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the service is called.
    #[schemars(extend("x-restart" = true))]
    pub service: Service,
    /// A set of settings to begin with. Default: none.
    pub preset: Option<Preset>,
    /// The environment, such as `production`: `seaworthy.production.yaml` is laid over the file. `SEAWORTHY_ENV` wins.
    /// Default: none.
    pub environment: Option<String>,
    /// Where Seaworthy listens, and whom it believes.
    #[schemars(extend("x-restart" = true))]
    pub listen: Listen,
    /// The service behind, how it is started and kept alive.
    #[schemars(extend("x-restart" = true))]
    pub app: App,
    /// Variables that the app expects, by name: their types, bounds and defaults. The app is not started while one that is set
    /// does not fit, and gets the defaults of those that are not set. `seaworthy config env` shows them. Default: nothing is
    /// expected.
    #[schemars(extend("x-restart" = true))]
    pub env: Environment,
    /// The application's own settings: files that are checked, kept and laid out for it. Layers merge by `name`. Default: none.
    #[schemars(extend("x-merge" = "name"))]
    pub documents: Vec<DocumentSet>,
    /// How the service stops.
    #[schemars(extend("x-restart" = true))]
    pub shutdown: Shutdown,
    /// Health: what the service depends on, and what follows when it fails.
    pub health: Health,
    /// Paths of your own for views, beside `/health/live`, `/health/ready` and `/health/startup`. Layers merge by path.
    #[schemars(extend("x-merge" = "path"))]
    pub endpoints: Vec<Endpoint>,
    /// Limits of single routes, and the names under which they are counted. Layers merge by `match`.
    #[schemars(extend("x-merge" = "match"))]
    pub routes: Vec<Route>,
    /// How long things may take, how large they may be, and how often somebody may ask.
    pub limits: Limits,
    /// The Redis that rate limits share, and that checks go to which name none.
    #[schemars(extend("x-restart" = true))]
    pub redis: Redis,
    /// Addresses that ask too often are shut out for a while. Default: nobody is.
    pub bans: Option<Bans>,
    /// Callers that cause what honest ones seldom cause are flagged. Default: nobody is.
    pub abuse: Option<Abuse>,
    /// Breakers by name: an app that keeps failing is left alone for a while. `default` is for whatever no other is for.
    /// Default: none.
    pub breakers: BTreeMap<String, Breaker>,
    /// Requests that failed in a way that passes are sent again. Default: none is.
    pub retry: Option<Retry>,
    /// What is served when the app cannot serve a route as it should, by name. Default: nothing.
    pub fallbacks: BTreeMap<String, Fallback>,
    /// Features of the service, and who is told when one is degraded or recovers.
    pub features: Features,
    /// Feature flags by name: `true`, `false` or a percentage of those who ask, always the same ones. `app.flags` says how the
    /// app is told. Default: none.
    pub flags: BTreeMap<String, Flag>,
    /// The app's own calls to other services, through breakers and retries. Layers merge by `name`. Default: none.
    #[schemars(extend("x-merge" = "name"))]
    #[schemars(extend("x-restart" = true))]
    pub egress: Vec<Egress>,
    /// How many requests are inside the app at a time. Default: as many as come.
    pub concurrency: Option<Concurrency>,
    /// Fields that every answer bears.
    pub headers: Headers,
    /// Where secrets come from, by name: `${secret:NAME}` in any setting that keeps secrets, in `headers` and in `egress`.
    pub secrets: BTreeMap<String, SecretDefinition>,
    /// The HashiCorp Vault or OpenBao that `secrets` come from which say so. Default: none.
    pub vault: Option<Vault>,
    /// How AWS Secrets Manager is asked for `secrets` that come from there.
    pub aws: Aws,
    /// How much is shown of those who are named.
    #[schemars(extend("x-restart" = true))]
    pub security: Security,
    /// Who makes a request, and whether he may.
    pub auth: Auth,
    /// What bodies have to be like. Default: nobody looks.
    pub validate: Option<Validation>,
    /// How errors that Seaworthy itself answers look.
    pub errors: Errors,
    /// What is logged and how.
    pub log: log::Config,
    /// Metrics.
    pub metrics: Metrics,
    /// Whether every request has an id, taken from `X-Request-ID` or made. Default `true`.
    pub request_id: bool,
    /// Distributed traces.
    pub traces: Traces,
    /// How this configuration changes while the service runs.
    pub config: Changes,
    /// Settings that many instances are told alike, while they run. Default: none.
    #[schemars(extend("x-restart" = true))]
    pub registry: Option<Registry>,
    /// How many threads serve requests. Default: one for each processor.
    #[schemars(range(min = 1, max = 1024))]
    #[schemars(extend("x-restart" = true))]
    pub threads: Option<u16>,
    /// The folder for what outlives a request: sockets, the file of the running instance. Default: chosen by the system's
    /// habits.
    #[schemars(extend("x-restart" = true))]
    pub state_dir: Option<PathBuf>,
    /// What the app sees in its environment, defaults included. No source says it, and nothing shows it.
    #[serde(skip)]
    pub variables: Variables,
    /// The same without the defaults of [`Config::env`].
    #[serde(skip)]
    pub given: Variables,
    /// The folder of the file, or the one that it was looked for in. No source says it, and nothing shows it.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: Service::default(),
            preset: None,
            environment: None,
            listen: Listen::default(),
            app: App::default(),
            env: Environment::default(),
            documents: Vec::new(),
            shutdown: Shutdown::default(),
            health: Health::default(),
            endpoints: Vec::new(),
            routes: Vec::new(),
            limits: Limits::default(),
            redis: Redis::default(),
            bans: None,
            abuse: None,
            breakers: BTreeMap::new(),
            retry: None,
            fallbacks: BTreeMap::new(),
            features: Features::default(),
            flags: BTreeMap::new(),
            egress: Vec::new(),
            concurrency: None,
            headers: Headers::default(),
            secrets: BTreeMap::new(),
            vault: None,
            aws: Aws::default(),
            security: Security::default(),
            auth: Auth::default(),
            validate: None,
            errors: Errors::default(),
            log: log::Config::default(),
            metrics: Metrics::default(),
            request_id: true,
            traces: Traces::default(),
            config: Changes::default(),
            registry: None,
            threads: None,
            state_dir: None,
            variables: Variables::default(),
            given: Variables::default(),
            folder: PathBuf::new(),
        }
    }
}

impl Config {
    /// Finds, merges and checks everything that says something about the configuration.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(options: &Options) -> Result<Loaded<Self>, Problems> {
        Self::load_with(options, BTreeMap::new())
    }

    /// The same with the values of secrets that are known by now. What stands for others is not judged.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load_with(
        options: &Options,
        known: BTreeMap<String, Secret>,
    ) -> Result<Loaded<Self>, Problems> {
        sources::load(options, known)
    }

    /// The files that it is read from, and those that it would be if they were there.
    #[must_use]
    pub fn files(&self, options: &Options) -> Vec<PathBuf> {
        let environment = options
            .env
            .get("SEAWORTHY_ENV")
            .filter(|name| !name.is_empty());
        sources::files(
            options,
            environment
                .or(self.environment.as_ref())
                .map(String::as_str),
        )
    }

    /// The same for a service that runs with `running`: what needs a restart stays as it is, with the secrets that it has.
    ///
    /// # Errors
    /// All problems at once.
    pub fn reload_with(
        options: &Options,
        running: &Loaded<Self>,
        known: BTreeMap<String, Secret>,
    ) -> Result<Reloaded<Self>, Problems> {
        sources::reload(options, running, known)
    }
}

impl Validate for Config {
    fn validate(&self, findings: &mut Findings) {
        listen::validate(&self.listen, findings);
        app::validate(&self.app, findings);
        env::validate(self, findings);
        documents::validate(self, findings);
        restart::validate(&self.app.restart, findings);
        shutdown::validate(&self.shutdown, findings);
        endpoints::validate(self, findings);
        health::validate(self, findings);
        found::validate(self, findings);
        live::validate(self, findings);
        limits::validate(&self.limits, findings);
        rates::validate(self, findings);
        redis::validate(self, findings);
        bans::validate(self, findings);
        breakers::validate(self, findings);
        if let Some(retry) = &self.retry {
            retry::validate("retry", retry, findings);
        }
        fallbacks::validate(self, findings);
        features::validate(self, findings);
        flags::validate(self, findings);
        egress::validate(self, findings);
        concurrency::validate(self.concurrency.as_ref(), findings);
        headers::validate("headers.set", &self.headers.set, findings);
        secrets::validate(self, findings);
        secrets::validate_servers(self, findings);
        registry::validate(self, findings);
        auth::validate(self, findings);
        validation::validate(self, findings);
        routes::validate(self, findings);
        if let (service::Kind::Worker, Some(_)) = (self.service.kind, &self.app.connect) {
            findings
                .error("app.connect", "a worker listens nowhere")
                .related("service.kind")
                .help("leave one of the two out");
        }
        let own = self
            .listen
            .public
            .map(|public| seaworthy_core::address::Address::Tcp(public.0));
        if let (Some(own), Some(connect)) = (own, &self.app.connect)
            && own == *connect
        {
            findings
                .error(
                    "app.connect",
                    format!("{own} is where Seaworthy itself listens"),
                )
                .related("listen.public")
                .help("name the address of the app");
        }
    }
}

#[cfg(test)]
mod tests;
