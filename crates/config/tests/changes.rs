//! What a running service takes in of a configuration that was loaded anew.

mod sample;

use sample::{Sample, file};
use seaworthy_config::{Format, Layer, Loaded, Loader, Reloaded};
use serde_json::{Value, json};

fn running(text: &str) -> Loaded<Sample> {
    file("a.yaml", text).expect("a sound configuration")
}

fn reload(running: &Loaded<Sample>, text: &str) -> Reloaded<Sample> {
    let loader = Loader::<Sample>::new().text(Layer::File, "a.yaml", text, Format::Yaml);
    loader.reload_with(running, |_| {}).expect("a sound one")
}

fn told(reloaded: &Reloaded<Sample>) -> Value {
    let changes = reloaded.changes.iter();
    let change = |change: &seaworthy_config::Change| {
        json!([change.path, change.from, change.to, change.requires_restart])
    };
    changes.map(change).collect()
}

#[test]
fn each_setting_that_differs_is_told() {
    let before = running("limits: {idle: 75s, body: 5}\nendpoints: [{path: /a, view: live}]\n");
    let after = reload(
        &before,
        "limits: {total: 3s, body: 5}\nendpoints: [{path: /b, view: live}]\n",
    );
    let told = told(&after);
    assert_eq!(
        told,
        json!([
            ["endpoints[0].path", "/a", "/b", false],
            ["limits.total", "none", "3s", false],
        ]),
        "a default that was written out is no change"
    );
    assert!(after.changes_anything());
    assert!(
        !reload(
            &before,
            "{limits: {body: 5}, endpoints: [{path: /a, view: live}]}"
        )
        .changes_anything()
    );
}

#[test]
fn what_needs_a_restart_stays_and_the_rest_is_taken_in() {
    let before = running("listen: {public: 'a:1', http2: false}\n");
    let after = reload(&before, "listen: {public: 'b:2', http2: true}\n");
    assert_eq!(
        after.requires_restart().collect::<Vec<_>>(),
        ["listen.public"]
    );
    assert_eq!(after.loaded.value.listen.public.as_deref(), Some("a:1"));
    assert!(after.loaded.value.listen.http2);
    let place = after
        .loaded
        .place(&"listen.public".into())
        .expect("it was written");
    assert_eq!(place.to_string(), "a.yaml:1", "and says where");
    // It is told for as long as the file says so.
    let again = reload(&after.loaded, "listen: {public: 'b:2', http2: true}\n");
    assert_eq!(
        again.requires_restart().collect::<Vec<_>>(),
        ["listen.public"]
    );
    assert!(!again.changes_anything());
    let back = reload(&again.loaded, "listen: {public: 'a:1', http2: true}\n");
    assert_eq!(told(&back), json!([]));
    let gone = reload(&back.loaded, "{}\n");
    assert_eq!(gone.loaded.value.listen.public.as_deref(), Some("a:1"));
}

#[test]
fn a_secret_that_differs_is_a_change_that_shows_neither() {
    let before = running("listen: {cert: c, key: hunter1}\n");
    let after = reload(&before, "listen: {cert: c, key: hunter2}\n");
    assert_eq!(told(&after), json!([["listen.key", "***", "***", false]]));
    assert_eq!(
        after
            .loaded
            .value
            .listen
            .key
            .as_ref()
            .map(|key| key.expose()),
        Some("hunter2")
    );
}

#[test]
fn reloading_for_ever_gathers_nothing() {
    let mut now = running("listen: {public: 'a:1'}\n");
    for round in 0..50 {
        let text = format!(
            "listen: {{public: 'b:{round}', http2: {}}}\n",
            round % 2 == 0
        );
        now = reload(&now, &text).loaded;
    }
    assert!(
        now.sources.iter().count() <= 2,
        "{}",
        now.sources.iter().count()
    );
}

#[test]
fn a_faulty_one_changes_nothing_and_says_where() {
    let before = running("limits: {body: 5}\n");
    let loader =
        Loader::<Sample>::new().text(Layer::File, "a.yaml", "limits: {bodi: 6}\n", Format::Yaml);
    let problems = loader.reload_with(&before, |_| {}).expect_err("misspelt");
    assert!(problems.to_string().contains("a.yaml:1"), "{problems}");
}

#[test]
fn a_secret_that_stands_elsewhere_is_a_change_when_it_changes_and_is_never_told() {
    use seaworthy_config::{References, Secret};
    let text = "listen: {cert: c, key: '${secret:k}', public: 'a:1'}\nenv: {k: x}\n";
    let loader = |value: &str, text: &str| {
        let known = [("k".to_owned(), Secret::new(value))].into();
        let references = References::default().defined_at("env").secrets(known);
        Loader::<Sample>::new()
            .text(Layer::File, "a.yaml", text, Format::Yaml)
            .references(references)
    };
    let before = loader("hunter1", text).load().expect("sound");
    let same = loader("hunter1", text).reload_with(&before, |_| {});
    assert_eq!(told(&same.expect("sound")), json!([]));
    let after = loader("hunter2", text)
        .reload_with(&before, |_| {})
        .expect("sound");
    assert_eq!(told(&after), json!([["listen.key", "***", "***", false]]));
    let moved = text.replace("a:1", "b:2");
    let kept = loader("hunter3", &moved)
        .reload_with(&after.loaded, |_| {})
        .expect("sound");
    assert_eq!(kept.loaded.value.listen.public.as_deref(), Some("a:1"));
    let key = kept.loaded.value.listen.key.as_ref().map(Secret::expose);
    assert_eq!(key, Some("hunter3"));
    assert!(kept.loaded.to_yaml().contains("key: ${secret:k}"));
}

#[test]
fn a_version_comes_back_with_the_secrets_of_today() {
    let old = running("listen: {cert: c, key: hunter1, http2: true}\n");
    let record = old.record();
    assert_eq!(
        record,
        json!({"listen": {"cert": "c", "key": "***", "http2": true}})
    );
    let now = running("listen: {cert: d, key: hunter2}\n");
    let loader = Loader::<Sample>::new().version("version 1", &record, &now);
    let back = loader
        .reload_with(&now, |_| {})
        .expect("it is known")
        .loaded
        .value;
    assert_eq!(
        (back.listen.cert.as_deref(), back.listen.http2),
        (Some("c"), true)
    );
    assert_eq!(
        back.listen.key.as_ref().map(|key| key.expose()),
        Some("hunter2")
    );
    let without = running("{}\n");
    let loader = Loader::<Sample>::new().version("version 1", &record, &without);
    let problems = loader
        .reload_with(&without, |_| {})
        .expect_err("nobody knows the key");
    assert!(problems.to_string().contains("listen.key"), "{problems}");
}

#[test]
fn a_version_keeps_references_and_nothing_that_they_stand_for() {
    use seaworthy_config::{References, Secret};
    let loader = |value: &str| {
        let known = [("k".to_owned(), Secret::new(value))].into();
        let variables = [("NAME".to_owned(), "hunter9".to_owned())];
        let references = References::new(variables).defined_at("env").secrets(known);
        Loader::<Sample>::new().references(references)
    };
    let text =
        "listen: {cert: 'c-${env:NAME}', key: '${secret:k}', public: '$${x}'}\nenv: {k: hunter8}\n";
    let old = loader("hunter1").text(Layer::File, "a.yaml", text, Format::Yaml);
    let old = old.load().expect("sound");
    let record = old.record();
    let shown = record.to_string();
    assert!(
        !shown.contains("hunter") && shown.contains("${secret:k}"),
        "{shown}"
    );
    let now = "listen: {cert: d, key: hunter2, public: 'a:1'}\nenv: {k: hunter3}\n";
    let now = loader("hunter5")
        .text(Layer::File, "a.yaml", now, Format::Yaml)
        .load();
    let now = now.expect("sound");
    let back = loader("hunter6").version("version 1", &record, &now);
    let back = back.reload_with(&now, |_| {}).expect("sound").loaded;
    let listen = &back.value.listen;
    assert_eq!(listen.cert.as_deref(), Some("c-hunter9"));
    assert_eq!(listen.key.as_ref().map(Secret::expose), Some("hunter6"));
    assert_eq!(back.value.env["k"].expose(), "hunter3", "the one of today");
    assert_eq!(back.record(), {
        let mut same = record.clone();
        // A restart is needed for this one.
        same["listen"]["public"] = "a:1".into();
        same
    });
    assert!(!back.to_yaml().contains("hunter"), "{}", back.to_yaml());
}

#[test]
fn an_address_with_a_password_is_kept_without_it() {
    let old =
        running("name: 'http://host/a:b@c'\nlisten: {public: 'redis://user:hunter1@host/0'}\n");
    assert_eq!(
        old.record(),
        json!({"name": "http://host/a:b@c", "listen": {"public": "***"}})
    );
    let loader = Loader::<Sample>::new().version("version 1", &old.record(), &old);
    let back = loader
        .reload_with(&old, |_| {})
        .expect("it is known")
        .loaded
        .value;
    assert_eq!(
        back.listen.public.as_deref(),
        Some("redis://user:hunter1@host/0")
    );
}
