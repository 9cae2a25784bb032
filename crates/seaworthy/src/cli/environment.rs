//! `seaworthy config env`: what the app expects in its environment, and what it would find there.

use std::fmt::Write as _;

use seaworthy_config::environment::{Found, Origin, Report, Required};
use serde_json::Value;

use super::{FINDINGS, FINE, Global, output};
use crate::config::Config;

const COLUMNS: [&str; 6] = ["KEY", "TYPE", "REQUIRED", "DEFAULT", "VALUE", "RESULT"];

/// Prints it, and gives the exit code.
pub(super) fn execute(global: &Global, config: &Config) -> u8 {
    let report = config.environment();
    if global.json {
        output::json(&report);
        let warnings = report.iter().flat_map(|found| &found.warnings);
        warnings.for_each(|warning| output::talk(&format!("warning: {warning}")));
    } else {
        output::data(&table(&report));
    }
    match report.errors().next() {
        Some(_) => FINDINGS,
        None => FINE,
    }
}

fn table(report: &Report) -> String {
    let mut all: Vec<&Found> = report.iter().collect();
    if all.is_empty() {
        return "nothing is expected of the app's variables: the section `env` says it".to_owned();
    }
    // Stable, so that the names stay sorted within a group.
    all.sort_by(|one, other| one.group.cmp(&other.group));
    let rows: Vec<[String; 6]> = all.iter().map(|found| row(found)).collect();
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(COLUMNS[column].len())
        })
        .collect();
    let mut text = line(&COLUMNS.map(str::to_owned), &widths);
    let mut group = None;
    for (found, row) in all.iter().zip(&rows) {
        if found.group != group {
            group.clone_from(&found.group);
            // Writing to a text cannot fail.
            writeln!(text, "# {}", group.as_deref().unwrap_or_default()).ok();
        }
        text.push_str(&line(row, &widths));
    }
    let count = |result| {
        all.iter()
            .filter(|found| self::result(found) == result)
            .count()
    };
    let [passed, warned, failed] = ["PASS", "WARN", "FAIL"].map(count);
    let total = all.len();
    write!(
        text,
        "{total} variables: {passed} pass, {warned} warn, {failed} fail"
    )
    .ok();
    text
}

fn result(found: &Found) -> &'static str {
    match (found.is_valid(), found.warnings.is_empty()) {
        (false, _) => "FAIL",
        (true, false) => "WARN",
        (true, true) => "PASS",
    }
}

fn row(found: &Found) -> [String; 6] {
    let shown = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let required = match found.required {
        Required::No => "no",
        Required::Warn => "warn",
        Required::Yes => "yes",
    };
    let value = match found.origin {
        Origin::Unset => "-".to_owned(),
        Origin::Default | Origin::Set => shown(&found.shown()),
    };
    // The name stands in front already.
    let name = format!("{}: ", found.name);
    let said: Vec<&str> = found
        .errors
        .iter()
        .chain(&found.warnings)
        .map(|said| said.strip_prefix(&name).unwrap_or(said))
        .collect();
    let result = format!("{} {}", result(found), said.join("; "));
    [
        found.name.clone(),
        found.kind.to_string(),
        required.to_owned(),
        shown(&found.default_shown()),
        value,
        result.trim_end().to_owned(),
    ]
}

fn line(cells: &[String; 6], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        write!(text, "{cell:width$}  ").ok();
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
