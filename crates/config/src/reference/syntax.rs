//! The notation of references.

use std::ops::Range;

/// The longest name of a secret or a variable.
const MOST_NAME: usize = 128;

/// A part of a text, and where it stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Itself.
    Text(String),
    /// A variable, or what stands for one that is not set.
    Variable {
        name: String,
        default: Option<String>,
    },
    /// A secret.
    Secret(String),
}

/// A reference that cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) range: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

const FORMS: &str =
    "write `${secret:NAME}` or `${env:NAME}`; a `${` that means nothing is written `$${`";

/// Takes a text apart. Texts without a reference are one piece, an empty one is none.
pub(crate) fn parse(text: &str) -> Result<Vec<Piece>, Bad> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let (mut at, mut began) = (0, 0);
    while let Some(found) = text[at..].find("${") {
        let start = at + found;
        if text[..start].ends_with('$') && start > at {
            // The dollar in front is taken back: both together are one `${`.
            plain.push_str(&text[at..start]);
            plain.push('{');
            at = start + 2;
            continue;
        }
        plain.push_str(&text[at..start]);
        let end = text[start..].find('}').map(|len| start + len + 1);
        let Some(end) = end else {
            return Err(Bad {
                range: start..text.len(),
                message: "this reference has no end".to_owned(),
                help: format!("close it with `}}`, or {FORMS}"),
            });
        };
        let kind = reference(&text[start + 2..end - 1]).map_err(|(message, help)| Bad {
            range: start..end,
            message,
            help,
        })?;
        if !plain.is_empty() {
            pieces.push(Piece {
                kind: Kind::Text(std::mem::take(&mut plain)),
                range: began..start,
            });
        }
        pieces.push(Piece {
            kind,
            range: start..end,
        });
        (at, began) = (end, end);
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(Piece {
            kind: Kind::Text(plain),
            range: began..text.len(),
        });
    }
    Ok(pieces)
}

/// What stands between the braces.
fn reference(inside: &str) -> Result<Kind, (String, String)> {
    let bad = |message: String| Err((message, FORMS.to_owned()));
    if let Some(name) = inside.strip_prefix("secret:") {
        return match is_secret_name(name) {
            true => Ok(Kind::Secret(name.to_owned())),
            false => bad("this is not the name of a secret".to_owned()),
        };
    }
    let prefixed = inside.strip_prefix("env:");
    let (name, default) = match prefixed.unwrap_or(inside).split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (prefixed.unwrap_or(inside), None),
    };
    if default.as_ref().is_some_and(|word| word.contains("${")) {
        return bad("a reference cannot stand inside another".to_owned());
    }
    match (
        is_variable_name(name),
        prefixed.is_some() || default.is_some(),
    ) {
        (true, true) => Ok(Kind::Variable {
            name: name.to_owned(),
            default,
        }),
        (true, false) => Err((
            format!("this does not say what `{name}` is"),
            format!(
                "write `${{env:{name}}}` for the variable, `${{secret:{name}}}` for the secret, or `$${{` for a `${{` that means nothing"
            ),
        )),
        (false, true) => bad("this is not the name of a variable".to_owned()),
        (false, false) => bad("this is no reference".to_owned()),
    }
}

/// Whether a secret may be called so.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !name.is_empty() && name.len() <= MOST_NAME && name.bytes().all(fits)
}

fn is_variable_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit = |byte: &u8| byte.is_ascii_digit();
    name.len() <= MOST_NAME
        && name.bytes().next().is_some_and(|first| !digit(&first))
        && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let pieces = parse(text).unwrap();
        pieces.into_iter().map(|piece| piece.kind).collect()
    }

    fn text(text: &str) -> Kind {
        Kind::Text(text.to_owned())
    }

    fn variable(name: &str, default: Option<&str>) -> Kind {
        Kind::Variable {
            name: name.to_owned(),
            default: default.map(str::to_owned),
        }
    }

    #[test]
    fn takes_references_out_of_a_text() {
        assert_eq!(
            kinds("Bearer ${secret:openai}!"),
            [text("Bearer "), Kind::Secret("openai".into()), text("!")]
        );
        assert_eq!(kinds("${env:PORT}"), [variable("PORT", None)]);
        assert_eq!(
            kinds("${env:A:-}${B:-x:-y}"),
            [variable("A", Some("")), variable("B", Some("x:-y"))]
        );
    }

    #[test]
    fn two_dollars_before_a_brace_are_one_and_no_reference() {
        assert_eq!(kinds("$${secret:x}"), [text("${secret:x}")]);
        assert_eq!(
            kinds("a$${b}${env:C}"),
            [text("a${b}"), variable("C", None)]
        );
        assert_eq!(kinds("^a$ $5 $$ {}"), [text("^a$ $5 $$ {}")]);
        assert_eq!(kinds("${env:A}${env:B}").len(), 2);
    }

    #[test]
    fn what_is_no_reference_is_refused_where_it_stands() {
        for (bad, range) in [
            ("a ${secret:x", 2..12),
            ("${secret:}", 0..10),
            ("${secret:a b}", 0..13),
            ("${env:1A}", 0..9),
            ("xy${NAME}z", 2..9),
            ("${vault:x}", 0..10),
            ("${}", 0..3),
            ("${env:A:-${env:B}}", 0..17),
        ] {
            assert_eq!(parse(bad).unwrap_err().range, range, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_piece_stands_where_it_says(text in "[a-z${}:.é-]{0,40}") {
            match parse(&text) {
                Ok(pieces) => {
                    let mut at = 0;
                    for piece in pieces {
                        prop_assert_eq!(piece.range.start, at);
                        at = piece.range.end;
                        prop_assert!(text.get(piece.range).is_some());
                    }
                    prop_assert_eq!(at, text.len());
                }
                Err(bad) => {
                    let part = text.get(bad.range).unwrap_or_default();
                    prop_assert_eq!(part.get(..2), Some("${"));
                }
            }
        }

        #[test]
        fn an_escaped_text_means_itself(text in "[a-z${}:-]{0,40}") {
            let escaped = text.replace("${", "$${");
            // A dollar in front of `${` would be taken for the first of the two.
            prop_assume!(!text.contains("$${"));
            let back: String = kinds(&escaped).into_iter().map(|kind| match kind {
                Kind::Text(text) => text,
                other => panic!("{other:?}"),
            }).collect();
            prop_assert_eq!(back, text);
        }
    }
}
