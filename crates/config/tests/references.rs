//! References in configurations: what they become, where a wrong one is shown, and what is printed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_config::{
    Findings, Format, Layer, Loaded, Loader, Problems, References, Secret, Template, Validate,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    threads: Option<u16>,
    ratio: f64,
    debug: bool,
    #[schemars(extend("x-aliases" = ["title"]))]
    name: String,
    tags: Vec<String>,
    password: Option<Secret>,
    variables: BTreeMap<String, Secret>,
    headers: BTreeMap<String, Template>,
    #[schemars(extend("x-verbatim" = true))]
    command: Vec<String>,
    #[schemars(extend("x-secret" = true, "x-placeholder" = "redis://unknown"))]
    url: Option<String>,
    secrets: BTreeMap<String, Definition>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Definition {
    file: Option<String>,
    token: Option<Secret>,
}

impl Validate for Settings {
    fn validate(&self, findings: &mut Findings) {
        if self
            .url
            .as_ref()
            .is_some_and(|url| !url.starts_with("redis://cache"))
        {
            findings.error("url", "not our Redis");
        }
        if self.name.contains(' ') {
            findings.error("name", "no blanks");
        }
    }
}

fn references() -> References {
    let variables = [
        ("PORT", "80"),
        ("NAME", "shop"),
        ("EMPTY", ""),
        ("NESTED", "${secret:db}"),
        ("YES", "true"),
    ];
    References::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
        .defined_at("secrets")
}

fn load(yaml: &str, known: &[(&str, &str)]) -> Result<Loaded<Settings>, Problems> {
    let known = known
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Secret::new(*value)));
    Loader::new()
        .text(Layer::File, "a.yaml", yaml, Format::Yaml)
        .references(references().secrets(known.collect()))
        .load()
}

#[test]
fn variables_become_what_the_setting_is() {
    let yaml = "
threads: ${env:PORT}
ratio: ${env:NONE:-0.5}
debug: ${YES:-false}
name: ${env:NAME}-${env:PORT}${env:EMPTY}${EMPTY:-!}
tags: [a, '${env:PORT}', '$${env:PORT}', '${env:NESTED}']
";
    let settings = load(yaml, &[]).unwrap().value;
    assert_eq!(
        (settings.threads, settings.ratio, settings.debug),
        (Some(80), 0.5, true)
    );
    assert_eq!(settings.name, "shop-80!");
    assert_eq!(
        settings.tags,
        ["a", "80", "${env:PORT}", "${secret:db}"],
        "a value is not looked through"
    );
}

#[test]
fn every_layer_may_have_them_and_what_is_overruled_need_not_exist() {
    let loaded = Loader::<Settings>::new()
        .text(Layer::Preset, "p", "threads: ${env:NOWHERE}", Format::Yaml)
        .text(
            Layer::File,
            "a.toml",
            "name = \"${env:NAME}\"\nthreads = \"${env:PORT}\"",
            Format::Toml,
        )
        .environment("APP", [("APP__RATIO", "${env:NOWHERE:-1.5}")])
        .set("debug=${env:YES}")
        .references(references())
        .load()
        .unwrap();
    let settings = loaded.value;
    assert_eq!(
        (settings.threads, settings.name.as_str()),
        (Some(80), "shop")
    );
    assert_eq!((settings.ratio, settings.debug), (1.5, true));
}

const SECRETS: &str = "
secrets: {db: {file: /run/db}, key: {file: /run/key}, chained: {token: '${secret:key}'}}
password: a${secret:db}b
variables: {URL: 'postgres://u:${secret:db}@h', PLAIN: shown?}
headers: {Authorization: 'Bearer ${secret:key}', X-Env: '${env:NAME}', X-Plain: '$${x}'}
url: ${secret:chained}
name: ${env:NAME}
";

#[test]
fn secrets_go_where_types_keep_them_and_what_is_shown_is_what_was_written() {
    let known = [
        ("db", "hunter2"),
        ("key", "hunter3"),
        ("chained", "redis://cache/hunter4"),
    ];
    let loaded = load(SECRETS, &known).unwrap();
    let settings = &loaded.value;
    assert_eq!(
        settings.password.as_ref().map(Secret::expose),
        Some("ahunter2b")
    );
    assert_eq!(settings.variables["URL"].expose(), "postgres://u:hunter2@h");
    assert_eq!(settings.url.as_deref(), Some("redis://cache/hunter4"));
    let header = |name: &str| settings.headers[name].say(|_| Some(Secret::new("K")));
    assert_eq!(header("Authorization"), Some(Secret::new("Bearer K")));
    assert_eq!(
        (header("X-Env"), header("X-Plain")),
        (Some(Secret::new("shop")), Some(Secret::new("${x}")))
    );
    let names: Vec<_> = loaded
        .mentions
        .iter()
        .map(|mention| format!("{} {}", mention.path, mention.name))
        .collect();
    assert!(
        names.contains(&"url chained".to_owned())
            && names.contains(&"secrets.chained.token key".to_owned()),
        "{names:?}"
    );
    let shown = [
        loaded.to_yaml(),
        loaded.canonical().to_string(),
        format!("{:?}", loaded.settings()),
        loaded.hash(),
    ]
    .join("\n");
    for part in [
        "***${secret:db}***",
        "Bearer ${secret:key}",
        "url: ${secret:chained}",
        "name: ${env:NAME}",
        "PLAIN: \"***\"",
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    assert!(
        !shown.contains("hunter") && !format!("{:?}", loaded.value.headers).contains("shop"),
        "{shown}"
    );
}

#[test]
fn a_setting_under_another_name_is_shown_as_it_was_written() {
    let loaded = load("title: a-${env:NAME}", &[]).unwrap();
    assert_eq!(loaded.value.name, "a-shop");
    let shown = loaded.to_yaml();
    assert!(
        shown.contains("name: a-${env:NAME}") && !shown.contains("shop"),
        "{shown}"
    );
}

#[test]
fn without_their_values_everything_else_is_checked() {
    let loaded = load(SECRETS, &[]).unwrap();
    assert!(loaded.warnings.is_empty());
    assert!(loaded.to_yaml().contains("url: ${secret:chained}"));
    let refused = load(&format!("{SECRETS}threads: -1\ntags: 5\n"), &[]).unwrap_err();
    assert_eq!(refused.errors(), 2, "{refused}");
    // What the value is matters once it is there, and is told without it.
    let refused = load(SECRETS, &[("chained", "hunter4")])
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("not our Redis")
            && refused.contains("a.yaml:6")
            && !refused.contains("hunter"),
        "{refused}"
    );
}

#[test]
fn a_wrong_reference_is_shown_where_it_stands() {
    for (yaml, place, what, help) in [
        (
            "name: a ${env:NOPE} b",
            "1:9",
            "`NOPE` is not set",
            "${env:NOPE:-word}",
        ),
        (
            "name: ${HOME}",
            "1:7",
            "does not say what `HOME` is",
            "${env:HOME}",
        ),
        ("tags: [x, \"y${env:\"]", "1:13", "has no end", "$${"),
        (
            "password: ${secret:dbb}\nsecrets: {db: {file: x}}",
            "1:11",
            "no secret called `dbb`",
            "did you mean `db`?",
        ),
        (
            "password: x${secret:db}",
            "1:12",
            "no secret called `db`",
            "secrets.db",
        ),
        (
            "name: ${secret:db}\nsecrets: {db: {file: x}}",
            "1:7",
            "may be shown",
            "${env:NAME}",
        ),
        (
            "command: [curl, '${secret:db}', '${HOME}']",
            "1:18",
            "seen by everybody",
            "variable or a file",
        ),
        (
            "threads: ${env:NAME}",
            "1:10",
            "expected a whole number",
            "",
        ),
    ] {
        let problems = load(yaml, &[]).unwrap_err();
        let told = problems.to_string();
        for part in [&format!("a.yaml:{place}"), what, help, "^"] {
            assert!(told.contains(part), "{part} is missing in\n{told}");
        }
        assert_eq!(problems.errors(), 1, "{told}");
    }
}

#[test]
fn secrets_that_need_each_other_are_refused() {
    let yaml = "
secrets:
  a: {token: '${secret:b}'}
  b: {token: '${secret:c}'}
  c: {token: '${secret:b}'}
  d: {token: '${secret:d}'}
";
    let problems = load(yaml, &[]).unwrap_err();
    let told = problems.to_string();
    assert_eq!(problems.errors(), 3, "{told}");
    assert!(
        told.contains("`b` needs itself: b -> c -> b") && told.contains("d -> d"),
        "{told}"
    );
    assert!(
        told.contains("a.yaml:4:") && !told.contains("a.yaml:3:"),
        "{told}"
    );
}

#[test]
fn a_secret_beside_a_reference_is_blotted_and_the_name_is_not() {
    let yaml = "password: hunter2${secret:dbb}";
    let told = load(yaml, &[]).unwrap_err().to_string();
    assert!(!told.contains("hunter2"), "{told}");
    let yaml = "secrets: {db: {file: x}}\nvariables: [hunter2]\npassword: [hunter2]";
    assert!(load(yaml, &[]).is_err());
}

#[test]
fn a_secret_that_cannot_be_had_is_told_where_it_is_named() {
    let loaded = load(SECRETS, &[]).unwrap();
    let wrong = [(
        "key".to_owned(),
        "there is no such file".to_owned(),
        Some("mount it".to_owned()),
    )];
    let told = loaded.refuse(&wrong);
    assert_eq!(told.errors(), 2);
    let told = told.to_string();
    for part in [
        "headers.Authorization: there is no such file",
        "a.yaml:5:",
        "secrets.chained.token",
        "mount it",
        "${secret:key}",
    ] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
}

#[test]
fn a_file_with_a_raw_secret_is_told_apart_from_warnings() {
    let loaded = load("variables: {API_TOKEN: hunter2}\nname: x", &[]).unwrap();
    assert!(loaded.warnings.is_empty());
    let raw = loaded.raw.to_string();
    assert!(
        raw.contains("variables.API_TOKEN")
            && raw.contains("a.yaml:1:")
            && !raw.contains("hunter2"),
        "{raw}"
    );
}

#[test]
fn without_references_texts_are_texts() {
    let loaded = Loader::<Settings>::new()
        .text(Layer::File, "a.yaml", "name: ${HOME}", Format::Yaml)
        .load()
        .unwrap();
    assert_eq!(loaded.value.name, "${HOME}");
}

#[test]
fn what_references_stand_for_has_a_bound() {
    let long = "x".repeat(40_000);
    let problems = Loader::<Settings>::new()
        .text(
            Layer::File,
            "a.yaml",
            "name: ${env:L}${env:L}",
            Format::Yaml,
        )
        .references(References::new([("L".to_owned(), long)]))
        .load()
        .unwrap_err();
    assert!(
        problems.to_string().contains("has 80000 bytes"),
        "{problems}"
    );
}
