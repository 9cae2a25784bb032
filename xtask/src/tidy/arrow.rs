//! Which crate may depend on which: `core <- the rest <- seaworthy`, and no arrow between the five in the middle.

use super::Breach;
use crate::tree::Tree;

/// Each crate with the crates of this workspace it may build on.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("core", &[]),
    ("config", &["core"]),
    ("health", &["core"]),
    ("lifecycle", &["core"]),
    ("http", &["core"]),
    ("telemetry", &["core"]),
    ("outbox", &["core"]),
    (
        "seaworthy",
        &[
            "core",
            "config",
            "health",
            "lifecycle",
            "http",
            "telemetry",
            "outbox",
        ],
    ),
    // The kit knows the product by its sockets alone, or it would share the faults that it looks for.
    ("testkit", &[]),
];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    tree.ending("/Cargo.toml")
        .flat_map(|(path, text)| manifest(path, text))
        .collect()
}

fn manifest(path: &str, text: &str) -> Vec<Breach> {
    let Some(name) = path
        .strip_prefix("crates/")
        .and_then(|rest| rest.split('/').next())
    else {
        return Vec::new();
    };
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
        return vec![Breach::new(
            path,
            "a new crate: say in xtask/src/tidy/arrow.rs what it may build on",
        )];
    };
    let Ok(manifest) = text.parse::<toml::Table>() else {
        return vec![Breach::new(path, "is no TOML")];
    };
    let keys = |table: &str| {
        let table = manifest.get(table).and_then(toml::Value::as_table).cloned();
        table.into_iter().flatten().map(|(key, _)| key)
    };
    let own = |key: String| key.strip_prefix("seaworthy-").map(str::to_owned);
    let built = ["dependencies", "build-dependencies"]
        .into_iter()
        .flat_map(keys)
        .filter_map(own);
    let tested = keys("dev-dependencies")
        .filter_map(own)
        .filter(|key| key != "testkit");
    let all = built.chain(tested);
    all.filter(|other| !allowed.contains(&other.as_str()))
        .map(|other| {
            let cure = "what two crates share lives in core";
            Breach::new(path, format!("{name} must not build on {other}; {cure}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_arrows_between_siblings() {
        let text =
            "[dependencies]\nseaworthy-core.workspace = true\nseaworthy-http.workspace = true\n";
        let breaches = manifest("crates/telemetry/Cargo.toml", text);
        assert_eq!(breaches.len(), 1);
        assert!(
            breaches[0]
                .what
                .contains("telemetry must not build on http"),
            "{breaches:?}"
        );
        assert!(manifest("crates/seaworthy/Cargo.toml", text).is_empty());
    }

    #[test]
    fn only_tests_may_use_the_kit() {
        let kit = "seaworthy-testkit.workspace = true\n";
        assert!(
            manifest(
                "crates/http/Cargo.toml",
                &format!("[dev-dependencies]\n{kit}")
            )
            .is_empty()
        );
        assert_eq!(
            manifest("crates/http/Cargo.toml", &format!("[dependencies]\n{kit}")).len(),
            1
        );
    }

    #[test]
    fn new_crates_must_be_placed() {
        assert_eq!(manifest("crates/novel/Cargo.toml", "").len(), 1);
    }
}
