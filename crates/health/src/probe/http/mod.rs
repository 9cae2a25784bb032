//! Whether a URL answers as it should.

mod codes;
mod exchange;
mod headers;

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderMap;
use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use seaworthy_core::health::Status;
use serde::{Deserialize, Serialize};

pub use codes::{Codes, NotCodes};
pub(in crate::probe) use exchange::{Answer, Client};
pub use headers::Headers;

use super::reading::Expected;
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome, Running};

/// Asks a URL and looks at the status of the answer, and at a value in it. Redirects are not followed; 64 KiB of the answer are
/// read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Http {
    /// The URL, such as `https://api.example.com/health`. A user and a password in it are sent as basic authentication.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// The method. Default `GET`.
    #[serde(default)]
    pub method: Method,
    /// The codes that are expected: `200`, `200-399` or `200,204`. Default `200-399`.
    #[serde(default)]
    pub status: Codes,
    /// The word for any other code. Readiness is closed by it all the same, when the check is critical. Default: that for a
    /// failure.
    #[serde(default)]
    pub on_bad_status: Option<BadStatus>,
    /// Fields of the request. Their values are never shown.
    #[serde(default)]
    pub headers: Headers,
    /// What is expected of a value in the answer.
    #[serde(flatten)]
    pub expected: Expected,
    /// A file of PEM certificates that are trusted instead of those of the system. Default: those of the system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Asks for the whole answer.
    #[default]
    Get,
    /// Asks for the head of the answer alone.
    Head,
    /// Asks what may be asked.
    Options,
    /// For what answers nothing else; without a body. A check must not change anything.
    Post,
}

/// The word for a status that is not expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BadStatus {
    /// It works, and somebody should look at it.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl Http {
    /// A GET of `url` with all defaults.
    pub fn new(url: Dsn) -> Self {
        Self {
            url,
            method: Method::Get,
            status: Codes::default(),
            on_bad_status: None,
            headers: Headers::default(),
            expected: Expected::default(),
            ca: None,
        }
    }
}

impl Probe for Http {
    const KIND: &'static str = "http";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, &["http", "https"], around, faults);
        self.headers.faults(faults);
        self.expected.faults(faults);
        if self.expected.judges() && self.expected.pointer.is_none() {
            let message = "`equals`, `min` and `max` judge a value, and it is not said which";
            faults.push(Fault::new(
                "pointer",
                message,
                "write where it is, as `/queue/depth`",
            ));
        }
        if self.expected.pointer.is_some() && self.method == Method::Head {
            let message = "the answer to HEAD has no body to find a value in";
            faults.push(Fault::new("method", message, "use GET"));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let method = match self.method {
            Method::Get => http::Method::GET,
            Method::Head => http::Method::HEAD,
            Method::Options => http::Method::OPTIONS,
            Method::Post => http::Method::POST,
        };
        let fields = self.headers.to_map();
        Arc::new(Asks {
            client: Client::new(&self.url, method, fields, self.ca.clone()),
            status: self.status.clone(),
            word: self.on_bad_status.map(|word| match word {
                BadStatus::Degraded => Status::Degraded,
                BadStatus::Unhealthy => Status::Unhealthy,
            }),
            expected: (self.expected.pointer.as_ref()).map(|_| self.expected.clone()),
        })
    }
}

struct Asks {
    client: Client,
    status: Codes,
    word: Option<Status>,
    expected: Option<Expected>,
}

impl Asks {
    fn judge(&self, answer: &Answer) -> Outcome {
        if !self.status.has(answer.code) {
            let outcome = Outcome::unhealthy(format!("Status code: {}", answer.code));
            return match self.word {
                Some(word) => outcome.worded(word),
                None => outcome,
            };
        }
        let Some(expected) = &self.expected else {
            return Outcome::healthy(format!("Status code: {}", answer.code));
        };
        if answer.cut {
            return Outcome::unhealthy("its answer is longer than 64 KiB");
        }
        match serde_json::from_slice(&answer.body) {
            Ok(document) => expected.judge(&document),
            Err(_) => Outcome::unhealthy("its answer is not JSON"),
        }
    }
}

impl Check for Asks {
    fn kind(&self) -> &'static str {
        Http::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            match self.client.ask(HeaderMap::new()).await {
                Ok(answer) => self.judge(&answer).with("status_code", answer.code),
                Err(outcome) => outcome,
            }
        })
    }
}
