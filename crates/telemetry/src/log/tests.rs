//! Lines as a reader of the log sees them.

use std::sync::Arc;

use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(style: Style, level: Level, act: impl FnOnce(Handle)) -> String {
    let paper = Paper::default();
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = Lines::new(style, "kronos", Box::new(paper.clone()));
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    tracing::subscriber::with_default(subscriber, || act(Handle(handle)));
    let text = paper.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

fn json(act: impl FnOnce(Handle)) -> Vec<Value> {
    let text = logged(Style::Json, Level::Info, act);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_has_the_keys_that_every_line_has() {
    let lines = json(|_| {
        tracing::warn!(event = "app.exited", code = 137, oom = true, ratio = 0.5, endless = f64::INFINITY, cause = %"killed", "the app \"died\"\nbadly");
        tracing::info!(request_id = "abc", "plain");
    });
    let mut first = lines[0].clone();
    let stamp = first.as_object_mut().unwrap().shift_remove("ts").unwrap();
    assert!(stamp.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(
        first,
        serde_json::json!({
            "level": "warn", "event": "app.exited", "service": "kronos", "message": "the app \"died\"\nbadly",
            "request_id": null, "trace_id": null, "span_id": null,
            "code": 137, "oom": true, "ratio": 0.5, "endless": "inf", "cause": "killed",
        })
    );
    assert_eq!(
        (&lines[1]["event"], &lines[1]["request_id"]),
        (&"log".into(), &"abc".into())
    );
}

#[test]
fn fields_cannot_repeat_our_keys_and_long_ones_are_cut() {
    let lines = json(|_| {
        tracing::error!(
            level = "forged",
            ts = 1,
            huge = "x".repeat(20_000).as_str(),
            "m"
        )
    });
    assert_eq!(
        (&lines[0]["level"], &lines[0]["field_level"]),
        (&"error".into(), &"forged".into())
    );
    assert!(lines[0]["ts"].is_string());
    assert!(lines[0]["huge"].as_str().unwrap().ends_with("x…"));
}

#[test]
fn errors_are_told_with_their_causes() {
    let inner = std::io::Error::other("disk full");
    let outer = std::io::Error::other(Outer(inner));
    let lines = json(|_| tracing::error!(error = &outer as &dyn std::error::Error, "m"));
    assert_eq!(lines[0]["error"], "cannot save: disk full");
}

#[derive(Debug, thiserror::Error)]
#[error("cannot save")]
struct Outer(#[source] std::io::Error);

#[test]
fn the_level_can_change_and_others_are_heard_from_warn_on() {
    let lines = json(|handle| {
        tracing::debug!(target: "seaworthy_http::h1", "hidden");
        handle.set_level(Level::Debug);
        tracing::debug!(target: "seaworthy_http::h1", "shown");
        tracing::debug!(target: "h2", "noise");
        tracing::warn!(target: "h2", "heard");
        handle.set_level(Level::Error);
        tracing::warn!(target: "h2", "muted");
    });
    let messages: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
    assert_eq!(messages, ["shown", "heard"]);
}

#[test]
fn people_get_short_lines() {
    let say = |_| {
        tracing::warn!(
            event = "app.exited",
            code = 1,
            hint = "say \"hi\"",
            empty = "",
            "one\x1b[2J\ntwo"
        )
    };
    let text = logged(Style::Text { color: false }, Level::Info, say);
    assert_eq!(
        &text[8..],
        "Z warn  one\\u001b[2J\n                two code=1 hint=\"say \\\"hi\\\"\" empty=\"\"\n"
    );
    let colored = logged(Style::Text { color: true }, Level::Info, say);
    assert!(colored.contains("\x1b[1;33mwarn\x1b[0m"));
}

#[test]
fn people_are_told_nothing_twice_and_no_steps() {
    let say = |_| {
        tracing::info!(
            event = "startup.phase",
            phase = "config",
            "starting: config"
        );
        tracing::warn!(
            cause = "the app ended",
            evidence = "exit code 3, pid 7",
            code = 3,
            pid = 77,
            "the app ended (exit code 3, pid 7)"
        );
    };
    let text = logged(Style::Text { color: false }, Level::Info, say);
    assert_eq!(
        &text[8..],
        "Z warn  the app ended (exit code 3, pid 7) pid=77\n"
    );
    let json = json(say);
    assert_eq!(json.len(), 2);
    assert_eq!(json[1]["cause"], "the app ended");
}

#[test]
fn no_color_is_honoured() {
    assert!(!wants_color(Some("1".as_ref())));
}

#[test]
fn the_section_has_defaults_and_refuses_unknown_keys() {
    let config: Config = serde_json::from_str(r#"{"level": "debug"}"#).unwrap();
    assert_eq!(
        config,
        Config {
            level: Level::Debug,
            format: Format::Auto,
            access: true
        }
    );
    assert!(serde_json::from_str::<Config>(r#"{"levle": "debug"}"#).is_err());
}

#[test]
fn logging_is_set_up_once() {
    let config = Config {
        level: Level::Error,
        format: Format::Json,
        access: true,
    };
    let handle = init(&config, "first").unwrap();
    handle.set_level(Level::Warn);
    assert!(init(&config, "second").is_err());
}
