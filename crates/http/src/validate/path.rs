//! Where in a body: `candles`, `candles[].close`, `candles[].*`, `user.name`; `[]` is every item, `*` every field.

use std::str::FromStr;

use serde_json::Value;

/// More steps are a mistake.
const MOST: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(Box<str>),
    Fields,
    Items,
}

/// See the [module documentation](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: Box<str>,
    steps: Vec<Step>,
}

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no path into a body: write `candles`, `candles[].close`, `candles[].*` or `user.name`"
)]
pub struct BadPath(String);

impl FromStr for Path {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let wrong = || BadPath(text.chars().take(60).collect());
        let mut steps = Vec::new();
        for (at, part) in text.split('.').enumerate() {
            let name = part.trim_end_matches("[]");
            let lists = (part.len() - name.len()) / 2;
            match name {
                "*" => steps.push(Step::Fields),
                // A body that is a list itself begins with `[]`.
                "" if at == 0 && lists > 0 => {}
                "" => return Err(wrong()),
                name if name.contains(['[', ']', '*']) => return Err(wrong()),
                name => steps.push(Step::Field(name.into())),
            }
            steps.extend(std::iter::repeat_n(Step::Items, lists));
        }
        if steps.len() > MOST {
            return Err(wrong());
        }
        Ok(Self {
            text: text.into(),
            steps,
        })
    }
}

/// A place that a path leads to, with what stands there, if anything.
pub(super) struct Found<'a> {
    pub(super) field: String,
    /// The item of the innermost list on the way.
    pub(super) index: Option<usize>,
    pub(super) value: Option<&'a Value>,
}

impl Path {
    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Shows every place that it leads to, until `see` fails. A place whose way is missing is missing itself; what is of
    /// another type than the path wants leads nowhere, which is a schema's business.
    pub(super) fn walk<'a, E>(
        &self,
        body: &'a Value,
        see: &mut impl FnMut(Found<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = Found {
            field: String::new(),
            index: None,
            value: Some(body),
        };
        descend(&self.steps, start, see)
    }
}

fn descend<'a, E>(
    steps: &[Step],
    from: Found<'a>,
    see: &mut impl FnMut(Found<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let Some((step, rest)) = steps.split_first() else {
        return see(from);
    };
    match (step, from.value) {
        (Step::Field(name), Some(Value::Object(fields))) => {
            let to = from.field_named(name, fields.get(&**name));
            descend(rest, to, see)
        }
        (Step::Field(name), None | Some(Value::Null)) => {
            descend(rest, from.field_named(name, None), see)
        }
        (Step::Fields, Some(Value::Object(fields))) => fields
            .iter()
            .try_for_each(|(name, value)| descend(rest, from.field_named(name, Some(value)), see)),
        (Step::Items, Some(Value::Array(items))) => {
            items.iter().enumerate().try_for_each(|(index, item)| {
                let to = Found {
                    field: format!("{}[{index}]", from.field),
                    index: Some(index),
                    value: Some(item),
                };
                descend(rest, to, see)
            })
        }
        _ => Ok(()),
    }
}

impl Found<'_> {
    fn field_named<'a>(&self, name: &str, value: Option<&'a Value>) -> Found<'a> {
        let dot = if self.field.is_empty() { "" } else { "." };
        Found {
            field: format!("{}{dot}{name}", self.field),
            index: self.index,
            value,
        }
    }
}
