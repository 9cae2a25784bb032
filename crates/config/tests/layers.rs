//! Layers: who wins, where a value came from, and what the whole amounts to.

mod sample;

use sample::{Believed, Sample, View, file, yaml};
use seaworthy_config::{Format, Layer, Loader};
use seaworthy_core::quantity::{Bound, Duration, Size};

const YAML: &str = "
name: shop
limits: {total: 5s, body: 64KiB, connections: 7}
listen:
  http2: true
  trusted: [private, 10.0.0.0/8]
endpoints:
  - {path: /livez, view: live}
env: {PORT: 8000, DEBUG: true}
";

const TOML: &str = r#"
name = "shop"
[env]
DEBUG = true
PORT = 8000
[limits]
body = "64KiB"
connections = 7
total = "5000ms"
[listen]
trusted = ["private", "10.0.0.0/8"]
http2 = true
[[endpoints]]
path = "/livez"
view = "live"
"#;

const JSON: &str = r#"{
  "env": {"PORT": "8000", "DEBUG": true},
  "endpoints": [{"view": "live", "path": "/livez"}],
  "listen": {"trusted": ["private", "10.0.0.0\/8"], "http2": true},
  "limits": {"connections": 7, "total": "5s", "body": 65536},
  "name": "shop"
}"#;

#[test]
fn another_name_for_a_setting_is_that_setting_in_every_layer() {
    let over = |below: &str, above: &str| {
        Loader::<Sample>::new()
            .text(Layer::Preset, "preset", below, Format::Yaml)
            .text(Layer::File, "a.yaml", above, Format::Yaml)
            .load()
    };
    for (below, above) in [
        ("limits: {max_connections: 3}", "limits: {connections: 7}"),
        ("limits: {connections: 3}", "limits: {max_connections: 7}"),
        (
            "limits: {max_connections: 3}",
            "limits: {max_connections: 7}",
        ),
        ("name: x", "limits: {max_connections: 7}"),
    ] {
        let loaded = over(below, above).unwrap();
        assert_eq!(loaded.value.limits.connections, 7, "{below}, {above}");
        assert!(loaded.is_set("limits.connections"));
    }
    let twice = over("name: x", "limits: {max_connections: 7, connections: 3}");
    let told = twice.unwrap_err().render(false);
    assert!(told.contains("this is `connections` once more"), "{told}");
}

#[test]
fn other_names_and_ways_hold_in_sections_that_need_not_be_there() {
    let over = |below: &str, above: &str| {
        Loader::<Sample>::new()
            .text(Layer::Preset, "preset", below, Format::Yaml)
            .text(Layer::File, "a.yaml", above, Format::Yaml)
            .load()
            .unwrap()
            .value
    };
    let set = |keys: Option<&str>, key: Option<&str>| {
        Some(Believed {
            key: key.map(str::to_owned),
            keys: keys.map(str::to_owned),
        })
    };
    let below = "believed: {keys_file: a}";
    for above in ["believed: {keys: b}", "believed: {keys_file: b}"] {
        assert_eq!(over(below, above).believed, set(Some("b"), None), "{above}");
    }
    let above = "believed: {key: c}";
    assert_eq!(over(below, above).believed, set(None, Some("c")));
    let store = over(
        "store: {kind: memory, bytes: 1KiB}",
        "store: {kind: memory, size: 2KiB}",
    );
    assert_eq!(
        store.store,
        Some(sample::Store::Memory { size: Size::kib(2) })
    );
    let both = Loader::<Sample>::new()
        .text(
            Layer::File,
            "a.yaml",
            "store: {kind: memory, bytes: 1KiB, size: 2KiB}\nbelieved: {keys: a, keys_file: b}",
            Format::Yaml,
        )
        .load()
        .unwrap_err();
    assert_eq!(both.items().len(), 2, "{}", both.render(false));
}

#[test]
fn the_notation_does_not_change_the_hash() {
    let [yaml, toml, json] = [("a.yaml", YAML), ("a.toml", TOML), ("a.json", JSON)]
        .map(|(name, text)| file(name, text).unwrap());
    assert_eq!(yaml.value, toml.value);
    assert_eq!(yaml.value, json.value);
    assert_eq!(yaml.hash(), toml.hash());
    assert_eq!(yaml.hash(), json.hash());
    assert_ne!(yaml.hash(), file("a.yaml", "name: other").unwrap().hash());
    // Pinned: a hash that changes between versions of the program tells nothing.
    assert_eq!(yaml.hash(), "58efb0becd9e251dc65b0613c7194fbe");
}

#[test]
fn later_layers_win_in_whatever_order_they_are_added() {
    let vars = [
        ("APP__LIMITS__IDLE", "3s"),
        ("APP__LIMITS__BODY", "3KiB"),
        ("OTHER__NAME", "no"),
        ("APP__", "no"),
    ];
    let loaded = Loader::<Sample>::new()
        .set("limits.body=4KiB")
        .flag("--name", "name", "flagged")
        .environment("APP", vars)
        .text(
            Layer::Overlay,
            "app.prod.yaml",
            "limits: {idle: 2s, connections: 2}",
            Format::Yaml,
        )
        .text(
            Layer::File,
            "app.yaml",
            "limits: {idle: 1s, connections: 1, total: 1s}\nlisten: {http2: true}",
            Format::Yaml,
        )
        .text(
            Layer::Preset,
            "scry",
            "listen: {http2: false, public: preset}\nname: preset",
            Format::Yaml,
        )
        .load()
        .unwrap();
    let value = &loaded.value;
    assert_eq!(value.limits.body, Size::kib(4));
    assert_eq!(value.limits.idle, Duration::from_secs(3));
    assert_eq!(value.limits.connections, 2);
    assert_eq!(value.limits.total, Bound::At(Duration::from_secs(1)));
    assert!(value.listen.http2);
    assert_eq!(value.name.as_deref(), Some("flagged"));

    let origins: Vec<(String, String)> = loaded
        .settings()
        .into_iter()
        .map(|setting| (setting.path, setting.origin))
        .collect();
    let origin = |path: &str| {
        origins
            .iter()
            .find(|(known, _)| known == path)
            .map(|(_, origin)| origin.as_str())
    };
    assert_eq!(origin("limits.body"), Some("flag --set"));
    assert_eq!(origin("limits.idle"), Some("env APP__LIMITS__IDLE"));
    assert_eq!(origin("limits.connections"), Some("app.prod.yaml:1"));
    assert_eq!(origin("limits.total"), Some("app.yaml:1"));
    assert_eq!(origin("listen.http2"), Some("app.yaml:2"));
    assert_eq!(origin("listen.public"), Some("preset scry:1"));
    assert_eq!(origin("name"), Some("flag --name"));
    assert_eq!(origin("listen.trusted"), Some("default"));
}

#[test]
fn an_empty_value_leaves_the_layer_below_its_word() {
    let loaded = Loader::<Sample>::new()
        .text(
            Layer::Preset,
            "p",
            "limits: {connections: 5}\nname: kept",
            Format::Yaml,
        )
        .text(
            Layer::File,
            "f.yaml",
            "limits:\nname: ~\nlisten:\n",
            Format::Yaml,
        )
        .environment("APP", [("APP__NAME", "")])
        .load()
        .unwrap();
    assert_eq!(loaded.value.limits.connections, 5);
    assert_eq!(loaded.value.name.as_deref(), Some("kept"));
    assert!(yaml("").is_ok(), "an empty file is the defaults");
    assert!(yaml("# nothing yet\n").is_ok());
}

#[test]
fn lists_with_a_merge_key_merge_by_it() {
    let loaded = Loader::<Sample>::new()
        .text(Layer::Preset, "p", "endpoints: [{path: /a, view: live}, {path: /b, view: live}]\nlisten: {trusted: [a]}", Format::Yaml)
        .text(Layer::File, "f.yaml", "endpoints: [{path: /b, view: ready}, {path: /c, view: detailed}]\nlisten: {trusted: [b]}", Format::Yaml)
        .load()
        .unwrap();
    let endpoints: Vec<_> = loaded
        .value
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.path.as_str(), endpoint.view))
        .collect();
    assert_eq!(
        endpoints,
        [
            ("/a", View::Live),
            ("/b", View::Ready),
            ("/c", View::Detailed)
        ]
    );
    assert_eq!(
        loaded.value.listen.trusted,
        ["b"],
        "other lists are replaced"
    );
}

#[test]
fn variables_and_flags_take_words_lists_and_mappings() {
    let vars = [
        ("APP__LISTEN__TRUSTED", "[a, 'b c']"),
        ("APP__ENV__Path_To", "0123"),
        ("APP__LISTEN__PUBLIC", "0.0.0.0:8000"),
        ("APP__LISTEN__HTTP2", "true"),
        ("APP__LISTEN__KEY", "'{not yaml"),
    ];
    let loaded = Loader::<Sample>::new()
        .environment("APP", vars)
        .set("env.B=x=y")
        .set("store={kind: file, path: /tmp/x}")
        .set("name=a: b")
        .load()
        .unwrap();
    assert_eq!(loaded.value.listen.trusted, ["a", "b c"]);
    assert_eq!(
        loaded.value.env["Path_To"].expose(),
        "0123",
        "keys of free mappings and texts of numbers stay as written"
    );
    assert_eq!(loaded.value.env["B"].expose(), "x=y");
    assert_eq!(loaded.value.name.as_deref(), Some("a: b"));
    assert!(loaded.value.listen.http2);
    let key = loaded.value.listen.key.expect("a key was given");
    assert_eq!(key.expose(), "'{not yaml", "a text is taken as it is");
    let loaded = Loader::<Sample>::new()
        .set("listen.trusted=private")
        .load()
        .unwrap();
    assert_eq!(
        loaded.value.listen.trusted,
        ["private"],
        "one word is a list of one"
    );
}

#[test]
fn peeks_at_the_winning_word_before_loading() {
    let loader = Loader::<Sample>::new()
        .environment("APP", [("APP__PRESET", "from-env")])
        .text(
            Layer::File,
            "f.yaml",
            "preset: from-file\nname: n",
            Format::Yaml,
        );
    assert_eq!(loader.peek("preset").as_deref(), Some("from-env"));
    assert_eq!(loader.peek("name").as_deref(), Some("n"));
    assert_eq!(loader.peek("limits.idle"), None);
}

#[test]
fn secrets_are_shown_nowhere() {
    let loaded = yaml("env: {TOKEN: hunter2}\nlisten: {cert: c, key: hunter2}").unwrap();
    assert_eq!(loaded.value.env["TOKEN"].expose(), "hunter2");
    let shown = format!(
        "{} {:?} {:?} {:?}",
        loaded.canonical(),
        loaded.settings(),
        loaded.value,
        loaded.sources
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("***"));
    let problems = yaml("listen: {key: hunter2, htpp2: true}")
        .unwrap_err()
        .to_string();
    assert!(
        problems.contains("htpp2") && !problems.contains("hunter2"),
        "{problems}"
    );
}

#[test]
fn the_users_own_keys_may_stand_anywhere() {
    let text = "x-shared: &s {connections: 3}\nlimits: {<<: *s, x-why: because}\nendpoints: [{path: /a, view: live, x-owner: me}]\nenv: {x-real: kept}";
    let loaded = yaml(text).unwrap();
    assert_eq!(loaded.value.limits.connections, 3);
    assert_eq!(
        loaded.value.env["x-real"].expose(),
        "kept",
        "in a free mapping it is a key like any other"
    );
    assert_eq!(
        loaded
            .place(&"limits.connections".into())
            .unwrap()
            .to_string(),
        "sample.yaml:1"
    );
}
