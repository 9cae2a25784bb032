//! As much of Rust's grammar as the rules need: what is a comment, what is a test, and which modules a file names.

/// The text without comments, strings and `#[cfg(test)]` code, each line kept so that line numbers hold.
pub(crate) fn code(text: &str) -> String {
    strip(production(text))
}

/// The text before the first `#[cfg(test)]` that opens a module of tests.
pub(crate) fn production(text: &str) -> &str {
    let at = text.match_indices("#[cfg(test)]").find(|(at, mark)| {
        let rest = text[at + mark.len()..].trim_start();
        rest.starts_with("mod ") && at_line_start(text, *at)
    });
    at.map_or(text, |(at, _)| &text[..at])
}

fn at_line_start(text: &str, at: usize) -> bool {
    text[..at].ends_with('\n') || at == 0
}

/// Blanks comments and string literals.
fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = skipped(rest);
        if length > 0 {
            let newlines = rest[..length].chars().filter(|c| *c == '\n');
            out.push(' ');
            out.extend(newlines);
            rest = &rest[length..];
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// The length of the comment, string or character that `rest` starts with; 0 for other code.
fn skipped(rest: &str) -> usize {
    let to = |end: &str| rest.find(end).map_or(rest.len(), |at| at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return to("*/");
    }
    if let Some(hashes) = raw(rest) {
        let end = format!("\"{}", "#".repeat(hashes));
        let open = hashes + 2;
        return rest[open..]
            .find(&end)
            .map_or(rest.len(), |at| open + at + end.len());
    }
    if rest.starts_with('"') {
        return quoted(rest);
    }
    // A character, but not a lifetime.
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), _) => rest[2..]
            .find('\'')
            .map_or(0, |at| at + 3)
            .max(4)
            .min(rest.len()),
        (Some('\''), Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 0,
    }
}

/// The number of hashes of a raw string that starts here.
fn raw(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.chars().take_while(|c| *c == '#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The module path of a file below `src`: `a/b.rs` and `a/b/mod.rs` are `[a, b]`, roots are empty.
pub(crate) fn module(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs");
    let mut parts: Vec<_> = path.split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    parts
}

/// The absolute paths, without `crate`, that `code` names from inside `module`.
pub(crate) fn paths(code: &str, module: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if !continues_word(code, at) {
            expand(&code[at + 7..], &mut Vec::new(), &mut found);
        }
    }
    for (at, _) in code.match_indices("super::") {
        if continues_word(code, at) || code[..at].ends_with("super::") {
            continue;
        }
        let mut base: Vec<String> = module.iter().map(|part| (*part).to_owned()).collect();
        let mut rest = &code[at..];
        while let Some(after) = rest.strip_prefix("super::") {
            base.pop();
            rest = after;
        }
        expand(rest, &mut base, &mut found);
    }
    found
}

/// Whether the word at `at` is the end of a longer one, as in `$crate` or `my_crate`.
fn continues_word(code: &str, at: usize) -> bool {
    let before = code[..at].chars().next_back();
    before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// Adds the paths of one use tree, `a::{b, c::D}`, below `base`; returns what is left of the text.
fn expand<'a>(text: &'a str, base: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('{') else {
        let end = text
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        let rest = &text[end..];
        base.push(text[..end].to_owned());
        let rest = match rest.strip_prefix("::") {
            Some(deeper) => expand(deeper, base, found),
            None => {
                found.push(base.clone());
                rest
            }
        };
        base.pop();
        return rest;
    };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        if rest.is_empty() {
            return rest;
        }
        rest = expand(rest, base, found);
        // A rename, a glob or the comma between two trees.
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        rest = rest[end..].strip_prefix(',').unwrap_or(&rest[end..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(code: &str, module: &[&str]) -> Vec<String> {
        paths(code, module)
            .iter()
            .map(|path| path.join("::"))
            .collect()
    }

    #[test]
    fn blanks_what_is_no_code() {
        let text = "a // crate::x\nb /* crate::y */ c \"crate::z \\\" \" d r#\"crate::\"w\"# e 'x' '\\'' <'a>\n";
        let code = code(text);
        assert!(!code.contains("crate"), "{code}");
        assert!(code.contains("<'a>") && code.contains(" e "), "{code}");
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn tests_are_no_production_code() {
        assert_eq!(production("a\n#[cfg(test)]\nmod tests {}"), "a\n");
        assert_eq!(
            production("#[cfg(test)]\nuse x;\nb"),
            "#[cfg(test)]\nuse x;\nb"
        );
        assert_eq!(
            production("//! `#[cfg(test)]` mod"),
            "//! `#[cfg(test)]` mod"
        );
    }

    #[test]
    fn files_are_modules() {
        assert_eq!(module("a/b.rs"), ["a", "b"]);
        assert_eq!(module("a/b/mod.rs"), ["a", "b"]);
        assert!(module("lib.rs").is_empty());
    }

    #[test]
    fn expands_use_trees() {
        let code =
            "use crate::a::{self, b::{C, D as E}, f::*}; crate::g::h(); $crate::no; my_crate::no";
        assert_eq!(
            named(code, &[]),
            ["a::self", "a::b::C", "a::b::D", "a::f::", "g::h"]
        );
    }

    #[test]
    fn follows_super_to_where_it_leads() {
        assert_eq!(
            named("use super::c; super::super::d::E;", &["a", "b"]),
            ["a::c", "d::E"]
        );
        assert_eq!(named("use super::{x, super::y}", &["a"])[0], "x");
    }
}
