//! The schema that editors are given and the typed parser accept the same documents.

mod sample;

use proptest::prelude::*;
use sample::{Sample, file};
use seaworthy_config::schema_of;
use serde_json::{Value, json};

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema_of::<Sample>()).expect("the schema is valid")
}

fn agree(validator: &jsonschema::Validator, document: &Value) {
    let by_schema = validator.is_valid(document);
    let by_parser = file("a.json", &document.to_string());
    assert_eq!(
        by_schema,
        by_parser.is_ok(),
        "{document}\n{:?}",
        by_parser.err().map(|problems| problems.to_string())
    );
}

#[test]
fn on_documents_chosen_by_hand() {
    let validator = validator();
    for document in [
        json!({}),
        json!({"name": "a", "limits": {"total": "none", "idle": "1h30m", "body": 5}}),
        json!({"limits": {"total": "nonee"}}),
        json!({"limits": {"idle": "5"}}),
        json!({"limits": {"idle": "5 m"}}),
        json!({"limits": {"body": "5 MiB"}}),
        json!({"limits": {"body": "5k"}}),
        json!({"limits": {"body": -5}}),
        json!({"limits": {"connections": 65536}}),
        json!({"limits": {"unknown": 1}}),
        json!({"limits": {"x-mine": 1}, "x-other": {"a": [1]}}),
        json!({"endpoints": [{"path": "/a", "view": "live"}]}),
        json!({"endpoints": [{"path": "/a", "view": "dead"}]}),
        json!({"endpoints": [{"view": "live"}]}),
        json!({"endpoints": {"path": "/a"}}),
        json!({"store": {"kind": "memory"}}),
        json!({"store": {"kind": "memory", "size": "1KiB"}}),
        json!({"store": {"kind": "file"}}),
        json!({"store": {"kind": "file", "path": "/x"}}),
        json!({"store": {"kind": "tape", "path": "/x"}}),
        json!({"env": {"A": "b"}}),
        json!({"env": {"A": ["b"]}}),
        json!({"listen": {"http2": "true"}}),
        json!({"listen": []}),
    ] {
        agree(&validator, &document);
    }
}

fn word() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("none")),
        Just(json!("live")),
        Just(json!("memory")),
        Just(json!({})),
        Just(json!([])),
        "[0-9]{1,3}(ms|s|m|KiB|MB|x)?".prop_map(Value::from),
        "[a-z/]{1,6}".prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let limits = prop::collection::btree_map(
        prop::sample::select(vec!["total", "idle", "body", "x-a", "idel"]),
        word(),
        0..4,
    );
    let endpoint = prop::collection::btree_map(
        prop::sample::select(vec!["path", "view", "x-b", "vieww"]),
        word(),
        0..4,
    );
    let store = prop::collection::btree_map(
        prop::sample::select(vec!["kind", "size", "path"]),
        word(),
        0..4,
    );
    (
        limits,
        prop::collection::vec(endpoint, 0..3),
        prop::option::of(store),
    )
        .prop_map(|(limits, endpoints, store)| {
            let mut document = json!({"limits": limits, "endpoints": endpoints});
            if let Some(store) = store {
                document["store"] = json!(store);
            }
            document
        })
}

proptest! {
    #[test]
    fn on_documents_chosen_by_chance(document in document()) {
        agree(&validator(), &document);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z:{}\\[\\]&*<'\"\n \t0-9|>#!-]{0,60}", name in prop::sample::select(vec!["a.yaml", "a.toml", "a.json"])) {
        if let Err(problems) = file(name, &text) {
            prop_assert!(!problems.render(false).is_empty());
        }
    }
}
