//! The question to all workers, and what they answer, as kombu's pidbox writes them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

/// So many names are kept.
const MOST_NAMES: usize = 20;

/// A longer name is not kept.
const LONGEST_NAME: usize = 100;

/// `inspect ping`, asked once.
#[derive(Debug)]
pub(super) struct Question {
    /// The exchange that workers listen to.
    pub(super) exchange: String,
    /// The exchange that carries replies, unless the default one does.
    pub(super) reply_exchange: String,
    /// Who asks: the routing key of replies.
    pub(super) asker: String,
    /// Tells replies to this question from those to an earlier one.
    pub(super) ticket: String,
}

impl Question {
    pub(super) fn new(control_exchange: &str) -> Self {
        Self {
            exchange: format!("{control_exchange}.pidbox"),
            reply_exchange: format!("reply.{control_exchange}.pidbox"),
            asker: Uuid::now_v7().to_string(),
            ticket: Uuid::now_v7().to_string(),
        }
    }

    /// The question itself, with the address for replies.
    pub(super) fn body(&self, exchange: &str, routing_key: &str) -> String {
        json!({
            "method": "ping",
            "arguments": {},
            "destination": null,
            "pattern": null,
            "matcher": null,
            "ticket": self.ticket,
            "reply_to": {"exchange": exchange, "routing_key": routing_key},
        })
        .to_string()
    }

    /// The question as a message of kombu's Redis transport.
    pub(super) fn message(&self) -> String {
        json!({
            "body": STANDARD.encode(self.body(&self.reply_exchange, &self.asker)),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"clock": 1, "expires": 0},
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": self.exchange, "routing_key": ""},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": self.ticket,
            },
        })
        .to_string()
    }
}

/// Who answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// How many.
    pub(super) count: usize,
    /// The first of them in the order of the alphabet.
    pub(super) names: BTreeSet<String>,
}

impl Answers {
    /// Takes in a reply. An app whose serializer is not JSON replies in another, which counts all the same.
    pub(super) fn take(&mut self, body: &[u8], is_json: bool) {
        if !is_json {
            self.count += 1;
            return;
        }
        let Ok(Value::Object(reply)) = serde_json::from_slice(body) else {
            return;
        };
        let Some((name, _)) = reply.into_iter().find(|(_, said)| said.get("ok").is_some()) else {
            return;
        };
        self.count += 1;
        if name.len() <= LONGEST_NAME && !name.contains(char::is_control) {
            self.names.insert(name);
        }
        if self.names.len() > MOST_NAMES {
            self.names.pop_last();
        }
    }

    /// Takes in a reply as a message of kombu's Redis transport.
    pub(super) fn take_message(&mut self, message: &[u8], ticket: &str) {
        let Ok(message) = serde_json::from_slice::<Value>(message) else {
            return;
        };
        if message["headers"]["ticket"] != ticket {
            return;
        }
        let is_json = message["content-type"] == "application/json";
        let body = message["body"].as_str().unwrap_or_default();
        let is_encoded = message["properties"]["body_encoding"] == "base64";
        if is_json && is_encoded {
            self.take(&STANDARD.decode(body).unwrap_or_default(), true);
        } else {
            self.take(body.as_bytes(), is_json);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_counted_and_some_names_kept() {
        let mut answers = Answers::default();
        for number in (0..100).rev() {
            let reply = format!(r#"{{"w{number:02}@host":{{"ok":"pong"}}}}"#);
            answers.take(reply.as_bytes(), true);
        }
        answers.take(br#"{"broken@host":{"error":"no"}}"#, true);
        answers.take(b"no json", true);
        answers.take(b"\x80\x05pickle", false);
        assert_eq!((answers.count, answers.names.len()), (101, 20));
        assert_eq!(answers.names.first().map(String::as_str), Some("w00@host"));
        assert_eq!(answers.names.last().map(String::as_str), Some("w19@host"));
    }

    #[test]
    fn a_reply_to_an_earlier_question_does_not_count() {
        let body = STANDARD.encode(r#"{"w@host":{"ok":"pong"}}"#);
        let message = |ticket: &str| {
            json!({"body": body, "content-type": "application/json", "headers": {"ticket": ticket},
                   "properties": {"body_encoding": "base64"}})
            .to_string()
        };
        let mut answers = Answers::default();
        answers.take_message(message("old").as_bytes(), "new");
        answers.take_message(b"[1]", "new");
        assert_eq!(answers.count, 0);
        answers.take_message(message("new").as_bytes(), "new");
        assert_eq!(answers.count, 1);
    }
}
