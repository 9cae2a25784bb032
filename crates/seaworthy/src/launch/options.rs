//! Reads command-line options of other programs by name.
//!
//! The servers here parse with click, argparse or typer; all of them take `--port 80`, `--port=80`, `-p 80` and `-p80`.
//! Abbreviated long options (`--bin` for `--bind`), which argparse allows, are not seen.

/// One occurrence of an option that takes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where its first word stands.
    pub(super) at: usize,
    /// How many words it takes: one for `--port=80`, two for `--port 80`.
    pub(super) words: usize,
    /// What it says.
    pub(super) value: String,
}

/// Every occurrence of the option called any of `names`, in order, up to a bare `--`.
pub(super) fn find(args: &[String], names: &[&str]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < end(args) {
        let next = names.iter().find_map(|name| occurrence(args, at, name));
        at += next.as_ref().map_or(1, |option| option.words);
        found.extend(next);
    }
    found
}

/// Whether a switch without a value is given, and under which of its names.
pub(super) fn switch<'a>(args: &[String], names: &[&'a str]) -> Option<&'a str> {
    let before = &args[..end(args)];
    names
        .iter()
        .find(|name| before.iter().any(|arg| arg == *name))
        .copied()
}

/// Where options end: at a bare `--`, or after the last word.
pub(super) fn end(args: &[String]) -> usize {
    args.iter()
        .position(|arg| arg == "--")
        .unwrap_or(args.len())
}

/// The index of the first word that is neither an option nor the value of one of `valued`.
pub(super) fn first_operand(args: &[String], valued: &[&str]) -> Option<usize> {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        if arg == "--" {
            return (at + 1 < args.len()).then_some(at + 1);
        }
        if !arg.starts_with('-') || arg == "-" {
            return Some(at);
        }
        at += if valued.contains(&arg.as_str()) { 2 } else { 1 };
    }
    None
}

fn occurrence(args: &[String], at: usize, name: &str) -> Option<Found> {
    let arg = args.get(at)?;
    let rest = arg.strip_prefix(name)?;
    if rest.is_empty() {
        let value = args.get(at + 1)?.clone();
        return Some(Found {
            at,
            words: 2,
            value,
        });
    }
    let attached = match rest.strip_prefix('=') {
        Some(value) => value,
        None if name.starts_with("--") => return None,
        None => rest,
    };
    Some(Found {
        at,
        words: 1,
        value: attached.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn every_spelling_of_a_value_is_read() {
        for text in [
            "app --port 80",
            "app --port=80",
            "app -p 80",
            "app -p80",
            "--port 1 app -p=80",
        ] {
            let value = find(&args(text), &["-p", "--port"])
                .pop()
                .map(|option| option.value);
            assert_eq!(value.as_deref(), Some("80"), "{text}");
        }
    }

    #[test]
    fn a_longer_option_or_a_later_word_is_not_taken_for_it() {
        assert_eq!(find(&args("--portal 80 -- --port 9"), &["--port"]), []);
        assert_eq!(find(&args("app --port"), &["--port"]), []);
    }

    #[test]
    fn the_first_operand_is_found_behind_options_and_their_values() {
        assert_eq!(first_operand(&args("-d dir --cgi 9000"), &["-d"]), Some(3));
        assert_eq!(first_operand(&args("-d dir --cgi"), &["-d"]), None);
        assert_eq!(first_operand(&args("-- 9000"), &[]), Some(1));
    }
}
