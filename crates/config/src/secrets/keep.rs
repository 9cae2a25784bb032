//! Asks for secrets again when it is time.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::questions::Questions;
use super::store::{SOONEST, Secrets, due};
use super::wanted::Wanted;
use super::{Given, Trouble};

/// The first wait after a question that failed.
const RETRY: Duration = Duration::from_secs(1);
/// The longest wait while questions fail.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News<'a> {
    /// The secret is as it was.
    Same,
    /// The secret has another value now.
    Changed,
    /// It could not be had, so the old value stays. How often that happened in a row.
    Failed(&'a Trouble, u32),
    /// Something is odd about it that was not before, although it can be used. What became of the question is told besides.
    Odd(&'a str),
}

/// Is told what became of each question: the name of the secret, whether it could not be had before, and what is new.
pub trait Observer: Send + 'static {
    /// Is told.
    fn told(&mut self, name: &str, was_failing: bool, news: News<'_>);
}

impl<F: FnMut(&str, bool, News<'_>) + Send + 'static> Observer for F {
    fn told(&mut self, name: &str, was_failing: bool, news: News<'_>) {
        self(name, was_failing, news);
    }
}

impl Secrets {
    /// Asks for each secret again when it is due, for ever. One that is slow does not keep the others.
    pub async fn keep(self, mut observer: impl Observer) {
        let mut asked = Questions::default();
        loop {
            let next = self.begin(&mut asked);
            tokio::select! {
                () = wait(next) => {}
                () = self.0.committed.notified() => {}
                Some((wanted, given)) = asked.next() => {
                    self.settle(&wanted, given, &mut observer);
                }
            }
        }
    }

    /// Asks for all that are due, and says when the next is.
    fn begin(&self, asked: &mut Questions) -> Option<Instant> {
        let now = Instant::now();
        let slots = self.slots();
        let mut next = None;
        for (name, slot) in slots.iter() {
            let Some(due) = slot.due else { continue };
            if due > now {
                next = Some(next.map_or(due, |next: Instant| next.min(due)));
            } else if !asked.is_asked(name) {
                asked.ask(slot.wanted.clone());
            }
        }
        next
    }

    fn settle(&self, wanted: &Wanted, given: Result<Given, Trouble>, observer: &mut impl Observer) {
        let mut slots = self.slots();
        // It may have been taken out or defined anew meanwhile; then nobody wants this answer.
        let slot = slots.get_mut(&wanted.name);
        let Some(slot) = slot.filter(|slot| slot.wanted.mark == wanted.mark) else {
            return;
        };
        let was_failing = slot.failures > 0;
        match given {
            Ok(given) => {
                slot.failures = 0;
                slot.due = due(&slot.wanted, given.lease);
                let changed = slot.value != given.value;
                slot.value = given.value;
                let odd = given.warning.clone();
                let odd = odd.filter(|odd| slot.warning.as_ref() != Some(odd));
                slot.warning = given.warning;
                drop(slots);
                if let Some(odd) = &odd {
                    observer.told(&wanted.name, was_failing, News::Odd(odd));
                }
                if changed {
                    self.0.ears.tell(&BTreeSet::from([wanted.name.clone()]));
                }
                let news = if changed { News::Changed } else { News::Same };
                observer.told(&wanted.name, was_failing, news);
            }
            Err(trouble) => {
                slot.failures = slot.failures.saturating_add(1);
                let failures = slot.failures;
                let wait = RETRY
                    .saturating_mul(1 << (failures - 1).min(10))
                    .min(LONGEST_RETRY);
                // Whoever wants it every second does not want it less often because it failed.
                let usual = slot.wanted.refresh.unwrap_or(LONGEST_RETRY);
                slot.due = Instant::now().checked_add(wait.min(usual).max(SOONEST));
                drop(slots);
                observer.told(&wanted.name, was_failing, News::Failed(&trouble, failures));
            }
        }
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::secret::Secret;
    use crate::secrets::{Asking, Prepared, Provider};

    /// Says what the test wants it to say.
    #[derive(Debug)]
    struct Said(Mutex<Result<&'static str, &'static str>>);

    impl Provider for Said {
        fn ask(&self) -> Asking<'_> {
            let said = *self.0.lock().unwrap();
            Box::pin(async move {
                match said {
                    Ok("hangs") => std::future::pending().await,
                    Ok("panics") => panic!("hunter2"),
                    Ok("odd") => Ok(Given {
                        warning: Some("all read it".to_owned()),
                        ..Given::from(Secret::new("odd"))
                    }),
                    Ok(value) => Ok(Given::from(Secret::new(value))),
                    Err(why) => Err(Trouble::new(why)),
                }
            })
        }
    }

    fn said(value: &'static str) -> Arc<Said> {
        Arc::new(Said(Mutex::new(Ok(value))))
    }

    fn wanted(name: &str, provider: &Arc<Said>, mark: &str) -> Wanted {
        Wanted {
            name: name.to_owned(),
            provider: provider.clone(),
            mark: Secret::new(mark),
            timeout: Duration::from_secs(5),
            refresh: Some(Duration::from_secs(10)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_changes_is_told_once_and_one_that_is_gone_keeps_its_value() {
        let secrets = Secrets::new();
        let (a, b) = (said("a1"), said("b1"));
        let prepared = secrets
            .prepare(
                vec![wanted("a", &a, ""), wanted("b", &b, "")],
                Prepared::default(),
            )
            .await;
        let prepared = prepared.unwrap();
        assert!(secrets.get("a").is_none(), "prepared is not committed");
        secrets.commit(prepared);
        let changes = secrets.listen();
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = told.clone();
        let keeper = tokio::spawn(secrets.clone().keep(
            move |name: &str, was_failing: bool, news: News<'_>| {
                let mut notes = notes.lock().unwrap();
                match news {
                    News::Same if !was_failing => {}
                    news => notes.push(format!("{name} {was_failing} {news:?}")),
                }
            },
        ));
        *a.0.lock().unwrap() = Ok("a2");
        *b.0.lock().unwrap() = Ok("hangs");
        assert_eq!(changes.next().await, ["a".to_owned()].into());
        assert_eq!(secrets.get("a"), Some(Secret::new("a2")));
        *a.0.lock().unwrap() = Err("gone");
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert_eq!(
            secrets.get("a"),
            Some(Secret::new("a2")),
            "the old one stays"
        );
        *a.0.lock().unwrap() = Ok("a3");
        assert_eq!(changes.next().await, ["a".to_owned()].into());
        let notes = told.lock().unwrap().join("\n");
        assert!(
            notes.contains("a false Changed") && notes.contains("a true Changed"),
            "{notes}"
        );
        assert!(
            notes.contains("b false Failed") && notes.contains("no answer within 5s"),
            "{notes}"
        );
        assert!(notes.contains("gone") && !notes.contains("a3"), "{notes}");
        keeper.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_not_asked_for_again_unless_it_comes_from_elsewhere() {
        let secrets = Secrets::new();
        let (one, other) = (said("one"), said("other"));
        secrets.commit(
            secrets
                .prepare(vec![wanted("a", &one, "1")], Prepared::default())
                .await
                .unwrap(),
        );
        *one.0.lock().unwrap() = Err("gone");
        let changes = secrets.listen();
        secrets.commit(
            secrets
                .prepare(vec![wanted("a", &one, "1")], Prepared::default())
                .await
                .unwrap(),
        );
        assert_eq!(secrets.get("a"), Some(Secret::new("one")));
        let refused = secrets
            .prepare(vec![wanted("a", &one, "2")], Prepared::default())
            .await
            .unwrap_err();
        assert_eq!(
            (refused[0].name.as_str(), refused[0].trouble.what.as_str()),
            ("a", "gone")
        );
        assert_eq!(
            secrets.get("a"),
            Some(Secret::new("one")),
            "a refusal changes nothing"
        );
        secrets.commit(
            secrets
                .prepare(vec![wanted("a", &other, "3")], Prepared::default())
                .await
                .unwrap(),
        );
        assert_eq!(changes.next().await, ["a".to_owned()].into());
        assert_eq!(format!("{secrets:?}"), "{\"a\"}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_panics_is_one_that_fails() {
        let secrets = Secrets::new();
        let (a, b) = (said("a"), said("b"));
        let both = || vec![wanted("a", &a, ""), wanted("b", &b, "")];
        let panics = || *a.0.lock().unwrap() = Ok("panics");
        panics();
        let refused = secrets.prepare(both(), Prepared::default()).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].name, "a");
        assert_eq!(refused[0].trouble.what, "its provider failed");
        *a.0.lock().unwrap() = Ok("a");
        let prepared = secrets.prepare(both(), Prepared::default()).await;
        assert!(secrets.commit(prepared.unwrap()).is_empty());
        panics();
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = told.clone();
        let keeper = tokio::spawn(secrets.clone().keep(
            move |name: &str, _: bool, news: News<'_>| {
                notes.lock().unwrap().push(format!("{name} {news:?}"));
            },
        ));
        // It is asked after 10, 11, 13, 17 and 25 seconds, and the other one goes on.
        tokio::time::sleep(Duration::from_secs(26)).await;
        let told = told.lock().unwrap().clone();
        let failed = told.iter().filter(|note| note.starts_with("a Failed"));
        assert_eq!(failed.count(), 5, "{told:?}");
        assert_eq!(told.iter().filter(|note| *note == "b Same").count(), 2);
        assert_eq!(secrets.get("a"), Some(Secret::new("a")));
        keeper.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_becomes_odd_is_told_once() {
        let secrets = Secrets::new();
        let a = said("a");
        let asked = vec![wanted("a", &a, "")];
        let prepared = secrets.prepare(asked, Prepared::default()).await;
        secrets.commit(prepared.unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = told.clone();
        let keeper = tokio::spawn(
            secrets
                .clone()
                .keep(move |_: &str, _: bool, news: News<'_>| {
                    notes.lock().unwrap().push(format!("{news:?}"));
                }),
        );
        *a.0.lock().unwrap() = Ok("odd");
        tokio::time::sleep(Duration::from_secs(35)).await;
        let told = told.lock().unwrap().clone();
        assert_eq!(told, ["Odd(\"all read it\")", "Changed", "Same", "Same"]);
        keeper.abort();
    }

    #[tokio::test]
    async fn what_is_gone_or_comes_from_elsewhere_is_told_when_it_is_committed() {
        let secrets = Secrets::new();
        let one = said("x");
        let commit = async |wished: &[(&str, &str)]| {
            let wished = wished.iter().map(|(name, mark)| wanted(name, &one, mark));
            let prepared = secrets.prepare(wished.collect(), Prepared::default());
            secrets.commit(prepared.await.unwrap())
        };
        assert!(
            commit(&[("a", "1"), ("b", "1"), ("c", "1")])
                .await
                .is_empty()
        );
        let over = commit(&[("a", "1"), ("b", "2"), ("d", "1")]).await;
        assert_eq!(over, ["b".to_owned(), "c".to_owned()].into());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_looked_after_before_it_ends() {
        let one = wanted("a", &said("x"), "");
        let now = Instant::now();
        let after = |wanted: &Wanted, lease: Option<u64>| {
            due(wanted, lease.map(Duration::from_secs)).map(|due| due - now)
        };
        assert_eq!(after(&one, None), Some(Duration::from_secs(10)));
        assert_eq!(after(&one, Some(6)), Some(Duration::from_secs(4)));
        assert_eq!(after(&one, Some(0)), Some(SOONEST));
        let never = Wanted {
            refresh: None,
            ..one
        };
        assert_eq!(
            (after(&never, None), after(&never, Some(60))),
            (None, Some(Duration::from_secs(40)))
        );
    }
}
