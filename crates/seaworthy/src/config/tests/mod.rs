//! The product's configuration as a user meets it.

mod found;
mod layers;
mod refusals;
mod schema;

use std::path::Path;

use seaworthy_config::{Format, Layer, Loaded, Loader, Problems};
use seaworthy_core::address::Address;

use super::*;

fn yaml(text: &str) -> Result<Loaded<Config>, Problems> {
    Loader::new()
        .text(Layer::File, "seaworthy.yaml", text, Format::Yaml)
        .load()
}

fn options(cwd: &Path) -> Options {
    Options {
        cwd: cwd.to_owned(),
        ..Options::default()
    }
}

#[test]
fn the_defaults_need_no_file_and_survive_their_own_output() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = Config::load(&options(folder.path())).unwrap();
    let defaults = Config {
        folder: folder.path().to_owned(),
        ..Config::default()
    };
    assert_eq!(loaded.value, defaults);
    assert!(loaded.warnings.is_empty());
    let again = yaml(&loaded.to_yaml()).unwrap();
    assert_eq!(again.value, Config::default());
    assert_eq!(again.hash(), loaded.hash());
    assert!(
        loaded
            .settings()
            .iter()
            .all(|setting| setting.origin == "default")
    );
}

#[test]
fn addresses_are_read_in_every_spelling() {
    let bind = |text: &str| {
        text.parse::<listen::Bind>()
            .map(|bind| bind.to_string())
            .ok()
    };
    assert_eq!(bind("8000").as_deref(), Some("0.0.0.0:8000"));
    assert_eq!(bind(":8000").as_deref(), Some("0.0.0.0:8000"));
    assert_eq!(bind("localhost:80").as_deref(), Some("127.0.0.1:80"));
    assert_eq!(bind("[::1]:80").as_deref(), Some("[::1]:80"));
    for bad in ["", "0.0.0.0", "example.com:80", "0.0.0.0:99999", "unix:/x"] {
        assert_eq!(bind(bad), None, "{bad}");
    }
    assert_eq!("off".parse(), Ok(listen::Admin::Off));
    assert_eq!(
        "9901".parse::<listen::Admin>().unwrap().to_string(),
        "127.0.0.1:9901"
    );
    assert_eq!(
        "unix:/a/b".parse(),
        Ok(listen::Admin::At(Address::Unix("/a/b".into())))
    );
    let loaded = yaml("listen: {public: 8080, admin: off}").unwrap();
    assert_eq!(loaded.value.listen.admin, listen::Admin::Off);
    assert_eq!(
        loaded.value.listen.public.unwrap().to_string(),
        "0.0.0.0:8080"
    );
}

#[test]
fn variables_of_the_app_are_not_shown() {
    let loaded = yaml("app: {env: {DATABASE_URL: 'postgres://u:hunter2@h/d'}}").unwrap();
    assert_eq!(
        loaded.value.app.env["DATABASE_URL"].expose(),
        "postgres://u:hunter2@h/d"
    );
    assert!(!loaded.to_yaml().contains("hunter2"));
    assert!(
        loaded.to_yaml().contains("DATABASE_URL: \"***\"")
            || loaded.to_yaml().contains("DATABASE_URL: '***'"),
        "{}",
        loaded.to_yaml()
    );
}
