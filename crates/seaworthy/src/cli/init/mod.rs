//! `seaworthy init`: a short file with comments, for the project that is found in the current folder.
//!
//! It says only what was found, and what a user is likely to want next as comments; everything else has a default. It is read once as
//! a configuration before it is written, so what is written can be used.

mod found;
mod look;
mod python;

use std::path::Path;

use clap::Args;
use seaworthy_config::{Format, Layer, Loader, Problems, References};
use serde_json::json;

use super::config::options;
use super::{FINE, Global, RunArgs, output};
use crate::config::{Config, Options, inside};
use crate::draft::Draft;
use crate::failure::Failure;
use found::Found;

/// What the file is called.
const FILE: &str = "seaworthy.yaml";

/// Arguments of `init`.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// Print the file instead of writing it
    #[arg(long)]
    pub print: bool,
    /// Write it although there is one; that one stays as `seaworthy.yaml.bak`
    #[arg(long)]
    pub force: bool,
}

/// Writes the file, and says what comes next.
pub(super) fn execute(global: &Global, args: &InitArgs) -> anyhow::Result<u8> {
    let options = options(global, &RunArgs::default())?;
    let file = match &options.file {
        Some(file) => options.cwd.join(file),
        None => inside(&options.cwd).unwrap_or_else(|| options.cwd.join(FILE)),
    };
    let name = file.display();
    if file.exists() && !args.force && !args.print {
        return Err(Failure::usage(format!(
            "there is a {name} already; look at `seaworthy init --print`, or write it with --force, which keeps the old one as {name}.bak"
        ))
        .into());
    }
    if Format::of(&file) != Format::Yaml && !args.print {
        return Err(Failure::usage(format!(
            "{name} cannot be YAML, which is what `init` writes; move it away, or name a `.yaml` with -c"
        ))
        .into());
    }
    let folder = file.parent().unwrap_or(&options.cwd);
    let found = look::look(folder);
    let text = text(folder, &found);
    check(&file, &text, &options)?;
    if args.print {
        output::data(&text);
        return Ok(FINE);
    }
    Draft::replace(&file, &text)?;
    if global.json {
        output::json(
            &json!({"file": file, "command": found.command, "found_in": found.place, "others": found.others}),
        );
    } else {
        output::data(&format!("wrote {name}"));
        output::talk(match found.command.is_empty() {
            true => {
                "nothing to start was found: write app.command, or use `seaworthy run -- COMMAND`"
            }
            false => {
                "start it with `seaworthy run`; `seaworthy config explain KEY` says what a setting means"
            }
        });
    }
    Ok(FINE)
}

/// Holds what is to be written against the rules, before anybody relies on it.
fn check(file: &Path, text: &str, options: &Options) -> Result<(), Problems> {
    let loader = Loader::<Config>::new().references(References::new(options.env.clone()));
    let name = file.display().to_string();
    loader
        .text(Layer::File, name, text, Format::Yaml)
        .load()
        .map(drop)
}

/// A value that is taken as it stands.
fn plain(value: impl serde::Serialize) -> String {
    json!(value).to_string().replace("${", "$${")
}

/// The file.
fn text(folder: &Path, found: &Found) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut lines = vec![
        "# What Seaworthy does for this service. Everything that is not here has a default;".to_owned(),
        "# `seaworthy config explain KEY` says what a setting means, `seaworthy config show` what holds.".to_owned(),
        "service:".to_owned(),
        format!("  name: {}", plain(name)),
    ];
    if found.is_worker {
        lines.push("  kind: worker".to_owned());
    }
    lines.push(String::new());
    lines.push("app:".to_owned());
    if let Some(place) = &found.place {
        lines.push(format!("  # Found in {place}."));
    }
    for other in &found.others {
        lines.push(format!("  # There is also: {}", other.join(" ")));
    }
    match found.command.is_empty() {
        true => lines.push(
            "  # What starts the service, as in `command: [uvicorn, \"app:app\"]`.\n  command:"
                .to_owned(),
        ),
        false => lines.push(format!("  command: {}", plain(&found.command))),
    }
    if !found.is_worker {
        lines.push(
            "\n# Where clients come to; PORT counts as well.\n# listen: {public: 0.0.0.0:8000}"
                .to_owned(),
        );
    }
    lines.push(MORE.trim_end().to_owned());
    lines.join("\n") + "\n"
}

const MORE: &str = r"
# The time that the platform gives it to stop: terminationGracePeriodSeconds, stop_grace_period.
# shutdown: {grace: 30s}

# What DATABASE_URL, REDIS_URL and the like name is checked by itself. More:
# health:
#   checks: [{kind: http, name: search, url: 'http://search:9200'}]

# At most so many requests of each address.
# limits:
#   tiers: {anonymous: {capacity: 100, refill_per_sec: 10}}

# A change that does harm is taken back by itself.
# config: {watch: true}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_for_nothing_at_all_can_be_completed() {
        let text = text(Path::new("/srv/my shop"), &Found::default());
        assert!(text.contains("name: \"my shop\""), "{text}");
        assert!(text.contains("  command:\n"), "{text}");
    }

    #[test]
    fn what_stands_in_comments_can_be_taken_out_of_them() {
        let text: String = MORE
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line))
            .fold(String::new(), |all, line| {
                match line.contains(':') && !line.contains(". ") && !line.ends_with('.') {
                    true => all + line + "\n",
                    false => all,
                }
            });
        let loader = seaworthy_config::Loader::<Config>::new();
        let loader = loader.text(
            seaworthy_config::Layer::File,
            "init",
            text.clone(),
            seaworthy_config::Format::Yaml,
        );
        let loaded = loader.load();
        assert!(
            loaded.is_ok(),
            "{text}\n{}",
            loaded.err().map(|e| e.render(false)).unwrap_or_default()
        );
    }
}
