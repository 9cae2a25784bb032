//! Names of settings that were others once.

mod sample;

use sample::Sample;
use seaworthy_config::{Format, migrate};

fn migrated(text: &str, format: Format) -> (String, Vec<String>) {
    let (new, renamed) = migrate::<Sample>("a.yaml", text, format).expect("it can be read");
    let told = renamed.iter();
    let told = told.map(|one| format!("{}: {} -> {}", one.line, one.from, one.to));
    (new, told.collect())
}

#[test]
fn keys_get_their_names_of_today_and_nothing_else_changes() {
    let old = "# Ours.\nlimits: {idle: 75s}   # short\nlisten:\n  public: 'a:1'\n";
    assert_eq!(migrated(old, Format::Yaml), (old.to_owned(), vec![]));
    let (new, told) = migrated("limits:\n  # Many.\n  max_connections: 5\n", Format::Yaml);
    assert_eq!(new, "limits:\n  # Many.\n  connections: 5\n");
    assert_eq!(told, ["3: max_connections -> connections"]);
    let (again, told) = migrated(&new, Format::Yaml);
    assert_eq!((again, told), (new, vec![]));
    let (json, told) = migrated(r#"{"limits": {"max_connections": 5}}"#, Format::Json);
    assert_eq!(json, r#"{"limits": {"connections": 5}}"#);
    assert_eq!(told.len(), 1);
    let (toml, _) = migrated("[limits]\nmax_connections = 5\n", Format::Toml);
    assert_eq!(toml, "[limits]\nconnections = 5\n");
}

#[test]
fn where_both_names_stand_nothing_is_guessed() {
    let both = "limits: {max_connections: 5, connections: 6}\n";
    assert_eq!(migrated(both, Format::Yaml), (both.to_owned(), vec![]));
    assert!(migrate::<Sample>("a.yaml", "limits: {", Format::Yaml).is_err());
}
