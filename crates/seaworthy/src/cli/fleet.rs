//! `seaworthy fleet diff`: whether all instances that follow the registry have the same configuration.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::config::open_registry;
use super::{FINDINGS, FINE, Global, RunArgs, output};
use crate::failure::Failure;
use crate::registry::Member;

/// Arguments of `fleet`.
#[derive(Args, Clone, Debug)]
pub struct FleetArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: FleetVerb,
}

/// What to do with a fleet.
#[derive(Clone, Debug, Subcommand)]
pub enum FleetVerb {
    /// List instances by the configuration that they have; the exit code is 1 when it is not the same everywhere
    Diff,
}

/// Does what the verb says, and gives the exit code.
pub(super) async fn execute(global: &Global, args: &FleetArgs) -> anyhow::Result<u8> {
    let FleetVerb::Diff = args.verb;
    let options = super::config::options(global, &RunArgs::default())?;
    let (mut publisher, _) = open_registry(&options).await?;
    let members = publisher.members().await.map_err(Failure::from)?;
    let mut by_hash: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in members.iter().filter(|member| member.is_fresh()) {
        by_hash.entry(&member.ack.hash).or_default().push(member);
    }
    // What most have comes first.
    let mut groups: Vec<_> = by_hash.into_iter().collect();
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    if global.json {
        let group = |(hash, members): &(&str, Vec<&Member>)| {
            let instances = members.iter().map(|member| &member.ack);
            json!({"hash": hash, "instances": instances.collect::<Vec<_>>()})
        };
        output::json(&json!({
            "drift": groups.len() > 1,
            "configurations": groups.iter().map(group).collect::<Vec<_>>(),
        }));
    } else if groups.is_empty() {
        output::data("no instance has been heard of");
    } else {
        for (hash, members) in &groups {
            let short = hash.get(..12).unwrap_or(hash);
            for Member { ack, .. } in members {
                let version = ack
                    .version
                    .map_or("none".to_owned(), |version| version.to_string());
                output::data(&format!(
                    "{short}  {}  version {version}, generation {}: {}",
                    ack.instance,
                    ack.generation,
                    ack.result.word()
                ));
            }
        }
    }
    Ok(if groups.len() > 1 { FINDINGS } else { FINE })
}
