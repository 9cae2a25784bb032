//! What a running instance says about itself in `instance.json`.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::address::Address;

/// The addresses and the token of a running instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The process id as the instance sees it (1 in a pid namespace).
    pub pid: u64,
    /// Where it serves traffic.
    pub public: SocketAddr,
    /// Where it is steered, unless that is off.
    pub admin: Option<Address>,
    /// What changing requests on the admin listener must carry.
    pub token: Option<String>,
}

impl Instance {
    /// Reads `instance.json` in `state_dir`; `None` until it is complete.
    #[must_use]
    pub fn read(state_dir: &Path) -> Option<Self> {
        parse(&std::fs::read_to_string(state_dir.join("instance.json")).ok()?)
    }
}

fn parse(text: &str) -> Option<Instance> {
    let json: Value = serde_json::from_str(text).ok()?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    Some(Instance {
        pid: json.get("pid")?.as_u64()?,
        public: text("public")?.parse().ok()?,
        admin: text("admin").and_then(|address| Address::parse(address).ok()),
        token: text("token").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_a_complete_file() {
        assert!(parse("").is_none());
        assert!(parse("{\"pid\":1}").is_none());
        let read =
            parse(r#"{"pid":1,"public":"127.0.0.1:8000","admin":"unix:/a","token":"t"}"#).unwrap();
        assert_eq!(read.public.port(), 8000);
        assert_eq!(read.admin, Some(Address::Unix("/a".into())));
    }
}
