//! Who decides what somebody may do: rules in a file, or a service that is asked.

use std::path::PathBuf;
use std::sync::Arc;

use seaworthy_core::clock::Clock;
use seaworthy_core::route::RouteTable;
use seaworthy_http::auth::policy::cedar::{self, Cedar, Fault, Text};
use seaworthy_http::auth::policy::{LARGEST_DECISION, Policy, Remote};
use seaworthy_http::outbound::Client;

use super::text::read;
use crate::config::Config;
use crate::config::auth::Fail;
use crate::failure::Failure;

pub(super) fn policy(
    config: &Config,
    routes: &Arc<RouteTable>,
    clock: Clock,
) -> Result<Option<Policy>, Failure> {
    let Some(section) = &config.auth.policy else {
        return Ok(None);
    };
    if let Some(url) = &section.url {
        let client = Client::new(url, section.ca.clone(), LARGEST_DECISION);
        let open = section.fail == Fail::Open;
        let remote = Remote::new(
            client,
            section.timeout.get(),
            open,
            section.cache.get(),
            clock,
        );
        return Ok(Some(Policy::remote(remote, routes.clone())));
    }
    let Some(files) = &section.cedar else {
        return Ok(None);
    };
    let policies = read("auth.policy.cedar.policies", &files.policies)?;
    let other = |setting: &str, path: &Option<PathBuf>| {
        path.as_ref().map(|path| read(setting, path)).transpose()
    };
    let entities = other("auth.policy.cedar.entities", &files.entities)?;
    let schema = other("auth.policy.cedar.schema", &files.schema)?;
    let built = Cedar::new(&policies, entities.as_deref(), schema.as_deref());
    let cedar = built.map_err(|faults| {
        let shown = faults.iter().map(|fault| {
            let (path, text) = match fault.text {
                Text::Policies => (Some(&files.policies), policies.as_str()),
                Text::Entities => (
                    files.entities.as_ref(),
                    entities.as_deref().unwrap_or_default(),
                ),
                Text::Schema => (
                    files.schema.as_ref(),
                    schema.as_deref().unwrap_or(cedar::SCHEMA),
                ),
            };
            let name = path.map_or_else(
                || "the schema".to_owned(),
                |path| path.display().to_string(),
            );
            pointed(fault, &name, text)
        });
        Failure::usage(shown.collect::<Vec<_>>().join("\n"))
    })?;
    Ok(Some(Policy::cedar(cedar, routes.clone())))
}

/// A fault with its line, and a caret below.
fn pointed(fault: &Fault, name: &str, text: &str) -> String {
    let mut shown = fault.message.clone();
    if let Some((start, end)) = fault.at {
        let start = floor(text, start);
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let stop = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let number = text[..start].matches('\n').count() + 1;
        let column = text[begin..start].chars().count();
        let width = text[start..floor(text, end).clamp(start, stop)]
            .chars()
            .count()
            .max(1);
        let line = &text[begin..stop];
        let (blank, mark) = (" ".repeat(column), "^".repeat(width));
        shown = format!(
            "{shown}\n --> {name}:{number}:{}\n  | {line}\n  | {blank}{mark}",
            column + 1
        );
    } else {
        shown = format!("{name}: {shown}");
    }
    match &fault.help {
        Some(help) => format!("{shown}\n  = help: {help}"),
        None => shown,
    }
}

/// The last place between characters that is not behind `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}
