//! Splits a command written as one string into words, the way a POSIX shell would without expanding anything.
//!
//! Needed for `GUNICORN_CMD_ARGS` and for `app.command` given as text. It expands no variable, glob or substitution: a
//! word that needs a shell is for `sh -c`, which is then left alone.

/// The words of `text`, or `None` when a quote is never closed or the text ends in a backslash.
pub fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\'' => quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next()?),
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '\'' => return Some(()),
            other => word.push(other),
        }
    }
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_end_at_unquoted_space() {
        let cases: [(&str, &[&str]); 6] = [
            ("gunicorn  app:app ", &["gunicorn", "app:app"]),
            ("a 'b c' d", &["a", "b c", "d"]),
            (r#"a "b \"c\" \n""#, &["a", r#"b "c" \n"#]),
            (r"a\ b c", &["a b", "c"]),
            ("--name='' x", &["--name=", "x"]),
            ("''", &[""]),
        ];
        for (text, words) in cases {
            assert_eq!(
                split(text).as_deref(),
                Some(words.map_to_owned().as_slice()),
                "{text}"
            );
        }
    }

    #[test]
    fn an_open_quote_is_no_command() {
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("a \"b"), None);
        assert_eq!(split("a \\"), None);
    }

    trait MapToOwned {
        fn map_to_owned(&self) -> Vec<String>;
    }

    impl MapToOwned for &[&str] {
        fn map_to_owned(&self) -> Vec<String> {
            self.iter().map(|word| (*word).to_owned()).collect()
        }
    }
}
