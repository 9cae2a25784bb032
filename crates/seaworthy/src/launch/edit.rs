//! The command while it is being rewritten: words swapped, variables set, and one sentence for each change.

use std::net::SocketAddr;

use super::{Change, options};

/// Collects what a server's file does to the command.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) server: &'static str,
    /// The words behind the server's name.
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) changes: Vec<Change>,
    /// What Seaworthy listens on in the server's place, where the command says it.
    pub(super) public: Option<SocketAddr>,
}

impl Edit {
    /// Puts `with` in the place of every option called any of `names`.
    pub(super) fn swap(&mut self, names: &[&str], with: &[&str]) {
        let found = options::find(&self.args, names);
        let place = found
            .first()
            .map_or_else(|| options::end(&self.args), |first| first.at);
        for option in found.iter().rev() {
            self.args.drain(option.at..option.at + option.words);
        }
        self.args
            .splice(place..place, with.iter().map(|word| (*word).to_owned()));
    }

    /// Sets a variable for the child only.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Says that the server listens elsewhere now, naming the words that said where it would.
    pub(super) fn say_moved(&mut self, before: &[String], after: &str) {
        let owned = match self.public {
            Some(address) if address.ip().is_unspecified() => {
                format!("Seaworthy owns :{}", address.port())
            }
            Some(address) => format!("Seaworthy owns {address}"),
            None => "Seaworthy owns the public port".to_owned(),
        };
        if before.is_empty() {
            self.say(&format!("{after} added ({owned})"));
        } else {
            self.say(&format!("{} -> {after} ({owned})", before.join(" ")));
        }
    }

    /// Adds one sentence, begun with the server's name.
    pub(super) fn say(&mut self, what: &str) {
        self.changes
            .push(Change::new(format!("{}: {what}", self.server)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(args: &str) -> Edit {
        let args = args.split(' ').map(str::to_owned).collect();
        Edit {
            server: "uvicorn",
            args,
            env: Vec::new(),
            changes: Vec::new(),
            public: None,
        }
    }

    #[test]
    fn the_new_words_stand_where_the_first_old_one_stood() {
        let cases = [
            ("--port 80 app --host=::", "--uds s app"),
            ("app --reload", "app --reload --uds s"),
            ("app -- --port 80", "app --uds s -- --port 80"),
        ];
        for (before, after) in cases {
            let mut edit = edit(before);
            edit.swap(&["--host", "--port"], &["--uds", "s"]);
            assert_eq!(edit.args.join(" "), after);
        }
    }
}
