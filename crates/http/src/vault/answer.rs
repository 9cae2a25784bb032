//! What a server says.

use std::time::Duration;

use serde_json::Value;

use super::Failure;
use crate::outbound::Answer;

/// What an answer says, as far as anybody needs it.
pub(super) struct Document {
    /// What was asked for.
    pub(super) data: Value,
    /// Who one is from now on.
    pub(super) auth: Value,
    /// What renews the lease.
    pub(super) lease_id: Option<String>,
    /// How long it is good for.
    pub(super) lease: Option<Duration>,
    /// Whether the lease can be renewed.
    pub(super) renewable: bool,
}

/// Reads an answer to a question for `path`.
pub(super) fn read(server: &str, path: &str, answer: &Answer) -> Result<Document, Failure> {
    let refused = |why| {
        Err(Failure::Refused(
            format!("{server} for {path}"),
            answer.status,
            why,
        ))
    };
    match answer.status {
        200 | 204 => {}
        400 => return refused("the question is not understood; check mount and path"),
        403 => return refused("the token may not do this, or is none any more"),
        404 => return refused("there is nothing there; check mount, path and version"),
        429 | 472 | 473 => return refused("it stands by for another server"),
        503 => return refused("it is sealed or in maintenance"),
        300..400 => return refused("it sends elsewhere, and nobody goes there"),
        _ => return refused("it failed"),
    }
    if answer.body.is_empty() {
        return Ok(Document {
            data: Value::Null,
            auth: Value::Null,
            lease_id: None,
            lease: None,
            renewable: false,
        });
    }
    let strange = |why| Failure::Strange(server.to_owned(), why);
    let mut document: Value =
        serde_json::from_slice(&answer.body).map_err(|_| strange("it is no JSON"))?;
    if !document.is_object() {
        return Err(strange("it is no JSON object"));
    }
    let seconds = document.get("lease_duration").and_then(Value::as_u64);
    let id = document
        .get("lease_id")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty());
    Ok(Document {
        lease_id: id.map(str::to_owned),
        lease: seconds
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs),
        renewable: document
            .get("renewable")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        data: document
            .get_mut("data")
            .map(Value::take)
            .unwrap_or_default(),
        auth: document
            .get_mut("auth")
            .map(Value::take)
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn told(status: u16, body: &'static str) -> Result<Document, String> {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        read("vault:8200", "secret/data/x", &answer).map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_answer_is_read_and_what_is_none_is_refused_without_its_words() {
        let document = told(
            200,
            r#"{"data":{"a":1},"lease_id":"l","lease_duration":60,"renewable":true}"#,
        );
        let document = document.ok().unwrap();
        assert_eq!(
            (document.lease_id.as_deref(), document.lease),
            (Some("l"), Some(Duration::from_secs(60)))
        );
        assert_eq!(told(204, "").ok().unwrap().data, Value::Null);
        for (status, body, why) in [
            (403, r#"{"errors":["hunter2"]}"#, "may not do this"),
            (404, "hunter2", "nothing there"),
            (503, "", "sealed"),
            (302, "", "elsewhere"),
            (500, "", "failed"),
            (200, "hunter2", "no JSON"),
            (200, r#"["hunter2"]"#, "no JSON object"),
        ] {
            let error = told(status, body).err().unwrap();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
    }
}
