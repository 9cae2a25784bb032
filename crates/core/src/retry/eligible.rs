//! What may be done twice.

/// Which requests may be sent again after they may have had an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligible {
    /// Methods that may.
    pub methods: Vec<Box<str>>,
    /// The others may as well: somebody promises that they do no harm twice.
    pub unsafe_methods: bool,
    /// The others may if they carry an `Idempotency-Key`, with which the app tells a repetition.
    pub idempotency_key: bool,
}

impl Default for Eligible {
    fn default() -> Self {
        Self {
            methods: ["GET", "HEAD", "PUT", "DELETE"].map(Box::from).into(),
            unsafe_methods: false,
            idempotency_key: true,
        }
    }
}

impl Eligible {
    /// Whether a request may be sent again. `unsent`: it is proven that nothing of it was sent, so any may.
    pub fn may(&self, method: &str, has_key: bool, unsent: bool) -> bool {
        unsent
            || self.unsafe_methods
            || self.methods.iter().any(|own| &**own == method)
            || self.idempotency_key && has_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_needs_a_promise_a_key_or_a_proof() {
        let usual = Eligible::default();
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            assert!(usual.may(method, false, false), "{method}");
        }
        for method in ["POST", "PATCH", "get", "PURGE", ""] {
            assert!(!usual.may(method, false, false), "{method}");
            assert!(usual.may(method, true, false), "{method}");
            assert!(usual.may(method, false, true), "{method}");
        }
        let promised = Eligible {
            unsafe_methods: true,
            ..Eligible::default()
        };
        assert!(promised.may("POST", false, false));
        let strict = Eligible {
            idempotency_key: false,
            ..Eligible::default()
        };
        assert!(!strict.may("POST", true, false));
    }
}
