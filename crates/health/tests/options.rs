//! Options as they stand in a file: beside those that all checks have, in a list of many kinds.

use schemars::JsonSchema;
use seaworthy_health::probe;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Check {
    Http(Of<probe::http::Http>),
    Exec(Of<probe::exec::Exec>),
    Disk(Of<probe::disk::Disk>),
    Memory(Of<probe::memory::Memory>),
    Grpc(Of<probe::grpc::Grpc>),
    Nats(Of<probe::nats::Nats>),
    Count(Of<probe::count::Count>),
    Heartbeat(Of<probe::heartbeat::Heartbeat>),
    Upstream(Of<probe::upstream::Upstream>),
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Of<P> {
    name: String,
    #[serde(flatten)]
    probe: P,
}

#[test]
fn every_option_can_be_written_and_read_again() {
    let checks = json!([
        {"kind": "http", "name": "a", "url": "http://a/", "method": "HEAD", "status": "200", "on_bad_status": "degraded",
         "headers": {}, "pointer": "/a", "equals": {"b": [1, null]}, "min": 1, "max": 2.5, "as": "x", "ca": "/ca.pem"},
        {"kind": "exec", "name": "b", "command": ["a"], "pass_env": ["HOME"], "directory": "/", "parse": "json_object_count",
         "as": "x", "pointer": "", "equals": true, "min": -1, "max": 1e3},
        {"kind": "disk", "name": "c", "path": "/", "warn_percent": 7.5, "fail_percent": 5, "warn_gb": 1, "fail_gb": 0.5},
        {"kind": "memory", "name": "d", "warn_percent": 85, "fail_percent": 95, "root": "/x"},
        {"kind": "grpc", "name": "e", "url": "http://a:1/", "service": "x", "ca": "/ca.pem"},
        {"kind": "nats", "name": "f", "url": "nats://a:1", "ca": "/ca.pem"},
        {"kind": "count", "name": "g", "file": "/x", "window": "5m", "warn_below": 1, "fail_below": 0, "field": "at", "as": "x"},
        {"kind": "heartbeat", "name": "h", "worker": "w", "file": "/x", "stale_after": "1m"},
        {"kind": "upstream", "name": "i", "url": "http://a/", "propagate": "degraded", "headers": {}, "ca": "/ca.pem"},
    ]);
    let read: Vec<Check> = serde_json::from_value(checks.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), checks);
    let number = json!({"kind": "http", "name": "a", "url": "http://a/", "status": 204});
    assert!(serde_json::from_value::<Check>(number).is_ok());
}

#[test]
fn everything_but_what_is_looked_at_has_a_default() {
    for check in [
        json!({"kind": "http", "name": "a", "url": "http://a/"}),
        json!({"kind": "exec", "name": "b", "command": ["a"]}),
        json!({"kind": "disk", "name": "c"}),
        json!({"kind": "memory", "name": "d"}),
        json!({"kind": "grpc", "name": "e", "url": "http://a:1/"}),
        json!({"kind": "nats", "name": "f", "url": "nats://a:1"}),
        json!({"kind": "count", "name": "g", "file": "/x"}),
        json!({"kind": "heartbeat", "name": "h"}),
        json!({"kind": "upstream", "name": "i", "url": "http://a/"}),
    ] {
        assert!(
            serde_json::from_value::<Check>(check.clone()).is_ok(),
            "{check}"
        );
    }
}

#[test]
fn every_option_says_what_it_is_for() {
    let schema = schemars::schema_for!(Vec<Check>).to_value();
    let branches = schema["$defs"]["Check"]["oneOf"].as_array().unwrap();
    assert_eq!(branches.len(), 9);
    for branch in branches {
        for (name, option) in branch["properties"].as_object().unwrap() {
            let is_told = option["description"].is_string();
            assert!(
                is_told || ["kind", "name"].contains(&name.as_str()),
                "{name}"
            );
        }
    }
}
