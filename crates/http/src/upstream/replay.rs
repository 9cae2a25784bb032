//! May a request be sent a second time? (RFC 9110, section 9.2.2; RFC 9112, section 9.3.1)
//!
//! Only when the first sending cannot have had an effect, or when the method promises that a second one adds none and the
//! failure is the ordinary race of a connection that idled out. A request that reached an app which then died is never
//! sent again, whatever its method: it may be what killed it.

use http::Method;

/// How far the first sending came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The connection had carried a request before.
    pub reused: bool,
    /// At least one byte was written.
    pub sent: bool,
    /// At least one byte of an answer arrived.
    pub answered: bool,
    /// Part of the body was taken from the client, and is gone.
    pub body_taken: bool,
    /// The app that it was sent to is no longer there.
    pub app_died: bool,
}

/// Whether to send again.
pub fn may_replay(method: &Method, attempt: Attempt) -> bool {
    if attempt.answered || attempt.body_taken {
        return false;
    }
    if !attempt.sent {
        return true;
    }
    attempt.reused && !attempt.app_died && method.is_idempotent()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLED_OUT: Attempt = Attempt {
        reused: true,
        sent: true,
        answered: false,
        body_taken: false,
        app_died: false,
    };

    #[test]
    fn only_safe_second_sendings_are_allowed() {
        assert!(may_replay(&Method::GET, IDLED_OUT));
        assert!(!may_replay(&Method::POST, IDLED_OUT));
        assert!(!may_replay(
            &Method::from_bytes(b"PURGE").expect("token"),
            IDLED_OUT
        ));
        assert!(may_replay(
            &Method::POST,
            Attempt {
                sent: false,
                ..IDLED_OUT
            }
        ));
        assert!(may_replay(
            &Method::POST,
            Attempt {
                sent: false,
                app_died: true,
                ..IDLED_OUT
            }
        ));
        assert!(!may_replay(
            &Method::GET,
            Attempt {
                reused: false,
                ..IDLED_OUT
            }
        ));
        assert!(!may_replay(
            &Method::GET,
            Attempt {
                app_died: true,
                ..IDLED_OUT
            }
        ));
        assert!(!may_replay(
            &Method::GET,
            Attempt {
                answered: true,
                ..IDLED_OUT
            }
        ));
        assert!(!may_replay(
            &Method::PUT,
            Attempt {
                body_taken: true,
                ..IDLED_OUT
            }
        ));
    }
}
