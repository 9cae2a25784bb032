//! What counts as a failure, as data.

/// Which answers are failures. An answer to a wrong request (4xx) is none unless it is listed: the client is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Statuses, and ranges of them, both ends included.
    statuses: Vec<(u16, u16)>,
}

impl Default for Classes {
    /// Every 5xx.
    fn default() -> Self {
        Self {
            statuses: vec![(500, 599)],
        }
    }
}

impl Classes {
    /// These ranges of statuses, both ends included.
    pub fn new(statuses: impl IntoIterator<Item = (u16, u16)>) -> Self {
        Self {
            statuses: statuses.into_iter().collect(),
        }
    }

    /// Whether an answer with this status is a failure.
    pub fn is_failure(&self, status: u16) -> bool {
        self.statuses
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_request_is_no_failure_unless_it_is_listed() {
        let usual = Classes::default();
        assert!(
            [500, 503, 599]
                .iter()
                .all(|status| usual.is_failure(*status))
        );
        assert!(
            ![200, 304, 404, 429, 499, 600]
                .iter()
                .any(|status| usual.is_failure(*status))
        );
        assert!(Classes::new([(429, 429)]).is_failure(429));
    }
}
