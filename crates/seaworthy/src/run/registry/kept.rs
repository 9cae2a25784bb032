//! What an instance knows of the registry when it starts, while the log may be away.
//!
//! A log that was emptied or rewritten cannot bring an earlier record back, and a version that did harm here stays away from here
//! although the log goes on saying it.

use std::path::Path;
use std::sync::Arc;

use seaworthy_config::registry::{Content, Fold, Taken};
use seaworthy_config::{Loaded, Problems};
use seaworthy_core::names::event;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Options};
use crate::draft::Draft;
use crate::registry::Undone;
use crate::reload::Source;
use crate::run::reload::Versions;
use crate::secrets::{self, Keeper};

/// The name of the file inside the state folder.
const FILE: &str = "registry.json";

/// See the [module documentation](self).
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// The latest record, as it stood in the log.
    pub(super) sealed: Option<String>,
    /// What this instance took in.
    pub(super) held: Option<Content>,
    /// What it had before.
    pub(super) before: Option<Content>,
    /// What did harm here, while the registry still says it.
    pub(super) undone: Option<Undone>,
}

impl Kept {
    /// What was kept in `folder` and is believed today, with the record that it is of. Keys are taken away and folders go to other
    /// environments; what was held by the word of such a record holds no longer.
    pub(super) fn open(folder: &Path, config: &Config) -> Option<(Self, Fold)> {
        let trust = config.registry.as_ref()?.trusts().ok()?;
        let mut fold = Fold::new(config.registry_environment(), trust);
        let text = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        // One that was cut short or is of another kind says nothing; the log does.
        let kept: Self = serde_json::from_str(&text).unwrap_or_default();
        let taken = kept.sealed.as_deref().map(|sealed| fold.take(sealed));
        match taken {
            Some(Taken::New) => Some((kept, fold)),
            _ => Some((Self::default(), fold)),
        }
    }

    /// Writes down what the next start begins with.
    pub(super) fn write(&self, folder: &Path) {
        let file = folder.join(FILE);
        let text = serde_json::to_string(self).unwrap_or_default();
        let kept = Draft::write(&file, text.as_bytes(), 0o600).and_then(Draft::commit);
        if let Err(error) = kept {
            tracing::warn!(
                event = event::CONFIG_WARNING,
                %error,
                "{}: what the registry says is not kept beyond the end of this process; make room, or set state_dir to a folder that can be written",
                file.display()
            );
        }
    }
}

/// What the registry said before what it says, when the process before ended while that was watched: it is watched again, and may
/// have to give way.
pub(in crate::run) fn before(
    config: &Config,
    folder: &Path,
    versions: &Versions,
) -> Option<Option<Arc<Content>>> {
    let (kept, _) = Kept::open(folder, config)?;
    let is_watched = versions.watches(Source::Registry);
    is_watched.then(|| kept.before.map(Arc::new))
}

/// Lays over a configuration that was just loaded what the registry said last.
pub(in crate::run) async fn resume(
    loaded: Loaded<Config>,
    options: &mut Options,
    keeper: &Keeper,
    folder: &Path,
) -> Loaded<Config> {
    let Some(registry) = &loaded.value.registry else {
        return loaded;
    };
    let kept = Kept::open(folder, &loaded.value);
    let held = kept.and_then(|(kept, _)| kept.held);
    let Some(held) = held.filter(|held| registry.refuses(held).is_none()) else {
        return loaded;
    };
    let mut with = options.clone();
    with.remote = Some(Arc::new(held));
    let again = |known| Config::reload_with(&with, &loaded, known);
    match secrets::reload(&with, keeper.secrets(), again).await {
        Ok(renewed) => {
            keeper.commit(renewed.prepared, &renewed.reloaded.loaded);
            *options = with;
            renewed.reloaded.loaded
        }
        Err(problems) => {
            tell_unfit(&problems);
            loaded
        }
    }
}

fn tell_unfit(problems: &Problems) {
    tracing::warn!(
        event = event::CONFIG_REJECTED,
        source = "registry",
        "what the registry said last does not go with the files, which hold alone:\n{}",
        problems.render(false)
    );
}
