//! `seaworthy explain TYPE`: what an error of ours means and what to do about it; without a type, the list of them.

use std::fmt::Write;

use clap::Args;
use seaworthy_core::catalogue::{self, ErrorType};
use serde_json::{Value, json};

use super::{Global, output};
use crate::failure::Failure;

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The word in `error.type`, in any case of letters; without it, every one is listed
    #[arg(value_name = "TYPE")]
    pub name: Option<String>,
}

/// Prints one entry of the catalogue, or all of them.
pub(super) fn execute(global: &Global, args: &ExplainArgs) -> anyhow::Result<()> {
    let entries = match &args.name {
        Some(name) => vec![find(name)?],
        None => catalogue::ALL.to_vec(),
    };
    match (global.json, &args.name, entries.as_slice()) {
        (true, Some(_), [one]) => output::json(&object(one)),
        (true, ..) => output::json(
            &entries
                .iter()
                .map(|entry| object(entry))
                .collect::<Vec<_>>(),
        ),
        (false, Some(_), [one]) => output::data(&words(one)),
        (false, ..) => output::data(&list(&entries)),
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static ErrorType, Failure> {
    catalogue::find(name).ok_or_else(|| {
        let wanted = name.to_ascii_lowercase();
        let near = catalogue::ALL
            .iter()
            .map(|entry| entry.name)
            .filter(|known| {
                let known = known.to_ascii_lowercase();
                strsim::damerau_levenshtein(&known, &wanted) <= 3
                    || (wanted.len() > 3 && known.contains(&wanted))
            });
        let near: Vec<&str> = near.collect();
        let hint = if near.is_empty() {
            ";".to_owned()
        } else {
            format!("; did you mean {}?", near.join(" or "))
        };
        Failure::usage(format!(
            "there is no error type `{name}`{hint} `seaworthy explain` lists them all"
        ))
    })
}

fn object(entry: &ErrorType) -> Value {
    json!({
        "type": entry.name,
        "status": entry.status,
        "message": entry.message,
        "hint": entry.hint,
        "retry_after": entry.retry_after,
    })
}

fn words(entry: &ErrorType) -> String {
    let retry = entry
        .retry_after
        .map_or_else(String::new, |seconds| format!("\nRetry-After: {seconds}"));
    format!(
        "{} ({})\n\n{}\n\n{}{retry}",
        entry.name, entry.status, entry.message, entry.hint
    )
}

fn list(entries: &[&ErrorType]) -> String {
    let width = entries
        .iter()
        .map(|entry| entry.name.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for entry in entries {
        writeln!(
            text,
            "{:width$}  {}  {}",
            entry.name, entry.status, entry.message
        )
        .expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_near_misses_are_helped() {
        assert_eq!(find("shuttingdown").unwrap().name, "ShuttingDown");
        let near = find("ShutingDown").unwrap_err();
        assert!(
            near.message.contains("did you mean ShuttingDown?"),
            "{near}"
        );
        assert_eq!(near.code, 2);
        assert!(
            find("upstream")
                .unwrap_err()
                .message
                .contains("UpstreamCrashed or UpstreamClosed")
        );
        assert!(
            !find("zzzzzzzzzzzz")
                .unwrap_err()
                .message
                .contains("did you mean")
        );
    }

    #[test]
    fn the_list_has_a_line_for_each() {
        assert_eq!(list(catalogue::ALL).lines().count(), catalogue::ALL.len());
        assert!(words(&catalogue::STARTING).contains("Retry-After: "));
        assert_eq!(object(&catalogue::STARTING)["status"], 503);
    }
}
