//! What bodies have to be like, by route, built from what the file says.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use seaworthy_core::names::metric;
use seaworthy_core::quantity::Size;
use seaworthy_http::validate::schema::{Schema, Source};
use seaworthy_http::validate::{ByRoute, Mode, Rule, Rules, Watch};
use seaworthy_telemetry::metrics::{Counter, Registry};
use serde_json::Value;

use super::text::read;
use crate::config::validation::OPENAPI;
use crate::config::{Config, Validation};
use crate::failure::Failure;

/// The largest body that is checked unless something else is said.
const LARGEST: Size = Size(1 << 20);
/// How deep bodies may be nested unless something else is said.
const DEEPEST: u16 = 32;

/// A route whose schema the app describes itself, and where that schema belongs.
#[derive(Clone, Debug)]
pub struct Described {
    /// The route as it was written.
    pub pattern: String,
    /// Filled once the description has been read.
    pub schema: Arc<ArcSwapOption<Schema>>,
}

/// The rules of each route, and those that wait for the app's description.
pub(super) fn build(config: &Config) -> Result<(ByRoute, Vec<Described>), Failure> {
    let mut described = Vec::new();
    let general = config.validate.as_ref();
    let mut all = vec![match general.filter(|section| section.asks()) {
        Some(section) => Some(rules(config, "validate", None, section, &mut described)?),
        None => None,
    }];
    for (index, route) in config.routes.iter().enumerate() {
        all.push(match &route.validate {
            Some(own) => {
                let setting = format!("routes[{index}].validate");
                let whole = own.over(general);
                Some(rules(
                    config,
                    &setting,
                    Some(&route.pattern),
                    &whole,
                    &mut described,
                )?)
            }
            None => all[0].clone(),
        });
    }
    if all.iter().all(Option::is_none) {
        all.clear();
    }
    Ok((all.into(), described))
}

fn rules(
    config: &Config,
    setting: &str,
    pattern: Option<&str>,
    section: &Validation,
    described: &mut Vec<Described>,
) -> Result<Arc<Rules>, Failure> {
    let wrong = |what: String| Failure::usage(format!("{setting}: {what}"));
    let mut rules = Vec::new();
    for rule in &section.rules {
        rules.push(
            rule.read()
                .map_err(|(_, what, help)| wrong(format!("{what}; {help}")))?,
        );
    }
    rules.sort_by_key(Rule::turn);
    let mut max_items = Vec::new();
    for (path, most) in &section.max_items {
        let path = path
            .parse()
            .map_err(|bad: seaworthy_http::validate::BadPath| wrong(bad.to_string()))?;
        max_items.push((path, usize::try_from(*most).unwrap_or(usize::MAX)));
    }
    let schema = match (&section.schema, pattern) {
        (None, _) => None,
        (Some(named), Some(pattern)) if named == OPENAPI => {
            let schema = Arc::new(ArcSwapOption::empty());
            described.push(Described {
                pattern: pattern.to_owned(),
                schema: schema.clone(),
            });
            Some(Source::Described(schema))
        }
        (Some(named), None) if named == OPENAPI => {
            return Err(wrong(
                "the app describes routes, so `schema: openapi` belongs to a route".to_owned(),
            ));
        }
        (Some(file), _) => Some(Source::Fixed(Arc::new(schema_of(
            &format!("{setting}.schema"),
            file,
        )?))),
    };
    Ok(Arc::new(Rules {
        mode: section.mode.map_or(Mode::default(), Mode::from),
        max_body: usize::try_from(section.max_body.unwrap_or(LARGEST).get()).unwrap_or(usize::MAX),
        max_depth: usize::from(section.max_depth.unwrap_or(DEEPEST)),
        max_items,
        schema,
        rules,
        echo: config.errors.echo_values,
    }))
}

fn schema_of(setting: &str, file: &str) -> Result<Schema, Failure> {
    let text = read(setting, Path::new(file))?;
    let document: Value = serde_json::from_str(&text).map_err(|bad| {
        Failure::usage(format!(
            "{setting}: {file}:{}:{}: {bad}",
            bad.line(),
            bad.column()
        ))
    })?;
    Schema::new(&document).map_err(|bad| Failure::usage(format!("{setting}: {file}: {bad}")))
}

/// Counts bodies that broke a rule.
pub(super) struct Counted {
    observed: Counter,
    enforced: Counter,
}

impl Counted {
    pub(super) fn new(registry: &Arc<Registry>) -> Self {
        let counter = |mode: Mode| registry.counter(&metric::VALIDATION_FAILURES, &[mode.word()]);
        Self {
            observed: counter(Mode::Observe),
            enforced: counter(Mode::Enforce),
        }
    }
}

impl Watch for Counted {
    fn failed(&self, mode: Mode) {
        match mode {
            Mode::Off => {}
            Mode::Observe => self.observed.inc(),
            Mode::Enforce => self.enforced.inc(),
        }
    }
}
