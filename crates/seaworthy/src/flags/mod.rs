//! Feature flags of the running instance: what they are, and how the app learns of them.
//!
//! [`Flags::prepare`] reads the section and writes what the app's file will hold beside it; [`Flags::commit`] puts both in place. What
//! decides for whom a flag is on stands in [`seaworthy_core::flag`], the field of requests in [`seaworthy_http::flags`].

mod document;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use seaworthy_config::Problems;
use seaworthy_core::flag::{Flag, place};
use seaworthy_http::flags::Live;

pub use self::document::{FeatureFlag, FeatureFlagsDocument};
use crate::config::Config;
use crate::draft::Draft;

/// The flags of an instance. Clones are the same flags.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    live: Live,
    documents: Arc<ArcSwap<Vec<FeatureFlag>>>,
}

/// Flags that were read and do not hold yet. Dropping them leaves everything as it was.
#[derive(Debug)]
pub struct Prepared {
    flags: seaworthy_core::flag::Flags,
    documents: Vec<FeatureFlag>,
    file: Option<Draft>,
}

impl Flags {
    /// The flags of an instance that starts.
    ///
    /// # Errors
    /// When the file for the app cannot be written.
    pub fn start(config: &Config) -> Result<Self, Problems> {
        let flags = Self::default();
        match flags.commit(Self::prepare(config)?) {
            None => Ok(flags),
            Some(error) => {
                let what = format!("app.flags.file cannot be put in its place: {error}");
                let help = "name a file in a folder that can be written".to_owned();
                Err(Problems::single(what, Some(help)))
            }
        }
    }

    /// Reads what `config` says, and changes nothing.
    ///
    /// # Errors
    /// When the file for the app cannot be written.
    pub fn prepare(config: &Config) -> Result<Prepared, Problems> {
        let (mut flags, mut documents) = (Vec::new(), Vec::new());
        for (name, flag) in &config.flags {
            let settled = flag.settle(&config.variables);
            flags.push(Flag {
                name: name.as_str().into(),
                switch: settled.switch,
                by: settled.by,
            });
            documents.push(FeatureFlag::new(name, settled));
        }
        let file = config.app.flags.file.as_deref();
        let file = file.map(|file| draft(&config.folder.join(file), &documents));
        Ok(Prepared {
            flags: flags.into_iter().collect(),
            documents,
            file: file.transpose()?.flatten(),
        })
    }

    /// Lets prepared flags hold from now on. A request that is inside keeps those that it came with.
    ///
    /// Returns why the file for the app is still the old one, if it is.
    pub fn commit(&self, prepared: Prepared) -> Option<std::io::Error> {
        let file = prepared.file.map(Draft::commit);
        self.live.store(Arc::new(prepared.flags));
        self.documents.store(Arc::new(prepared.documents));
        file.and_then(Result::err)
    }

    /// What requests are told, when they are.
    pub fn told(&self, config: &Config) -> Option<Live> {
        config.app.flags.header.then(|| self.live.clone())
    }

    /// All flags, and whether each is on for `key` if one is given.
    pub fn document(&self, key: Option<&str>) -> FeatureFlagsDocument {
        let mut flags = self.documents.load().as_ref().clone();
        if let Some(key) = key {
            for state in &mut flags {
                state.on = Some(state.value.takes(place(&state.name, key.as_bytes())));
            }
        }
        FeatureFlagsDocument { flags }
    }
}

/// What takes the place of the app's file; nothing where that says the same already, because apps watch it.
fn draft(file: &Path, documents: &[FeatureFlag]) -> Result<Option<Draft>, Problems> {
    let text = document::of_file(documents);
    if fs::metadata(file).is_ok_and(|meta| meta.is_file())
        && fs::read(file).is_ok_and(|old| old == text.as_bytes())
    {
        return Ok(None);
    }
    let draft = Draft::write(file, text.as_bytes(), 0o666).map_err(|error| {
        Problems::single(
            format!(
                "app.flags.file: {} cannot be written: {error}",
                file.display()
            ),
            Some("name a file in a folder that can be written".into()),
        )
    })?;
    Ok(Some(draft))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn config(folder: &Path, flags: &str) -> Config {
        let value = serde_json::json!({
            "flags": serde_json::from_str::<serde_json::Value>(flags).unwrap(),
            "app": {"flags": {"file": "run/flags.json"}},
        });
        let mut config: Config = serde_json::from_value(value).unwrap();
        config.folder = folder.to_owned();
        let variables = [("JANITOR", "no"), ("ODD", "perhaps")];
        let variables: BTreeMap<_, _> = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        config.variables = variables.into_iter().collect();
        config
    }

    const ALL: &str = r#"{
        "beta": "25%", "off": false, "on": true, "janitor": {"env": "JANITOR", "value": true},
        "odd": {"env": "ODD", "value": true}, "unset": {"env": "UNSET"}
    }"#;

    #[test]
    fn what_is_prepared_holds_only_when_it_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let file = folder.path().join("run/flags.json");
        let flags = Flags::default();
        drop(Flags::prepare(&config(folder.path(), ALL)).unwrap());
        assert!(flags.document(None).flags.is_empty() && !file.exists());
        assert_eq!(
            std::fs::read_dir(folder.path().join("run"))
                .unwrap()
                .count(),
            0
        );
        assert!(
            flags
                .commit(Flags::prepare(&config(folder.path(), ALL)).unwrap())
                .is_none()
        );
        let written: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let expected = serde_json::json!({
            "beta": "25%", "janitor": false, "odd": true, "off": false, "on": true, "unset": false,
        });
        assert_eq!(written, expected);
        assert_eq!(
            std::fs::read_dir(folder.path().join("run"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn a_file_that_says_the_same_already_is_left_alone() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        let file = folder.path().join("run/flags.json");
        let flags = Flags::default();
        let commit = |all: &str| {
            let prepared = Flags::prepare(&config(folder.path(), all)).unwrap();
            assert!(flags.commit(prepared).is_none());
            fs::metadata(&file).unwrap().ino()
        };
        // What is held open keeps its number for itself.
        let first = commit(ALL);
        let _old = fs::File::open(&file).unwrap();
        assert_eq!(commit(ALL), first);
        assert_ne!(commit(r#"{"beta": true}"#), first);
    }

    #[test]
    fn a_folder_that_is_missing_is_told_before_anything_holds() {
        let folder = tempfile::tempdir().unwrap();
        let problems = Flags::prepare(&config(folder.path(), ALL)).unwrap_err();
        assert!(
            problems.to_string().contains("app.flags.file"),
            "{problems}"
        );
    }

    #[test]
    fn a_key_says_for_whom_it_is_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let flags = Flags::default();
        flags.commit(Flags::prepare(&config(folder.path(), ALL)).unwrap());
        let on: Vec<_> = flags
            .document(Some("alice"))
            .flags
            .into_iter()
            .map(|flag| flag.on)
            .collect();
        let beta = seaworthy_core::flag::place("beta", b"alice") < 250_000;
        assert_eq!(on, [beta, false, true, false, true, false].map(Some));
        assert!(
            flags
                .document(None)
                .flags
                .iter()
                .all(|flag| flag.on.is_none())
        );
    }
}
