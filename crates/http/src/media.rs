//! Media types, as `Content-Type` has them.

/// Whether a body of this type is JSON: `application/json`, or another of `application` that ends in `+json`.
pub(crate) fn is_json(kind: &str) -> bool {
    let plain = kind.split(';').next().unwrap_or_default().trim();
    let plain = plain.to_ascii_lowercase();
    plain == "application/json" || plain.starts_with("application/") && plain.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_many_names() {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in [
            "",
            "text/html",
            "text/json+html",
            "application/jsonp",
            "image/svg+json",
        ] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
