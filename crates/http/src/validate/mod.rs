//! Bodies held against rules before the app sees them: JSON, its size and depth, a JSON Schema, and rules of one's own.
//!
//! A body of a route with rules is collected up to a bound and read once without recursion ([`scan()`]), which refuses what
//! would cost more to parse than it is worth, or what two parsers read differently. Then come limits, the schema and the
//! rules. The first thing that is wrong is the answer. The app gets the very same bytes.
//!
//! A small body is checked where the request is; a larger one on a thread for such things, and only so many of them at a time.
//! It does not decompress: what cannot be read cannot be checked, and is refused where rules are enforced.

mod body;
mod echo;
mod layer;
#[cfg(feature = "schema")]
pub mod openapi;
mod path;
mod rule;
mod scan;
#[cfg(feature = "schema")]
pub mod schema;
#[cfg(feature = "rules")]
mod when;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

pub use body::Checked;
pub use layer::{ResponseFuture, Validate, ValidateLayer, Watch};
pub use path::{BadPath, Path};
pub use rule::{Expression, Rule};
pub use scan::{DEEPEST, scan};
#[cfg(feature = "rules")]
pub use when::{BadExpression, compile};

use crate::error::Error;
use seaworthy_core::catalogue;

/// What happens to a body that breaks a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nobody looks.
    Off,
    /// It is counted and passed on.
    #[default]
    Observe,
    /// It is refused.
    Enforce,
}

impl Mode {
    /// The word for it in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// The rules of one route.
#[derive(Debug)]
pub struct Rules {
    /// What happens to a body that breaks one.
    pub mode: Mode,
    /// The largest body that is collected, in bytes.
    pub max_body: usize,
    /// How deep arrays and objects may be nested; at most [`DEEPEST`].
    pub max_depth: usize,
    /// The most items of arrays, by where they are.
    pub max_items: Vec<(Path, usize)>,
    /// The schema, if there is one.
    pub schema: Option<Schema>,
    /// Rules, in the order they are tried in.
    pub rules: Vec<Rule>,
    /// Whether an answer repeats the value that is wrong.
    pub echo: bool,
}

/// A schema that is there, or that will be.
#[cfg(feature = "schema")]
pub type Schema = schema::Source;
/// Schemas are not read without the feature `schema`.
#[cfg(not(feature = "schema"))]
pub type Schema = std::convert::Infallible;

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Where, as `candles[5].close`; empty for the body itself.
    pub field: String,
    /// Which item of the innermost list.
    pub index: Option<usize>,
    /// What stands there.
    pub value: Box<Value>,
    /// What is wrong, in words that name the rule and repeat no value.
    pub problem: String,
}

impl Violation {
    fn of_body(problem: impl Into<String>) -> Self {
        Self {
            field: String::new(),
            index: None,
            value: Box::default(),
            problem: problem.into(),
        }
    }

    /// The answer.
    fn error(self, echo: bool) -> Error {
        let value = echo::shown(&self.field, *self.value, echo);
        let problem = echo::cut(&self.problem);
        Error::new(&catalogue::VALIDATION_FAILED)
            .worded(format!("Invalid input: {problem}"))
            .with("field", echo::cut(&self.field))
            .with("index", self.index)
            .with("value", value)
    }
}

impl Rules {
    /// Holds a whole body against everything.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, body: &[u8]) -> Result<(), Violation> {
        scan(body, self.max_depth).map_err(Violation::of_body)?;
        let value: Value = serde_json::from_slice(body).map_err(|_| {
            Violation::of_body("the body holds a number or a text that is out of range")
        })?;
        for (path, most) in &self.max_items {
            rule::count(path, *most, &value)?;
        }
        #[cfg(feature = "schema")]
        if let Some(schema) = &self.schema {
            schema.check(&value)?;
        }
        self.rules.iter().try_for_each(|rule| rule.check(&value))
    }

    /// Whether a body of this length is checked where the request is. The figures are measured; see the page on validation.
    fn is_quick(&self, length: usize) -> bool {
        let most = match self.rules.as_slice() {
            rules if rules.iter().any(Rule::is_slow) => 2 * 1024,
            [] if self.schema.is_none() => 32 * 1024,
            _ => 4 * 1024,
        };
        length <= most
    }
}

/// The rules by route; the first are for requests without a route.
pub type ByRoute = Arc<[Option<Arc<Rules>>]>;
