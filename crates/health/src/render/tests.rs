use std::time::Duration;

use seaworthy_core::health::{App, State, Weight};
use serde_json::{Value, json};

use super::*;
use crate::{Case, Only, Report};

fn component(name: &str, state: State, weight: Weight) -> Arc<Component> {
    let status = seaworthy_core::health::Words::default().status(state, weight);
    let mut component = Component::pending(name, "tcp", weight, status);
    component.state = state;
    component.message = if state == State::Ok {
        "fine"
    } else {
        "refused"
    }
    .to_owned();
    component.duration = Some(Duration::from_micros(1500));
    component.checked_at = Some(SystemTime::UNIX_EPOCH);
    component
        .metadata
        .insert("latency_ms".to_owned(), 1.5.into());
    component.metadata.insert("free_gb".to_owned(), 10.5.into());
    Arc::new(component)
}

fn snapshot(components: Vec<Arc<Component>>) -> Snapshot {
    let mut snapshot = Snapshot::new(
        "shop".to_owned(),
        Some("1.2".to_owned()),
        SystemTime::UNIX_EPOCH,
    );
    snapshot.gate = Gate::Open;
    snapshot.started = true;
    snapshot.state = "running";
    snapshot.app = App::Running;
    snapshot.report = Arc::new(Report::new(components));
    snapshot
}

fn broken() -> Snapshot {
    snapshot(vec![
        component("database", State::Fail, Weight::Critical),
        component("cache", State::Fail, Weight::Optional),
    ])
}

fn ask(snapshot: &Snapshot, view: View, format: Format, detailed: bool) -> (u16, Value) {
    let ask = Ask {
        view,
        format,
        detailed,
        ..Ask::default()
    };
    show(snapshot, ask)
}

fn show(snapshot: &Snapshot, ask: Ask<'_>) -> (u16, Value) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(61);
    let answer = answer(snapshot, ask, None, now).expect("a document");
    let document = serde_json::from_slice(&answer.body).expect("JSON");
    (answer.code, document)
}

fn keys(document: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = document
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn codes_follow_gate_and_latch_in_every_format() {
    let mut new = broken();
    new.started = false;
    for format in Format::ALL {
        for (snapshot, live, ready, startup) in [
            (&snapshot(Vec::new()), 200, 200, 200),
            (&broken(), 200, 503, 200),
            (&new, 200, 503, 503),
        ] {
            let code = |view| ask(snapshot, view, format, false).0;
            assert_eq!(code(View::Live), live, "{format:?}");
            assert_eq!(code(View::Ready), ready, "{format:?}");
            assert_eq!(code(View::Startup), startup, "{format:?}");
            assert_eq!(code(View::Detailed), ready, "{format:?}");
            assert_eq!(code(View::Summary), 200, "{format:?}");
        }
    }
    let metrics = Ask::view(View::Metrics);
    assert_eq!(
        answer(&broken(), metrics, None, SystemTime::UNIX_EPOCH),
        None
    );
}

#[test]
fn full_says_everything() {
    let (_, document) = ask(&broken(), View::Detailed, Format::Full, false);
    assert_eq!(document["message"], "database: refused");
    let components = document["components"].as_array().expect("a list");
    let names: Vec<_> = components.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["app", "database", "cache"]);
    assert_eq!(components[1]["duration_ms"], 1.5);
    assert_eq!(components[2]["status"], "degraded");
    let (_, summary) = ask(&broken(), View::Summary, Format::Full, false);
    assert_eq!(
        summary["counts"],
        json!({"healthy": 0, "degraded": 1, "unhealthy": 1})
    );
    let (_, probe) = ask(&snapshot(Vec::new()), View::Ready, Format::Full, false);
    assert_eq!(
        probe,
        json!({"status": "healthy", "service": "shop", "checked_at": "1970-01-01T00:01:01Z"})
    );
}

#[test]
fn scry_has_three_keys_to_live_and_components_when_asked() {
    let healthy = snapshot(vec![component("database", State::Ok, Weight::Critical)]);
    let (_, live) = ask(&broken(), View::Live, Format::Scry, false);
    assert_eq!(keys(&live), ["checked_at", "service", "status"]);
    assert_eq!(live["status"], "healthy");
    let (_, ready) = ask(&healthy, View::Ready, Format::Scry, false);
    assert_eq!(ready.get("components"), None);
    for (view, detailed) in [(View::Ready, true), (View::Detailed, false)] {
        let (_, document) = ask(&healthy, view, Format::Scry, detailed);
        let components = document["components"].as_array().expect("a list");
        let names: Vec<_> = components.iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["database", "api"]);
        assert_eq!(
            keys(&components[0]),
            ["message", "metadata", "name", "status"]
        );
    }
}

#[test]
fn kronos_has_the_facts_beside_the_word() {
    let disk = snapshot(vec![component("disk", State::Ok, Weight::Critical)]);
    let (_, document) = ask(&disk, View::Detailed, Format::Kronos, false);
    assert_eq!(
        document["checks"],
        json!({"disk": {"status": "healthy", "free_gb": 10.5}})
    );
    assert_eq!(document["uptime_seconds"], 61);
    assert_eq!(document["timestamp"], "1970-01-01T00:01:01Z");
}

#[test]
fn house_has_response_times_and_breakers() {
    let (code, document) = ask(&broken(), View::Detailed, Format::House, false);
    assert_eq!((code, &document["status"]), (503, &"unhealthy".into()));
    assert_eq!(keys(&document["components"]), ["cache", "database"]);
    assert_eq!(document["components"]["cache"]["response_time_ms"], 1.5);
    assert!(document["circuit_breakers"].is_object());
    let (_, summary) = ask(&broken(), View::Summary, Format::House, false);
    for key in [
        "status",
        "uptime_seconds",
        "counts",
        "degraded_features",
        "startup",
    ] {
        assert!(summary.get(key).is_some(), "{key}");
    }
}

#[test]
fn soma_is_alive() {
    let (code, live) = ask(&broken(), View::Live, Format::Soma, false);
    assert_eq!((code, live), (200, json!({"status": "alive"})));
    let (code, ready) = ask(&broken(), View::Ready, Format::Soma, false);
    assert_eq!(
        (code, &ready["message"]),
        (503, &"database: refused".into())
    );
}

#[test]
fn harvester_has_four_keys_and_four_more() {
    let (_, ready) = ask(&broken(), View::Ready, Format::Harvester, false);
    assert_eq!(keys(&ready), ["components", "status", "uptime", "version"]);
    assert_eq!(
        keys(&ready["components"][0]),
        ["check_duration_ms", "message", "name", "status"]
    );
}

#[test]
fn the_draft_ties_words_to_codes() {
    let draft = |snapshot: &Snapshot| {
        let ask = Ask {
            draft: true,
            ..Ask::view(View::Detailed)
        };
        let (code, document) = show(snapshot, ask);
        (code, document["status"].clone())
    };
    assert_eq!(draft(&broken()), (503, "fail".into()));
    let degraded = snapshot(vec![component("cache", State::Fail, Weight::Optional)]);
    assert_eq!(draft(&degraded), (200, "warn".into()));
    assert_eq!(draft(&snapshot(Vec::new())), (200, "pass".into()));
}

#[test]
fn case_filter_and_component_are_heeded() {
    let snapshot = broken();
    let upper = Ask {
        case: Case::Upper,
        ..Ask::view(View::Ready)
    };
    assert_eq!(show(&snapshot, upper).1["status"], "UNHEALTHY");
    let required = Ask {
        only: Only::Critical,
        format: Format::Soma,
        ..Ask::view(View::Detailed)
    };
    let (_, document) = show(&snapshot, required);
    assert_eq!(document["components"].as_array().map(Vec::len), Some(1));
    let one = Ask {
        component: Some("cache"),
        ..Ask::view(View::Detailed)
    };
    let (_, document) = show(&snapshot, one);
    assert_eq!(document["components"][0]["name"], "cache");
    let none = Ask {
        component: Some("nothing"),
        ..Ask::view(View::Detailed)
    };
    assert_eq!(answer(&snapshot, none, None, SystemTime::UNIX_EPOCH), None);
}

#[test]
fn the_apps_own_part_is_a_component_in_every_shape() {
    let mut part = (*component("upstream", State::Ok, Weight::Optional)).clone();
    part.metadata = crate::Metadata::from_iter([("code".to_owned(), 200.into())]);
    let own = broken();
    for (format, at) in [
        (Format::Full, "/components/0/metadata/code"),
        (Format::Scry, "/components/0/metadata/code"),
        (Format::Kronos, "/checks/upstream/code"),
        (Format::House, "/components/upstream/metadata/code"),
        (Format::Soma, "/components/0/metadata/code"),
        (Format::Harvester, "/components/0/name"),
    ] {
        for view in [View::Live, View::Ready, View::Detailed] {
            let ask = Ask {
                format,
                component: Some("upstream"),
                ..Ask::view(view)
            };
            let merged =
                answer(&own, ask, Some(&part), SystemTime::UNIX_EPOCH).expect("a document");
            let document: Value = serde_json::from_slice(&merged.body).expect("JSON");
            let found = document.pointer(at).expect(at);
            assert!(*found == 200 || *found == "upstream", "{document}");
        }
    }
    let draft = Ask {
        draft: true,
        ..Ask::view(View::Live)
    };
    let merged = answer(&own, draft, Some(&part), SystemTime::UNIX_EPOCH).expect("a document");
    let document: Value = serde_json::from_slice(&merged.body).expect("JSON");
    let names = keys(&document["checks"]);
    assert_eq!(
        names,
        ["upstream:responseTime"],
        "liveness shows nothing else"
    );
}
