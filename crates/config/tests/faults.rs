//! What is wrong is said all at once, where it was written, with the way to mend it.

mod sample;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sample::{Sample, file, yaml};
use seaworthy_config::{Format, Layer, Loader, Problems, closest_setting};

/// Compares with a file in `tests/golden`; `BLESS=1` writes it.
fn golden(name: &str, text: &str) {
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).expect("the golden folder is writable");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "differs from {path}");
}

fn messages(problems: &Problems) -> String {
    let line = |problem: &seaworthy_config::Problem| {
        let line = problem
            .place
            .as_ref()
            .and_then(|place| place.line)
            .unwrap_or(0);
        let help = problem.help.as_deref().unwrap_or("");
        format!("{line} {} {} [{help}]\n", problem.path, problem.message)
    };
    problems.items().iter().map(line).collect()
}

const BROKEN: &str = "\
nmae: shop
limits:
  total: 5
  idle: 3 parsecs
  body: {max: 1}
  connections: 70000
listen:
  http2: yes
  public: [a]
  cert: c
endpoints:
  - {path: /a, view: redy}
  - {view: live}
  -
store: {kind: fle, path: x}
wholly_unknown: 1
";

#[test]
fn reports_everything_at_once() {
    let problems = yaml(BROKEN).unwrap_err();
    golden("everything", &problems.render(false));
    assert_eq!(problems.errors(), 12, "{problems}");
}

#[test]
fn points_into_toml_json_variables_and_flags() {
    let mut text = String::new();
    for (name, broken) in [
        (
            "a.toml",
            "[limits]\nidel = \"3s\"\n[listen]\nhttp2 = 'on'\n",
        ),
        ("a.toml", "[limits\nname = \n"),
        ("a.json", "{\n  \"limits\": {\"idle\": 3}\n}"),
        ("a.json", "{\"name\": }"),
        ("a.yaml", "limits:\n  idle: 3s\n bad\n"),
        ("a.yaml", "limits: {idle: 3s\nname: x"),
        ("a.yaml", "a: *nope"),
    ] {
        text.push_str(&file(name, broken).unwrap_err().render(false));
        text.push_str("\n\n");
    }
    let problems = Loader::<Sample>::new()
        .environment(
            "APP",
            [("APP__LIMITS__IDLE", "soon"), ("APP__LIMITZ__IDLE", "1s")],
        )
        .set("limits.connections=many")
        .flag("--trusted", "listen.trusted", "[1")
        .load()
        .unwrap_err();
    text.push_str(&problems.render(false));
    let problems = Loader::<Sample>::new()
        .environment(
            "APP",
            [("APP__LIMITS__IDLE", "soon"), ("APP__LIMITZ__IDLE", "1s")],
        )
        .set("limits.connections=many")
        .load()
        .unwrap_err();
    text.push_str("\n\n");
    text.push_str(&problems.render(false));
    golden("places", &text);
}

#[test]
fn renders_in_colour_and_as_json() {
    let problems = yaml("limits: {idel: 3s}").unwrap_err();
    assert!(problems.render(true).contains("\u{1b}["));
    assert!(!problems.render(false).contains("\u{1b}["));
    assert_eq!(
        problems.to_json(),
        serde_json::json!([{
            "severity": "error", "path": "limits.idel", "message": "unknown key `idel`", "help": "did you mean `idle`?",
            "place": {"layer": "file", "name": "sample.yaml", "line": 1, "column": 10},
        }])
    );
}

#[test]
fn cross_field_findings_stand_beside_the_others_unless_their_fields_are_spoilt() {
    let problems = yaml("listen: {cert: c}\nnmae: x").unwrap_err();
    assert!(
        messages(&problems)
            .contains("1 listen.cert a certificate needs its key [set `listen.key`]"),
        "{problems}"
    );
    assert_eq!(problems.errors(), 2);
    let problems = yaml("listen: {cert: c, key: [k]}").unwrap_err();
    assert_eq!(
        problems.errors(),
        1,
        "a key was given, only wrongly: {problems}"
    );
    let loaded = yaml("name: ''").unwrap();
    assert_eq!(loaded.warnings.items().len(), 1);
    assert_eq!(loaded.warnings.errors(), 0);
}

#[test]
fn duplicate_keys_are_errors_with_their_line() {
    for (name, text) in [
        ("a.yaml", "name: a\nlimits: {}\nname: b\n"),
        ("a.toml", "name = 'a'\n\nname = 'b'\n"),
        ("a.json", "{\"name\": \"a\",\n\n\"name\": \"b\"}"),
    ] {
        let problems = file(name, text).unwrap_err();
        assert_eq!(
            problems.items()[0].place.as_ref().unwrap().line,
            Some(3),
            "{problems}"
        );
    }
}

#[test]
fn bombs_are_refused_quickly_and_with_a_line() {
    let mut aliases = String::from("x-0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        writeln!(aliases, "x-{level}: &a{level} [{below}]").unwrap();
    }
    let deep_flow = format!("name: {}", "[".repeat(20_000));
    let deep_block = (0..2_000).fold(String::new(), |text, depth| {
        text + &" ".repeat(depth) + "a:\n"
    });
    let scalar = format!("limits: {{}}\nname: {}\n", "x".repeat(1 << 20));
    let toml_scalar = format!("\nname = \"{}\"\n", "x".repeat(1 << 20));
    let toml_deep = format!("name = {}", "[".repeat(20_000));
    let json_deep = format!("{{\"name\": {}", "[".repeat(20_000));
    let large = "# comment\n".repeat(500_000);
    for (name, text, line) in [
        ("aliases.yaml", &aliases, None),
        ("flow.yaml", &deep_flow, Some(1)),
        ("block.yaml", &deep_block, None),
        ("scalar.yaml", &scalar, Some(2)),
        ("scalar.toml", &toml_scalar, Some(2)),
        ("deep.toml", &toml_deep, Some(1)),
        ("deep.json", &json_deep, Some(1)),
        ("large.yaml", &large, Some(1)),
    ] {
        let started = Instant::now();
        let problems = file(name, text).unwrap_err();
        let rendered = problems.render(false);
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "{name} took {:?}",
            started.elapsed()
        );
        assert!(
            rendered.len() < 2_000,
            "{name}: {} bytes of message",
            rendered.len()
        );
        let found = problems.items()[0]
            .place
            .as_ref()
            .and_then(|place| place.line);
        assert!(found.is_some(), "{name}: {rendered}");
        assert!(
            line.is_none() || found == line,
            "{name}: {found:?} {rendered}"
        );
    }
}

#[test]
fn what_is_no_mapping_is_told_with_its_place() {
    for (name, text, found) in [
        ("a.yaml", "\njust words\n", "this is text"),
        ("a.yaml", "- a\n- b\n", "this is a list"),
        ("a.json", "[1]", "this is a list"),
    ] {
        let told = file(name, text).unwrap_err().render(false);
        for part in [found, "a.", ":1", "such as `threads: 2`"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    for nothing in ["", "# a comment\n", "---\n"] {
        let problems =
            file("a.yaml", nothing).map_or_else(|told| told.to_string(), |_| String::new());
        assert!(!problems.contains("mapping of keys"), "{problems}");
    }
}

#[test]
fn mistakes_in_the_notation_are_told_with_the_way_out() {
    for (name, text, help) in [
        ("a.yaml", "limits:\n\tidle: 3s\n", "indent with spaces"),
        (
            "a.yaml",
            "listen:\n  http2: true\n   cert: c\n",
            "check the indentation",
        ),
        ("a.yaml", "name: [a\n", "quotes and brackets"),
        ("a.yaml", "name: *nope\n", "begins with `*`"),
        (
            "a.json",
            "{\"name\": \"a\",}",
            "no comma follows the last entry",
        ),
    ] {
        let told = file(name, text).unwrap_err().render(false);
        assert!(told.contains(help), "{help}: {told}");
    }
}

#[test]
fn the_setting_that_was_meant_is_found() {
    let meant = |path: &str| closest_setting::<Sample>(&path.into()).map(|path| path.to_string());
    assert_eq!(meant("limits.idel").as_deref(), Some("limits.idle"));
    assert_eq!(meant("limitz.idel").as_deref(), Some("limits.idle"));
    assert_eq!(meant("limits.parsecs"), None);
}

#[test]
fn hints_at_words_lists_and_quotes() {
    let text = messages(
        &yaml("limits: {connections: '7'}\nlisten: {trusted: private, http2: off}\nstore: memory")
            .unwrap_err(),
    );
    assert!(text.contains("remove the quotes"), "{text}");
    assert!(text.contains("a list is written as"), "{text}");
    assert!(text.contains("write `true` or `false`"), "{text}");
    assert!(text.contains("store expected a mapping, found"), "{text}");
}

#[test]
fn several_files_tell_their_faults_together() {
    let problems = Loader::<Sample>::new()
        .text(Layer::File, "a.yaml", "a: [", Format::Yaml)
        .text(Layer::Overlay, "b.toml", "b = ", Format::Toml)
        .set("novalue")
        .set("endpoints[0].path=/a")
        .load()
        .unwrap_err();
    assert_eq!(problems.errors(), 4, "{problems}");
    assert!(problems.to_string().contains("`novalue` is not KEY=VALUE"));
    assert!(
        problems
            .to_string()
            .contains("`endpoints[0].path` is inside a list")
    );
}
