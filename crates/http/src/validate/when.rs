//! Conditions in the Common Expression Language (CEL).
//!
//! `low <= min(open, close) && high >= max(open, close)`: the fields of the item, or of the body, are variables; `this` is the
//! whole of it and `index` the item's number. CEL has no loops but those over lists that it is given, and one of those may
//! not stand within another, so a condition takes time in proportion to its body. `min` and `max` are ours. JSON does not tell
//! 10 from 10.0, so numbers are tried as they are written and then, when that does not fit, all as fractions.
//!
//! Conditions are compiled on a thread with a large stack, because the parser is recursive, and then tried with made-up
//! values: CEL itself finds out about types only when a value comes.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::thread;

use cel::common::ast::{CallExpr, Expr};
use cel::extractors::Arguments;
use cel::objects::{Key, Map};
use cel::parser::{Expression as Node, ParseErrors};
use cel::{Context, Env, ExecutionError, Program, Value};
use serde_json::Value as Json;

use super::Violation;
use super::path::{Found, Path};

/// A condition that is longer is a program.
const LONGEST: usize = 2048;
/// Enough for what [`LONGEST`] allows, measured with brackets alone.
const STACK: usize = 16 << 20;
/// Brackets deeper than this are refused before the parser sees them.
const DEEPEST: usize = 64;
/// Parts deeper than this could use up the stack of a worker, which walks them by recursion.
const DEEPEST_TREE: usize = 100;
/// The functions that there are.
const FUNCTIONS: [&str; 17] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    "max",
    "min",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "all",
    "exists",
    "has",
];

/// A condition that cannot be used, and where in it that shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadExpression {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
    /// The character of the text, counted from one.
    pub column: Option<usize>,
}

impl BadExpression {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            column: None,
        }
    }
}

/// See the [module documentation](self).
pub struct Compiled {
    text: Box<str>,
    program: Program,
    variables: Vec<String>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled({})", self.text)
    }
}

/// Compiles a condition.
///
/// # Errors
/// Why it is none.
pub fn compile(text: &str) -> Result<Compiled, BadExpression> {
    if text.len() > LONGEST {
        let message = format!("the condition has more than {LONGEST} characters");
        return Err(BadExpression::new(message, "split it into several rules"));
    }
    if nesting(text) > DEEPEST {
        let message = format!("the condition has more than {DEEPEST} brackets within each other");
        return Err(BadExpression::new(message, "split it into several rules"));
    }
    let owned = text.to_owned();
    let compiling = thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || build(&owned));
    let compiled = compiling.map(thread::JoinHandle::join);
    match compiled {
        Ok(Ok(compiled)) => compiled,
        _ => Err(BadExpression::new(
            "the condition cannot be compiled",
            "write it in another way",
        )),
    }
}

fn nesting(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'!' | b'-' | b'?' => {
                open += 1;
                most = most.max(open);
            }
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

fn build(text: &str) -> Result<Compiled, BadExpression> {
    let program = ENV.compile(text).map_err(|errors| unreadable(&errors))?;
    let shape = shape(program.expression());
    if shape.builds {
        return Err(BadExpression::new(
            "a condition builds no maps",
            "compare fields one by one",
        ));
    }
    if shape.depth > DEEPEST_TREE {
        return Err(BadExpression::new(
            format!("the condition has more than {DEEPEST_TREE} parts within each other"),
            "split it into several rules",
        ));
    }
    if shape.loops > 1 {
        return Err(BadExpression::new(
            "a loop stands within another one, so a large body would take very long",
            "use `each` for the outer one",
        ));
    }
    let references = program.references();
    let functions = references.functions();
    let unknown = functions.iter().find(|name| {
        name.starts_with(|first: char| first.is_ascii_alphabetic()) && !FUNCTIONS.contains(name)
    });
    if let Some(unknown) = unknown {
        let mut error = BadExpression::new(
            format!("there is no function `{unknown}`"),
            format!("there are {}", FUNCTIONS.join(", ")),
        );
        error.column = text
            .find(&**unknown)
            .map(|at| text[..at].chars().count() + 1);
        return Err(error);
    }
    let variables = references
        .variables()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let compiled = Compiled {
        text: text.into(),
        program,
        variables,
    };
    compiled.rehearse()?;
    Ok(compiled)
}

fn unreadable(errors: &ParseErrors) -> BadExpression {
    let first = errors.errors.first();
    let says = first.map_or("it cannot be read", |error| error.msg.as_str());
    let mut bad = BadExpression::new(
        format!("this is no condition: {}", says.trim()),
        "conditions are written in CEL, such as `low <= high && size(name) > 0`",
    );
    bad.column = first
        .and_then(|error| usize::try_from(error.pos.1).ok())
        .filter(|column| *column > 0);
    bad
}

/// What a condition looks like, as far as that says how long it takes and how much stack.
#[derive(Clone, Copy, Default)]
struct Shape {
    /// How deep parts stand within each other.
    depth: usize,
    /// How deep loops do.
    loops: usize,
    /// Whether maps or structures are built.
    builds: bool,
}

impl Shape {
    fn with(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            loops: self.loops.max(other.loops),
            builds: self.builds || other.builds,
        }
    }
}

fn shape(node: &Node) -> Shape {
    let all = |nodes: &mut dyn Iterator<Item = &Node>| {
        nodes.fold(Shape::default(), |whole, node| whole.with(shape(node)))
    };
    let mut whole = match &node.expr {
        Expr::Comprehension(each) => {
            let inner = [
                &each.accu_init,
                &each.loop_cond,
                &each.loop_step,
                &each.result,
            ];
            let mut inner = all(&mut inner.into_iter());
            inner.loops += 1;
            inner.with(shape(&each.iter_range))
        }
        Expr::Call(call) => {
            let mut parts = all(&mut call.args.iter().chain(call.target.as_deref()));
            parts.loops = parts.loops.max(usize::from(walks(call)));
            parts
        }
        Expr::List(list) => all(&mut list.elements.iter()),
        Expr::Select(select) => shape(&select.operand),
        Expr::Map(_) | Expr::Struct(_) => Shape {
            builds: true,
            ..Shape::default()
        },
        _ => Shape::default(),
    };
    whole.depth += 1;
    whole
}

/// Whether it goes through a list that may be as long as a client likes.
fn walks(call: &CallExpr) -> bool {
    let is_long = |node: &Node| !matches!(node.expr, Expr::List(_));
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("@in", [_, list]) | ("min" | "max", [list]) => is_long(list),
        _ => false,
    }
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

fn context<'a>() -> Context<'a, 'a> {
    let mut context = Context::with_env(ENV.clone());
    // Neither is part of the standard, so there is nothing to clash with.
    context
        .add_function("min", |Arguments(numbers): Arguments| {
            extreme("min", &numbers, Ordering::Less)
        })
        .ok();
    context
        .add_function("max", |Arguments(numbers): Arguments| {
            extreme("max", &numbers, Ordering::Greater)
        })
        .ok();
    context
}

/// The first or last of numbers or texts, or of one list of them.
fn extreme(name: &str, given: &[Value], wanted: Ordering) -> Result<Value, ExecutionError> {
    let values = match given {
        [Value::List(list)] => list.as_slice(),
        _ => given,
    };
    let (first, rest) = values
        .split_first()
        .ok_or_else(|| ExecutionError::function_error(name, "there is nothing to choose from"))?;
    let mut best = first;
    for value in rest {
        let order = value.partial_cmp(best);
        let order = order
            .ok_or_else(|| ExecutionError::ValuesNotComparable(best.clone(), value.clone()))?;
        if order == wanted {
            best = value;
        }
    }
    Ok(best.clone())
}

/// How numbers are given to a condition.
#[derive(Clone, Copy)]
enum Numbers {
    AsWritten,
    Fractions,
}

fn convert(value: &Json, numbers: Numbers) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Number(number) => match (numbers, number.as_i64()) {
            (Numbers::AsWritten, Some(whole)) => Value::Int(whole),
            _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::Array(items) => Value::List(Arc::new(
            items.iter().map(|item| convert(item, numbers)).collect(),
        )),
        Json::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| {
                (Key::String(Arc::new(name.clone())), convert(value, numbers))
            });
            Value::Map(Map {
                map: Arc::new(entries.collect()),
            })
        }
    }
}

impl Compiled {
    /// Tries the condition with made-up values: with all variables numbers, texts, lists or objects. One that is no condition
    /// for any of them, or none only because of how a number is written, will not be one for a client's.
    fn rehearse(&self) -> Result<(), BadExpression> {
        let samples = [
            Value::Int(1),
            Value::Float(1.5),
            Value::String(Arc::new("a".to_owned())),
            Value::Bool(true),
            Value::List(Arc::new(vec![Value::Int(1)])),
            Value::List(Arc::new(vec![Value::Float(1.5)])),
        ];
        let results = samples.map(|sample| {
            let mut context = context();
            for name in &self.variables {
                context.add_variable_from_value(name.as_str(), sample.clone());
            }
            self.program.execute(&context)
        });
        let is_condition =
            |result: &Result<Value, ExecutionError>| matches!(result, Ok(Value::Bool(_)));
        if !results.iter().any(is_condition) {
            if let Some(Ok(other)) = results.iter().find(|result| result.is_ok()) {
                return Err(BadExpression::new(
                    format!(
                        "this is no condition: it gives a {}, not true or false",
                        other.type_of()
                    ),
                    "compare it with something, as in `size(name) > 0`",
                ));
            }
            let fields = self.variables.iter().any(|name| name == "this");
            if self.variables.len() <= 1 && !fields && !self.text.contains('.') {
                let why = results.into_iter().find_map(Result::err);
                return Err(BadExpression::new(
                    format!(
                        "this can never be true: {}",
                        why.map(|why| why.to_string()).unwrap_or_default()
                    ),
                    "its parts are of types that do not fit together",
                ));
            }
        } else if is_condition(&results[0])
            && matches!(
                results[1],
                Err(ExecutionError::NoSuchOverload(_)
                    | ExecutionError::UnsupportedBinaryOperator(..))
            )
            && !self.text.contains('%')
            && !self.text.contains("index")
        {
            return Err(BadExpression::new(
                "this fails for numbers with a fraction, and any number of JSON may have one",
                "write `1.0` for `1` where it is added, subtracted or multiplied",
            ));
        }
        Ok(())
    }

    /// Whether it holds. `None` if that cannot be said, because something is missing or of another type.
    fn holds(&self, root: &Context<'_, '_>, this: &Json, index: Option<usize>) -> Option<bool> {
        let once = |numbers| {
            let mut scope = root.new_inner_scope();
            for name in &self.variables {
                let value = match &**name {
                    "this" => Some(convert(this, numbers)),
                    "index" if this.get("index").is_none() => index
                        .and_then(|index| i64::try_from(index).ok())
                        .map(Value::Int),
                    name => this.get(name).map(|value| convert(value, numbers)),
                };
                if let Some(value) = value {
                    scope.add_variable_from_value(name.as_str(), value);
                }
            }
            self.program.execute(&scope)
        };
        let result = match once(Numbers::AsWritten) {
            Ok(value) => Ok(value),
            Err(_) => once(Numbers::Fractions),
        };
        match result {
            Ok(Value::Bool(holds)) => Some(holds),
            _ => None,
        }
    }
}

/// Whether a condition holds for each item, or for the body.
pub(super) fn check(
    each: Option<&Path>,
    condition: &Compiled,
    name: &str,
    body: &Json,
) -> Result<(), Violation> {
    let root = context();
    let judge = |field: &str, index: Option<usize>, value: &Json| {
        let problem = match condition.holds(&root, value, index) {
            Some(true) => return Ok(()),
            Some(false) => format!("the rule `{name}` does not hold"),
            None => format!(
                "the rule `{name}` cannot be applied: something is missing or of another type"
            ),
        };
        let at = index
            .map(|index| format!(" for {field}[{index}]"))
            .unwrap_or_default();
        Err(Violation {
            field: field.to_owned(),
            index,
            value: Box::new(value.clone()),
            problem: format!("{problem}{at}"),
        })
    };
    let Some(each) = each else {
        return judge("", None, body);
    };
    each.walk(body, &mut |found: Found<'_>| match found.value {
        Some(Json::Array(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| judge(&found.field, Some(index), item)),
        Some(other) => judge(&found.field, found.index, other),
        None => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_a_list_counts_as_a_loop() {
        for text in [
            "a.all(x, x in b)",
            "a.all(x, x > min(b))",
            "a.exists(x, max(b) < x)",
            "a.all(x, b.all(y, x < y))",
        ] {
            let bad = compile(text).expect_err(text);
            assert!(bad.message.contains("within another"), "{text}: {bad:?}");
        }
        for text in [
            "a in b",
            "min(a) < max(b)",
            "a.all(x, x in [1, 2, 3])",
            "a.all(x, x > min(b, c) && x < max([b, c]))",
            "a in b && c.all(x, x > 0)",
        ] {
            assert!(compile(text).is_ok(), "{text}: {:?}", compile(text));
        }
    }
}
