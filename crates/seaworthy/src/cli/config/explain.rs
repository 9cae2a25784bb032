//! `seaworthy config explain KEY`: what a setting means, what it may be, and what it is here.

use seaworthy_config::{Loaded, Path, about_setting, needs_restart};
use serde_json::{Value, json};

use super::{Global, output, part, unknown};
use crate::config::Config;

/// Shows what is known of one setting.
pub(super) fn explain(global: &Global, loaded: &Loaded<Config>, key: &str) -> anyhow::Result<()> {
    let path = Path::from(key);
    let Some(about) = about_setting::<Config>(&path) else {
        return Err(unknown(&path).into());
    };
    let default = part(&json!(Config::default()), &path);
    let value = part(&loaded.canonical(), &path);
    let origin = match loaded.place(&path) {
        Some(place) => place.to_string(),
        None => "default".to_owned(),
    };
    let restart = needs_restart::<Config>(&path);
    let text = about["description"].as_str().unwrap_or_default();
    let below: Vec<&String> = about["properties"]
        .as_object()
        .map(|properties| properties.keys().collect())
        .unwrap_or_default();
    if global.json {
        output::json(&json!({
            "key": path.to_string(),
            "about": text,
            "may_be": kinds(&about),
            "default": default,
            "value": value,
            "origin": origin,
            "requires_restart": restart,
            "below": below,
        }));
        return Ok(());
    }
    let mut lines = vec![format!("{path}: {}", text.replace('\n', " "))];
    let kinds = kinds(&about);
    if !kinds.is_empty() {
        lines.push(format!("  may be   {}", kinds.join(", ")));
    }
    if below.is_empty() {
        lines.push(format!("  default  {}", said(&default)));
        lines.push(format!("  here     {}  # {origin}", said(&value)));
    } else {
        let below: Vec<String> = below
            .iter()
            .map(|key| path.key(key.as_str()).to_string())
            .collect();
        lines.push(format!("  below    {}", below.join(", ")));
        lines.push(format!("  here     `seaworthy config show {path}`"));
    }
    if restart {
        lines.push("  A change holds after a restart.".to_owned());
    }
    output::data(&lines.join("\n"));
    Ok(())
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => "unset".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What may be written, in a few words.
fn kinds(about: &Value) -> Vec<String> {
    if let Some(word) = about["const"].as_str() {
        return vec![word.to_owned()];
    }
    if let Some(title) = about["title"].as_str() {
        return vec![title.to_owned()];
    }
    let choices = about["enum"].as_array().into_iter().flatten().map(said);
    let branches = ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|key| about[key].as_array());
    let choices: Vec<String> = choices.chain(branches.flatten().flat_map(kinds)).collect();
    if !choices.is_empty() {
        return choices;
    }
    let types = match &about["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let mut kinds: Vec<String> = types
        .iter()
        .filter(|one| *one != "null")
        .map(said)
        .collect();
    let bounds = [("minimum", "at least"), ("maximum", "at most")];
    let bounds = bounds
        .iter()
        .filter_map(|(key, word)| Some(format!("{word} {}", about.get(key)?)));
    kinds.extend(bounds);
    kinds
}
