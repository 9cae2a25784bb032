//! What a log says in the end.

use super::record::Record;
use super::sign::{Trust, Untrusted};

/// Reads a log from its beginning to its end, and goes on when there is more.
#[derive(Debug)]
pub struct Fold {
    environment: String,
    trust: Trust,
    latest: Option<Record>,
}

/// What became of a text of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is what holds now.
    New,
    /// Something with this number or a later one was there before.
    Old,
    /// It is for another environment.
    Elsewhere,
    /// It is not believed.
    Refused(Untrusted),
}

impl Fold {
    /// Begins with nothing.
    #[must_use]
    pub fn new(environment: impl Into<String>, trust: Trust) -> Self {
        Self {
            environment: environment.into(),
            trust,
            latest: None,
        }
    }

    /// Takes the next text of the log.
    pub fn take(&mut self, text: &str) -> Taken {
        let record = match self.trust.open(text) {
            Ok(record) => record,
            Err(why) => return Taken::Refused(why),
        };
        if record.environment != self.environment {
            return Taken::Elsewhere;
        }
        if record.sequence <= self.sequence() {
            return Taken::Old;
        }
        self.latest = Some(record);
        Taken::New
    }

    /// The environment whose records are taken.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The number of the record that holds; 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.latest.as_ref().map_or(0, |latest| latest.sequence)
    }

    /// The record that holds.
    #[must_use]
    pub fn latest(&self) -> Option<&Record> {
        self.latest.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::record::{Content, FORMAT, Rollout, State};
    use super::super::sign::{Signer, seal};
    use super::*;

    fn record(sequence: u64, id: &str) -> Record {
        Record {
            format: FORMAT.to_owned(),
            environment: "production".to_owned(),
            sequence,
            id: id.to_owned(),
            at: String::new(),
            author: None,
            reason: None,
            content: Content {
                version: sequence,
                set: BTreeMap::from([("log.level".to_owned(), json!("debug"))]),
            },
            cohort: None,
            before: None,
            rollout: Rollout {
                version: sequence,
                state: State::Complete,
                stages: Vec::new(),
                begun: 0,
            },
        }
    }

    fn sealed(record: &Record, signer: &Signer) -> String {
        seal(record, Some(signer)).expect("it is short")
    }

    fn signer() -> (Signer, Trust) {
        let (signer, _) = Signer::generate().expect("random numbers");
        let trust = Trust::new(&[signer.public()]).expect("a key");
        (signer, trust)
    }

    #[test]
    fn only_what_a_known_key_signed_for_this_environment_is_taken() {
        let (signer, trust) = signer();
        let mut fold = Fold::new("production", trust);
        let good = sealed(&record(1, "a"), &signer);
        let unsigned = seal(&record(9, "b"), None).expect("it is short");
        assert_eq!(fold.take(&unsigned), Taken::Refused(Untrusted::Unsigned));
        let (stranger, _) = self::signer();
        let foreign = sealed(&record(9, "c"), &stranger);
        assert_eq!(fold.take(&foreign), Taken::Refused(Untrusted::Foreign));
        let changed = good.replace("debug", "error");
        assert_eq!(fold.take(&changed), Taken::Refused(Untrusted::Foreign));
        let mut elsewhere = record(9, "d");
        elsewhere.environment = "staging".to_owned();
        assert_eq!(fold.take(&sealed(&elsewhere, &signer)), Taken::Elsewhere);
        let mut newer = record(9, "e");
        newer.format = "seaworthy.registry.v2".to_owned();
        let told = fold.take(&sealed(&newer, &signer));
        assert!(
            matches!(told, Taken::Refused(Untrusted::Format(_))),
            "{told:?}"
        );
        let long = format!("{good}{}", " ".repeat(2 << 20));
        let told = fold.take(&long);
        assert!(matches!(told, Taken::Refused(Untrusted::TooLong(_))));
        assert_eq!((fold.take(&good), fold.sequence()), (Taken::New, 1));
        assert_eq!(fold.take(&good), Taken::Old, "a replay");
    }

    #[test]
    fn a_key_is_read_again_and_a_wrong_one_is_told() {
        let (signer, text) = Signer::generate().expect("random numbers");
        let again = Signer::read(text.expose()).expect("a key");
        assert_eq!(signer.public(), again.public());
        assert!(Signer::read("c2hvcnQ=").is_err() && Signer::read("?").is_err());
        assert!(Trust::new(&["c2hvcnQ=".to_owned()]).is_err());
    }

    proptest! {
        /// Whatever order publishers write in, and however often a log is delivered again, all who read it agree on the first of each number.
        #[test]
        fn everybody_who_reads_a_log_agrees(
            numbers in prop::collection::vec(1u64..9, 1..40),
            again in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let trust = Trust::default();
            let written = |(at, number): (usize, &u64)| {
                seal(&record(*number, &at.to_string()), None).expect("it is short")
            };
            let log: Vec<String> = numbers.iter().enumerate().map(written).collect();
            let mut once = Fold::new("production", trust.clone());
            for text in &log {
                once.take(text);
            }
            let mut twice = Fold::new("production", trust);
            for text in &log {
                twice.take(text);
            }
            for index in &again {
                let text = &log[index.index(log.len())];
                prop_assert_eq!(twice.take(text), Taken::Old);
            }
            prop_assert_eq!(once.latest(), twice.latest());
            prop_assert_eq!(Some(once.sequence()), numbers.iter().max().copied());
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,200}") {
            let mut fold = Fold::new("production", Trust::default());
            prop_assert!(matches!(fold.take(&text), Taken::Refused(_)));
        }
    }
}
