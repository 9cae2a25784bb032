//! Tells the app that others of its documents hold.

use std::time::Duration;

use hyper::Method;
use seaworthy_core::address::Address;
use seaworthy_core::names::event;
use seaworthy_lifecycle::signals::Name;
use serde_json::json;

use crate::config::documents::Notify;
use crate::instance::client::{self, Question};

/// How long the app may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the app is told of one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The set.
    pub set: String,
    /// The documents that are other ones than before.
    pub changed: Vec<String>,
    notify: Notify,
}

impl Notice {
    pub(super) fn new(set: &str, changed: Vec<String>, notify: Notify) -> Self {
        Self {
            set: set.to_owned(),
            changed,
            notify,
        }
    }

    /// The signal that tells the app, if one does.
    #[must_use]
    pub fn signal(&self) -> Option<Name> {
        match &self.notify {
            Notify::Signal(name) => Some((*name).into()),
            Notify::None | Notify::Http(_) => None,
        }
    }

    /// Tells each instance of the app at `addresses` by a request, where one does. What fails is told in the log; the documents
    /// hold all the same.
    pub async fn post(&self, addresses: &[Address]) {
        if let Notify::Http(path) = &self.notify {
            let posts = addresses.iter().map(|address| self.one(address, path));
            futures_util::future::join_all(posts).await;
        }
    }

    async fn one(&self, address: &Address, path: &str) {
        let body = json!({"set": self.set, "changed": self.changed}).to_string();
        let question = Question {
            method: &Method::POST,
            body: Some(&body),
            ..Question::get(path)
        };
        let why = match client::call(address, question, PATIENCE).await {
            Ok(answer) if answer.status.is_success() => return,
            Ok(answer) => answer.status.to_string(),
            Err(error) => error.to_string(),
        };
        let set = &self.set;
        tracing::warn!(
            event = event::DOCUMENTS_NOTIFY,
            set,
            path,
            cause = why,
            "the app could not be told of its documents `{set}` at {path}: {why}"
        );
    }
}
