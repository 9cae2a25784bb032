//! One method of one path of the API: what answers it, and what is said of it.
//!
//! The router and the OpenAPI document are made from the same lists, so that nothing is served that is not described.

use axum::routing::MethodRouter;
use serde_json::{Value, json};

use super::Admin;

/// One method of one path.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The method, in lower case as OpenAPI has it.
    pub method: &'static str,
    /// The path, with names in braces.
    pub path: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What the query may ask.
    pub query: &'static [Parameter],
    /// The schema of the body, where one is taken.
    pub takes: Option<fn() -> Value>,
    /// The code of success, and the name of the document that comes with it.
    pub answers: (u16, Option<&'static str>),
    /// What answers it.
    pub(super) handler: fn() -> MethodRouter<Admin>,
}

/// One key of a query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// The key.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// The values, when there are only these.
    pub values: &'static [&'static str],
}

impl Parameter {
    /// As OpenAPI has it.
    pub fn document(self) -> Value {
        let mut schema = json!({"type": "string"});
        if !self.values.is_empty() {
            schema["enum"] = json!(self.values);
        }
        json!({"name": self.name, "in": "query", "description": self.about, "schema": schema})
    }
}

/// Which checks are asked for.
pub const ONLY: Parameter = Parameter {
    name: "only",
    about: "Only the checks that can close readiness, or only the others.",
    values: &["required", "critical", "optional"],
};

impl Operation {
    /// Something that is read.
    pub(super) const fn get(
        path: &'static str,
        summary: &'static str,
        document: &'static str,
        handler: fn() -> MethodRouter<Admin>,
    ) -> Self {
        Self {
            method: "get",
            path,
            summary,
            query: &[],
            takes: None,
            answers: (200, Some(document)),
            handler,
        }
    }

    /// Something that is done.
    pub(super) const fn post(
        path: &'static str,
        summary: &'static str,
        answers: (u16, Option<&'static str>),
        handler: fn() -> MethodRouter<Admin>,
    ) -> Self {
        Self {
            method: "post",
            answers,
            ..Self::get(path, summary, "", handler)
        }
    }

    pub(super) const fn asking(mut self, query: &'static [Parameter]) -> Self {
        self.query = query;
        self
    }

    pub(super) const fn taking(mut self, takes: fn() -> Value) -> Self {
        self.takes = Some(takes);
        self
    }
}
