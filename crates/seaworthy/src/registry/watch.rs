//! Whether a cohort has a version and does well with it, by what instances say.
//!
//! Who has the version must also go on talking: one that it kills says nothing any more, so a hold ends well only when each of the
//! cohort has said something since it began.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use seaworthy_config::registry::Outcome;
use seaworthy_core::canary::Tally;

use super::{Member, Wish};

/// See the [module documentation](self).
pub(super) struct Watch<'a> {
    cohort: &'a [String],
    sequence: u64,
    hold: Duration,
    wish: &'a Wish,
    began: Instant,
    /// When everybody had it, and what each had said by then.
    held: Option<(Instant, BTreeMap<String, Said>)>,
}

struct Said {
    at: String,
    tally: Tally,
}

/// What a look has shown.
pub(super) enum Seen {
    /// It is not over.
    Nothing,
    /// All of so many have it now.
    Begun(usize),
    /// It did well for as long as it was to be watched.
    Fine,
    /// What is wrong with it.
    Wrong(String),
}

impl<'a> Watch<'a> {
    /// Watches what `cohort` does with the record of this number.
    pub(super) fn new(cohort: &'a [String], sequence: u64, hold: Duration, wish: &'a Wish) -> Self {
        Self {
            cohort,
            sequence,
            hold,
            wish,
            began: Instant::now(),
            held: None,
        }
    }

    /// Looks at what everybody said last.
    pub(super) fn look(&mut self, members: &[Member]) -> Seen {
        let answered =
            |member: &&Member| self.is_in(member) && member.ack.sequence >= self.sequence;
        let said: Vec<&Member> = members.iter().filter(answered).collect();
        let is_wrong = |member: &&&Member| member.ack.result != Outcome::Success;
        if let Some(Member { ack, .. }) = said.iter().find(is_wrong) {
            let why = ack.error.as_deref().unwrap_or("it does not say why");
            return Seen::Wrong(format!("{}: {}: {why}", ack.instance, ack.result.word()));
        }
        let has = |name: &&String| said.iter().any(|member| member.ack.instance == **name);
        if let Some(name) = self.cohort.iter().find(|name| !has(name)) {
            return match self.began.elapsed() > self.wish.ack_timeout {
                true => Seen::Wrong(format!("{name} has not said what became of it in time")),
                false => Seen::Nothing,
            };
        }
        let Some((since, before)) = &self.held else {
            let said = members.iter().map(|member| {
                let (at, tally) = (member.ack.at.clone(), member.tally());
                (member.ack.instance.clone(), Said { at, tally })
            });
            self.held = Some((Instant::now(), said.collect()));
            return Seen::Begun(self.cohort.len());
        };
        if let Some(why) = self.worse(members, before) {
            return Seen::Wrong(why);
        }
        if since.elapsed() < self.hold {
            return Seen::Nothing;
        }
        self.silent(&said, *since, before)
    }

    fn is_in(&self, member: &Member) -> bool {
        self.cohort.contains(&member.ack.instance)
    }

    /// Whether the hold may end, by who has said something since it began.
    fn silent(&self, said: &[&Member], since: Instant, before: &BTreeMap<String, Said>) -> Seen {
        let is_silent = |member: &&&Member| {
            let last = before.get(&member.ack.instance);
            last.is_some_and(|last| last.at == member.ack.at)
        };
        match said.iter().find(is_silent) {
            Some(_) if self.hold.is_zero() => Seen::Fine,
            Some(silent) if since.elapsed() > self.hold + self.wish.ack_timeout => Seen::Wrong(
                format!("{} has said nothing since it has it", silent.ack.instance),
            ),
            Some(_) => Seen::Nothing,
            None => Seen::Fine,
        }
    }

    /// Why the cohort fares worse than the rest, if there is a rest and it does.
    fn worse(&self, members: &[Member], before: &BTreeMap<String, Said>) -> Option<String> {
        if members.iter().all(|one| self.is_in(one)) {
            return None;
        }
        let side = |inside: bool| {
            let some = members.iter().filter(|one| self.is_in(one) == inside);
            let grown = some.map(|one| {
                let before = before.get(&one.ack.instance).map(|said| said.tally);
                one.tally().since(before.unwrap_or_else(|| one.tally()))
            });
            grown.fold(Tally::default(), Tally::and)
        };
        side(true).worse_than(side(false), self.wish.errors, "elsewhere")
    }
}
