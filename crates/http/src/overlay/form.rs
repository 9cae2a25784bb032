//! Fields that are known but for some numbers: written once, and then filled in.

use http::header::{HeaderName, HeaderValue};

use super::{Lines, Rule, Sink as _, Value};

/// Fields with blanks for numbers.
#[derive(Clone, Debug, Default)]
pub struct Form {
    fields: Vec<Field>,
    pub(super) lines: Lines,
    /// Where in the text of the lines the numbers go.
    pub(super) blanks: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Field {
    rule: Rule,
    name: HeaderName,
    /// What stands around the numbers: one part more than there are of them.
    parts: Box<[Box<[u8]>]>,
    /// The value, when there are no numbers in it.
    fixed: Option<HeaderValue>,
}

impl Form {
    /// Adds a field with a number between each two of `parts`, which may hold nothing that no value may. No two fields of a
    /// form have the same name.
    #[must_use]
    pub fn field(mut self, rule: Rule, name: HeaderName, parts: &[&str]) -> Self {
        let value = parts.concat();
        let Ok(known) = HeaderValue::try_from(&value) else {
            return self;
        };
        // Behind the value there is only the line end.
        self.lines.put(rule, &name, Value::Known(&known));
        let mut at = self.lines.text.len() - 2 - value.len();
        for part in &parts[..parts.len().saturating_sub(1)] {
            at += part.len();
            self.blanks.push(at);
        }
        self.fields.push(Field {
            rule,
            name,
            parts: parts.iter().map(|part| part.as_bytes().into()).collect(),
            fixed: (parts.len() == 1).then_some(known),
        });
        self
    }

    /// Hands over each field by itself.
    pub(super) fn each(
        &self,
        numbers: &[u64],
        mut hand_over: impl FnMut(Rule, &HeaderName, Value<'_>),
    ) {
        let (mut numbers, mut digits) = (numbers.iter(), itoa::Buffer::new());
        for field in &self.fields {
            if let Some(fixed) = &field.fixed {
                hand_over(field.rule, &field.name, Value::Known(fixed));
                continue;
            }
            if let [before, after] = &*field.parts
                && before.is_empty()
                && after.is_empty()
            {
                let number = numbers.next().copied().unwrap_or_default();
                hand_over(field.rule, &field.name, Value::Number(number));
                continue;
            }
            let mut text = Vec::with_capacity(64);
            for (at, part) in field.parts.iter().enumerate() {
                if at > 0
                    && let Some(number) = numbers.next()
                {
                    text.extend_from_slice(digits.format(*number).as_bytes());
                }
                text.extend_from_slice(part);
            }
            hand_over(field.rule, &field.name, Value::Text(&text));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header;
    use proptest::prelude::*;

    use super::super::Sink;
    use super::*;

    fn form() -> Form {
        Form::default()
            .field(Rule::Over, header::SERVER, &["known"])
            .field(Rule::Over, header::AGE, &["", ""])
            .field(Rule::Beside, header::WARNING, &["\"a\";r=", ";t=", ""])
            .field(Rule::Under, header::ALLOW, &["x", "y"])
    }

    proptest! {
        /// Over whatever stands there before, it reads as if each field had been put by itself.
        #[test]
        fn a_form_is_as_good_as_its_fields(
            numbers in prop::array::uniform4(any::<u64>()),
            before in prop::collection::vec(0..5_usize, 0..3),
            of_app in prop::collection::vec(0..5_usize, 0..3),
        ) {
            let names = [header::SERVER, header::AGE, header::WARNING, header::ALLOW, header::VIA];
            let (mut map, mut lines) = (HeaderMap::new(), Lines::NONE);
            for name in of_app {
                map.append(&names[name], HeaderValue::from_static("app"));
            }
            let head = map.clone();
            for name in before {
                map.put(Rule::Beside, &names[name], Value::Text(b"before"));
                lines.put(Rule::Beside, &names[name], Value::Text(b"before"));
            }
            map.fill(&form(), &numbers);
            lines.fill(&form(), &numbers);
            let mut written = Vec::new();
            for (name, value) in &head {
                if !lines.covers(name) {
                    crate::h1::field::write(&mut written, name, value);
                }
            }
            lines.write(&mut written);
            let sorted = |mut lines: Vec<String>| {
                lines.sort();
                lines
            };
            let found = std::str::from_utf8(&written).expect("text").lines().map(str::to_owned).collect();
            let wanted = map
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
                .collect();
            prop_assert_eq!(sorted(found), sorted(wanted));
        }
    }

    #[test]
    fn the_numbers_stand_in_the_blanks() {
        let mut map = HeaderMap::new();
        map.fill(&form(), &[1, 22, 333, 4444]);
        for (name, value) in [
            (header::SERVER, "known"),
            (header::AGE, "1"),
            (header::WARNING, "\"a\";r=22;t=333"),
            (header::ALLOW, "x4444y"),
        ] {
            assert_eq!(map[name], value);
        }
    }
}
