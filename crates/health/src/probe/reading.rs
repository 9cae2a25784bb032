//! A value that something has answered, and what is expected of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::{Fault, judge_key};
use crate::Outcome;

/// What is expected of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    /// A JSON pointer to the value, such as `/queue/depth`. Default: all that a command prints; nothing of an answer over HTTP.
    #[serde(default)]
    pub pointer: Option<String>,
    /// What the value must be. Default: anything.
    #[serde(default)]
    pub equals: Option<Value>,
    /// The least that the number may be. Default: anything.
    #[serde(default)]
    pub min: Option<Number>,
    /// The most that the number may be. Default: anything.
    #[serde(default)]
    pub max: Option<Number>,
    /// The name of the value in the metadata. Default: the last part of `pointer`, else `value`.
    #[serde(default, rename = "as")]
    pub key: Option<String>,
}

impl Expected {
    /// Finds what is wrong with the options.
    pub(super) fn faults(&self, faults: &mut Vec<Fault>) {
        if let Some(pointer) = &self.pointer
            && !pointer.is_empty()
            && !pointer.starts_with('/')
        {
            let message = format!("`{pointer}` is not a JSON pointer");
            faults.push(Fault::new("pointer", message, "write it as `/queue/depth`"));
        }
        if let Some(key) = &self.key {
            judge_key("as", key, faults);
        }
        let number = |number: &Option<Number>| number.as_ref().and_then(Number::as_f64);
        if let (Some(min), Some(max)) = (number(&self.min), number(&self.max))
            && min > max
        {
            let message = format!("nothing is at least {min} and at most {max}");
            faults.push(Fault::new("max", message, "make it larger than `min`"));
        }
    }

    /// Whether a value could be other than expected.
    pub(super) fn judges(&self) -> bool {
        self.equals.is_some() || self.min.is_some() || self.max.is_some()
    }

    /// Judges the value in a document.
    pub(super) fn judge(&self, document: &Value) -> Outcome {
        let pointer = self.pointer.as_deref().unwrap_or_default();
        match document.pointer(pointer) {
            Some(value) => self.judge_value(value),
            None => Outcome::unhealthy(format!("there is no value at {pointer} in what it says")),
        }
    }

    /// Judges a value. Only numbers and yes or no are shown: a text could be anything.
    pub(super) fn judge_value(&self, value: &Value) -> Outcome {
        let name = self.name();
        let number = value.as_f64();
        let shown = match value {
            Value::Number(number) => format!("{number} {name}"),
            Value::Bool(yes) => format!("{name} is {yes}"),
            _ => format!("{name} is there"),
        };
        let limit = |limit: &Option<Number>| limit.as_ref().and_then(Number::as_f64);
        let (min, max) = (limit(&self.min), limit(&self.max));
        let outcome = match number {
            None if min.is_some() || max.is_some() => {
                Outcome::unhealthy(format!("{name} is not a number"))
            }
            Some(number)
                if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) =>
            {
                Outcome::unhealthy(shown)
            }
            _ => match &self.equals {
                Some(wanted) if !same(wanted, value) => {
                    Outcome::unhealthy(format!("{name} is not what is expected"))
                }
                Some(_) if value.is_string() => {
                    Outcome::healthy(format!("{name} is what is expected"))
                }
                _ => Outcome::healthy(shown),
            },
        };
        match value {
            Value::Number(_) | Value::Bool(_) => outcome.with(name, value.clone()),
            _ => outcome,
        }
    }

    fn name(&self) -> &str {
        let last = || {
            let pointer = self.pointer.as_deref()?;
            let (_, last) = pointer.rsplit_once('/')?;
            (!last.is_empty()).then_some(last)
        };
        self.key.as_deref().or_else(last).unwrap_or("value")
    }
}

/// Whether two values are the same; numbers are, however they are written.
fn same(wanted: &Value, value: &Value) -> bool {
    match (wanted.as_f64(), value.as_f64()) {
        (Some(wanted), Some(value)) => wanted == value,
        _ => wanted == value,
    }
}

#[cfg(test)]
mod tests {
    use seaworthy_core::health::State;
    use serde_json::json;

    use super::*;

    fn judged(expected: &Expected, document: &Value) -> (State, String) {
        let outcome = expected.judge(document);
        (outcome.state, outcome.message)
    }

    #[test]
    fn a_number_has_its_limits_inside() {
        let expected = Expected {
            pointer: Some("/queue/depth".to_owned()),
            min: Some(1.into()),
            max: Some(3.into()),
            ..Expected::default()
        };
        for (depth, state) in [
            (json!(1), State::Ok),
            (json!(3.0), State::Ok),
            (json!(0), State::Fail),
            (json!(3.1), State::Fail),
            (json!("2"), State::Fail),
            (json!(null), State::Fail),
        ] {
            let document = json!({"queue": {"depth": depth}});
            assert_eq!(judged(&expected, &document).0, state, "{document}");
        }
        assert_eq!(
            judged(&expected, &json!({"queue": {}})).1,
            "there is no value at /queue/depth in what it says"
        );
    }

    #[test]
    fn a_text_is_compared_and_never_shown() {
        let expected = Expected {
            pointer: Some("/status".to_owned()),
            equals: Some(json!("ok")),
            ..Expected::default()
        };
        assert_eq!(judged(&expected, &json!({"status": "ok"})).0, State::Ok);
        let outcome = expected.judge(&json!({"status": "hunter2"}));
        assert!(!format!("{outcome:?}").contains("hunter2"));
        assert_eq!(outcome.state, State::Fail);
    }

    #[test]
    fn limits_that_nothing_fits_are_a_fault() {
        let mut faults = Vec::new();
        let expected = Expected {
            pointer: Some("a/b".to_owned()),
            min: Some(3.into()),
            max: Some(1.into()),
            key: Some("a b".to_owned()),
            ..Expected::default()
        };
        expected.faults(&mut faults);
        let options: Vec<_> = faults.iter().map(|fault| fault.option).collect();
        assert_eq!(options, ["pointer", "as", "max"]);
    }
}
