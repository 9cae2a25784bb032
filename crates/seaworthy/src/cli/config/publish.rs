//! `seaworthy config publish|rollout|keygen`: versions of settings for all instances of an environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration as Time;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use seaworthy_config::registry::{Content, Fold, Outcome, Record, Signer, Stage, State};
use seaworthy_config::secrets::Secrets;
use seaworthy_config::{Findings, Format, Layer, Loader, Validate};
use seaworthy_core::quantity::{Duration, Share};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{FINE, Global, output};
use crate::config::{Config, Options, read};
use crate::failure::Failure;
use crate::registry::{Log, Member, Publisher, Wish};
use crate::secrets;

/// Arguments of `config publish`.
#[derive(Args, Clone, Debug)]
pub struct PublishArgs {
    /// The version: `{"version": 2, "set": {"log.level": "debug"}}` as JSON or YAML. `set` is all that the registry is to say
    #[arg(value_name = "FILE")]
    pub version: PathBuf,
    /// Who gets it first, such as `1,25%,100%`; each stage is watched before the next begins [default: everybody at once]
    #[arg(long, value_name = "STAGES", value_delimiter = ',')]
    pub stages: Vec<Stage>,
    /// How long a stage is watched
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub hold: Duration,
    /// How long an instance may take to say what became of it
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub ack_timeout: Duration,
    /// The share of requests that may fail in a stage beyond what fails elsewhere
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub errors: Share,
    /// Publish only while this version holds
    #[arg(long, value_name = "VERSION")]
    pub expect: Option<u64>,
    /// Do not wait for word of the instances; stages wait in any case
    #[arg(long)]
    pub no_wait: bool,
    /// Who is named in it
    #[command(flatten)]
    pub named: Named,
}

/// Who publishes, and why.
#[derive(Args, Clone, Debug)]
pub struct Named {
    /// Who is to be named [default: the user]
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// What to do with a rollout.
#[derive(Clone, Debug, Subcommand)]
pub enum RolloutVerb {
    /// Say which version holds, how far it has come, and what each instance says of it; the exit code is 1 when one does not have it
    Status {
        /// Wait until all have it, or one says that it cannot
        #[arg(long)]
        wait: bool,
        /// How long
        #[arg(long, value_name = "TIME", default_value = "30s")]
        timeout: Duration,
    },
    /// Take back the version that is under way
    Abort {
        /// Who does it, and why
        #[command(flatten)]
        named: Named,
    },
}

/// What a file for `config publish` says.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The version; the next one without it.
    version: Option<u64>,
    /// All that the registry is to say, by address.
    set: BTreeMap<String, Value>,
}

impl Validate for Written {
    fn validate(&self, _: &mut Findings) {}
}

/// Tells people how it goes.
pub(in crate::cli) type Told = fn(String);

/// Opens the registry that the configuration names.
pub(in crate::cli) async fn open(options: &Options) -> anyhow::Result<(Publisher<Told>, Config)> {
    let complete = secrets::load(options, &Secrets::default()).await?;
    let config = complete.loaded.value;
    let Some(registry) = &config.registry else {
        return Err(Failure::usage(
            "the configuration names no registry; write one, as in `registry: {kafka: {bootstrap: [kafka:9092]}, trust: [...]}`",
        )
        .into());
    };
    let signer = registry.key.as_ref().map(|key| Signer::read(key.expose()));
    let signer = signer
        .transpose()
        .map_err(|why| Failure::usage(format!("registry.key: {why}")))?;
    let trust = registry.trusts().map_err(Failure::usage)?;
    let log = Log::of(registry, &config).ok_or_else(|| {
        Failure::usage("the registry names no place; write `directory`, `kafka` or `postgres`")
    })?;
    let fold = Fold::new(config.registry_environment(), trust);
    let tell: Told = |words| output::talk(&words);
    Ok((Publisher::new(log, fold, signer, tell), config))
}

pub(super) async fn publish(
    global: &Global,
    options: &Options,
    args: &PublishArgs,
) -> anyhow::Result<u8> {
    let (mut publisher, config) = open(options).await?;
    let registry = config.registry.as_ref();
    if registry.is_some_and(|registry| registry.key.is_none() && !registry.trust.is_empty()) {
        return Err(Failure::usage(
            "instances believe only what is signed, and there is no key; set registry.key, as in SEAWORTHY__REGISTRY__KEY",
        )
        .into());
    }
    let written = written(&args.version)?;
    let content = Content {
        version: written.version.unwrap_or_default(),
        set: written.set.clone(),
    };
    if let Some(why) = registry.and_then(|registry| registry.refuses(&content)) {
        return Err(Failure::usage(format!("{}: {why}", args.version.display())).into());
    }
    // Laid over the files here, as it will be there.
    let with = Options {
        remote: Some(Arc::new(content)),
        ..options.clone()
    };
    secrets::load(&with, &Secrets::default()).await?;
    let wish = Wish {
        version: written.version,
        expect: args.expect,
        set: written.set,
        stages: args.stages.clone(),
        hold: args.hold.get(),
        ack_timeout: args.ack_timeout.get(),
        errors: args.errors.get(),
        waits: !args.no_wait,
        ..named(&args.named)
    };
    let record = publisher.publish(&wish).await.map_err(Failure::from)?;
    tell_end(global, &record);
    Ok(u8::from(record.rollout.state != State::Complete))
}

fn written(file: &Path) -> anyhow::Result<Written> {
    let name = file.display().to_string();
    let loader = Loader::<Written>::new();
    let loader = loader.text(Layer::File, name, read(file)?, Format::of(file));
    Ok(loader.load()?.value)
}

fn named(named: &Named) -> Wish {
    Wish {
        author: named.author.clone().or_else(|| std::env::var("USER").ok()),
        reason: named.reason.clone(),
        ack_timeout: Time::from_secs(30),
        ..Wish::default()
    }
}

fn tell_end(global: &Global, record: &Record) {
    if global.json {
        output::json(record);
        return;
    }
    let (version, state) = (record.rollout.version, record.rollout.state.word());
    output::data(&match record.rollout.state {
        State::Complete | State::Rolling => format!("version {version}: {state}"),
        State::Reverted | State::Aborted => format!(
            "version {version}: {state}; version {} holds again: {}",
            record.content.version,
            record.reason.as_deref().unwrap_or_default()
        ),
    });
}

pub(super) async fn rollout(
    global: &Global,
    options: &Options,
    verb: &RolloutVerb,
) -> anyhow::Result<u8> {
    let (mut publisher, _) = open(options).await?;
    match verb {
        RolloutVerb::Abort { named: by } => {
            let record = publisher.abort(&named(by)).await.map_err(Failure::from)?;
            tell_end(global, &record);
            Ok(FINE)
        }
        RolloutVerb::Status { wait, timeout } => {
            let until = std::time::Instant::now() + timeout.get();
            let status = loop {
                let status = Status::of(&mut publisher).await?;
                if !wait || status.is_settled() || std::time::Instant::now() > until {
                    break status;
                }
                tokio::time::sleep(Time::from_millis(100)).await;
            };
            status.show(global);
            Ok(u8::from(!status.is_complete()))
        }
    }
}

/// What holds, and what is said of it.
struct Status {
    record: Option<Record>,
    members: Vec<Member>,
}

impl Status {
    async fn of(publisher: &mut Publisher<Told>) -> anyhow::Result<Self> {
        let record = publisher.latest().await.map_err(Failure::from)?.cloned();
        let members = publisher.members().await.map_err(Failure::from)?;
        Ok(Self {
            record,
            members: members.into_iter().filter(Member::is_fresh).collect(),
        })
    }

    fn sequence(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.sequence)
    }

    /// How many have said that they have it.
    fn applied(&self) -> usize {
        let has = |member: &&Member| {
            member.ack.sequence == self.sequence() && member.ack.result == Outcome::Success
        };
        self.members.iter().filter(has).count()
    }

    fn is_complete(&self) -> bool {
        let is_rolling = |record: &Record| record.rollout.state == State::Rolling;
        !self.record.as_ref().is_some_and(is_rolling)
            && !self.members.is_empty()
            && self.applied() == self.members.len()
    }

    /// Whether waiting would change nothing.
    fn is_settled(&self) -> bool {
        let refuses = |member: &Member| {
            member.ack.sequence == self.sequence() && member.ack.result != Outcome::Success
        };
        self.is_complete() || self.members.iter().any(refuses)
    }

    fn show(&self, global: &Global) {
        if global.json {
            let instances: Vec<_> = self.members.iter().map(|member| &member.ack).collect();
            output::json(&json!({
                "complete": self.is_complete(),
                "applied": self.applied(),
                "instances": instances,
                "record": self.record,
            }));
            return;
        }
        match &self.record {
            None => output::data("nothing was published"),
            Some(record) => {
                let rollout = &record.rollout;
                let stage = match rollout.stages.get(rollout.begun.saturating_sub(1)) {
                    Some(stage) if rollout.state == State::Rolling => format!(" at {stage}"),
                    _ => String::new(),
                };
                output::data(&format!(
                    "version {}: {}{stage}, by {} at {}; applied {}/{}",
                    rollout.version,
                    rollout.state.word(),
                    record.author.as_deref().unwrap_or("nobody"),
                    record.at,
                    self.applied(),
                    self.members.len(),
                ));
            }
        }
        for Member { ack, age } in &self.members {
            let version = ack
                .version
                .map_or("none".to_owned(), |version| version.to_string());
            let why = ack
                .error
                .as_deref()
                .map_or(String::new(), |why| format!(": {why}"));
            output::data(&format!(
                "  {}  version {version}, generation {}, {} s ago: {}{why}",
                ack.instance,
                ack.generation,
                age.as_secs(),
                ack.result.word(),
            ));
        }
    }
}

/// Shows a new key pair.
pub(super) fn keygen(global: &Global) -> anyhow::Result<u8> {
    let (signer, private) = Signer::generate().map_err(Failure::failed)?;
    let (public, private) = (signer.public(), private.expose().to_owned());
    if global.json {
        output::json(&json!({"public": public, "private": private}));
    } else {
        output::data(&format!("registry.trust: [{public}]"));
        output::talk("keep the next line secret; `config publish` signs with it as registry.key:");
        output::data(&private);
    }
    Ok(FINE)
}
