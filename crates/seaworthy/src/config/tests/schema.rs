//! The schema that editors are given, and the reference page is made of.

use seaworthy_config::{Loader, schema_of};

use super::{Config, Preset, yaml};

#[test]
fn every_setting_is_documented() {
    fn undocumented(schema: &serde_json::Value, at: &str, found: &mut Vec<String>) {
        for (key, property) in schema
            .get("properties")
            .and_then(|p| p.as_object())
            .into_iter()
            .flatten()
        {
            // A key that tells alternatives apart is described by them.
            if property.get("description").is_none() && property.get("const").is_none() {
                found.push(format!("{at}.{key}"));
            }
        }
    }
    let schema = seaworthy_config::schema_of::<Config>();
    let mut found = Vec::new();
    undocumented(&schema, "", &mut found);
    for (name, part) in schema["$defs"].as_object().unwrap() {
        undocumented(part, name, &mut found);
        for branch in part
            .get("oneOf")
            .and_then(|b| b.as_array())
            .into_iter()
            .flatten()
        {
            undocumented(branch, name, &mut found);
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn it_agrees_with_the_typed_parser() {
    let validator = jsonschema::draft202012::new(&schema_of::<Config>()).unwrap();
    let defaults = Loader::<Config>::new().load().unwrap();
    assert!(validator.is_valid(&defaults.canonical()));
    for preset in Preset::ALL {
        let canonical = yaml(preset.text()).unwrap().canonical();
        let errors: Vec<String> = validator
            .iter_errors(&canonical)
            .map(|error| format!("{} {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", preset.name());
    }
    for text in [
        r#"{"listne": {}}"#,
        r#"{"listen": {"tls": {"cert": "/c"}}}"#,
        r#"{"app": {"instances": 0}}"#,
        r#"{"app": {"command": {"a": 1}}}"#,
        r#"{"app": {"restart": {"policy": "maybe"}}}"#,
        r#"{"shutdown": {"grace": "soon"}}"#,
        r#"{"shutdown": {"fail_exit": 256}}"#,
        r#"{"endpoints": [{"path": "/a"}]}"#,
        r#"{"limits": {"total": "never"}}"#,
        r#"{"routes": [{"match": "/a", "max_body": "1 elephant"}]}"#,
        r#"{"threads": "many"}"#,
    ] {
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        assert!(!validator.is_valid(&document), "{text}");
        assert!(yaml(text).is_err(), "{text}");
    }
}
