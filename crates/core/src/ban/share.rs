//! Bans that several instances share: what has to be told to the others, and what follows from what they say.
//!
//! Each instance decides by its own table and never waits for anybody. Beside that it tells a store of the bans that it has
//! set and lifted, and takes over what others have. A store that has forgotten everything is told again: it has a new epoch,
//! and what it does not know any more is not taken for lifted. When an instance begins, the store knows better than its
//! file: somebody may have been let in again meanwhile.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::network::Target;
use super::table::Ban;
use crate::clock::Moment;

/// Ends that differ by less are the same: they come from clocks of several machines.
const SLACK: Duration = Duration::from_secs(1);

/// What the store has to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Who is shut out, and until when.
    pub set: Vec<(Target, Moment)>,
    /// Who may come in again.
    pub lifted: Vec<Target>,
}

impl News {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.lifted.is_empty()
    }
}

/// All that the store knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Which life of the store it is of; `None` when it knows nothing.
    pub epoch: Option<String>,
    /// Changes with every change; see [`Share::version`].
    pub version: u64,
    /// Who is shut out, and until when. `None` when nothing has changed since the version that it was told.
    pub bans: Option<Vec<(Target, Moment)>>,
}

/// What has to be done here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Who has to be shut out, and until when.
    pub ban: Vec<(Target, Moment)>,
    /// Who may come in again.
    pub unban: Vec<Target>,
}

/// What one instance knows of the store. See the [module documentation](self).
#[derive(Debug, Default)]
pub struct Share {
    epoch: Option<String>,
    version: u64,
    /// What the store has, as far as is known here.
    known: HashMap<Target, Moment>,
}

impl Share {
    /// `restored` are the bans from before a restart that the store knew of: it may have lifted them since. Those that it never
    /// heard of must not be among them, or they would count as lifted.
    pub fn new<'a>(restored: impl IntoIterator<Item = &'a Ban>) -> Self {
        let known = restored.into_iter().map(|ban| (ban.target, ban.until));
        Self {
            known: known.collect(),
            ..Self::default()
        }
    }

    /// All that the store is known to have.
    pub fn known(&self) -> impl Iterator<Item = Target> {
        self.known.keys().copied()
    }

    /// Takes in that there was no room here for a ban of the store, which must not count as lifted here. It is tried again
    /// when the store has changed.
    pub fn forget(&mut self, target: Target) {
        self.known.remove(&target);
    }

    /// The epoch and version that are known.
    pub fn version(&self) -> (&str, u64) {
        (self.epoch.as_deref().unwrap_or_default(), self.version)
    }

    /// What the store does not know of `own`, the bans of this instance; at most `most` of each kind at a time.
    pub fn news(&mut self, own: &[Ban], most: usize, now: Moment) -> News {
        let ends_soon = |until: &Moment| *until <= now.after(SLACK);
        self.known.retain(|_, until| !ends_soon(until));
        let is_new = |ban: &&Ban| match self.known.get(&ban.target) {
            Some(known) => known.after(SLACK) < ban.until,
            None => !ends_soon(&ban.until),
        };
        let set = own.iter().filter(is_new).take(most);
        let set = set.map(|ban| (ban.target, ban.until)).collect();
        let here: HashSet<Target> = own.iter().map(|ban| ban.target).collect();
        let gone = self.known.keys().filter(|target| !here.contains(target));
        let lifted = gone.take(most).copied().collect();
        News { set, lifted }
    }

    /// Takes in that the store has been told `news`, and what it says now. `own` are the bans that the news were made of.
    pub fn heard(&mut self, news: &News, heard: Heard, own: &[Ban], now: Moment) -> Changes {
        let first = self.epoch.is_none() && self.version == 0;
        let forgot = heard.epoch.is_none() || (!first && heard.epoch != self.epoch);
        (self.epoch, self.version) = (heard.epoch, heard.version);
        for target in &news.lifted {
            self.known.remove(target);
        }
        let Some(bans) = heard.bans else {
            self.known.extend(news.set.iter().copied());
            return Changes::default();
        };
        let theirs: HashMap<Target, Moment> = bans.into_iter().collect();
        let mine: HashMap<Target, Moment> = own.iter().map(|ban| (ban.target, ban.until)).collect();
        let mut changes = Changes::default();
        if !forgot {
            let missing = self.known.iter().filter(|(target, until)| {
                !theirs.contains_key(target) && **until > now.after(SLACK)
            });
            let missing = missing.map(|(target, _)| *target);
            changes.unban = missing.filter(|target| mine.contains_key(target)).collect();
        }
        for (target, until) in &theirs {
            let is_longer = |than: &Moment| than.after(SLACK) < *until;
            // What was lifted here and did not fit into the news is lifted by the next.
            let known = self.known.get(target);
            if mine.get(target).or(known).is_none_or(is_longer) {
                changes.ban.push((*target, *until));
            }
        }
        self.known = theirs;
        changes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ban::{Cause, Table};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(seconds: u64) -> Moment {
        Moment(0).after(Duration::from_secs(seconds))
    }

    fn target(number: u8) -> Target {
        format!("192.0.2.{number}").parse().unwrap()
    }

    /// A store as it should be.
    #[derive(Default)]
    struct Store {
        epoch: u64,
        version: u64,
        bans: HashMap<Target, Moment>,
    }

    impl Store {
        fn forget(&mut self) {
            *self = Self {
                epoch: self.epoch + 1,
                ..Self::default()
            };
        }

        fn ask(&mut self, seen: (&str, u64), news: &News, now: Moment) -> Heard {
            let before = self.bans.clone();
            for (target, until) in &news.set {
                let longest = self.bans.get(target).map_or(*until, |old| *old.max(until));
                self.bans.insert(*target, longest);
            }
            for target in &news.lifted {
                self.bans.remove(target);
            }
            self.version += u64::from(before != self.bans);
            if self.version == 0 {
                return Heard {
                    bans: Some(Vec::new()),
                    ..Heard::default()
                };
            }
            let epoch = self.epoch.to_string();
            let bans = (seen != (&*epoch, self.version)).then(|| {
                let held = self.bans.iter().filter(|(_, until)| **until > now);
                held.map(|(target, until)| (*target, *until)).collect()
            });
            Heard {
                epoch: Some(epoch),
                version: self.version,
                bans,
            }
        }
    }

    struct Instance {
        table: Table,
        share: Share,
        /// Bans that there is room for, here and in one look at the store.
        room: usize,
    }

    impl Instance {
        fn new() -> Self {
            Self {
                table: Table::new(1_000),
                share: Share::default(),
                room: 100,
            }
        }

        fn small() -> Self {
            Self {
                room: 2,
                ..Self::new()
            }
        }

        fn ban(&self, number: u8, now: Moment) {
            self.take(target(number), HOUR, now);
        }

        fn take(&self, target: Target, time: Duration, now: Moment) -> bool {
            let held = self.bans(now);
            let room = held.contains(&target) || held.len() < self.room;
            room && self.table.ban(target, time, Cause::Shared, now)
        }

        fn meet(&mut self, store: &mut Store, now: Moment) {
            let own = self.table.bans(now);
            let news = self.share.news(&own, self.room, now);
            let heard = store.ask(self.share.version(), &news, now);
            let changes = self.share.heard(&news, heard, &own, now);
            for (target, until) in changes.ban {
                if !self.take(target, until.since(now), now) {
                    self.share.forget(target);
                }
            }
            for target in changes.unban {
                self.table.unban(target, now);
            }
        }

        fn bans(&self, now: Moment) -> HashSet<Target> {
            self.table.bans(now).iter().map(|ban| ban.target).collect()
        }
    }

    #[test]
    fn a_ban_of_one_holds_for_all_and_so_does_its_end() {
        let (mut one, mut two, mut store) = (Instance::new(), Instance::new(), Store::default());
        one.ban(1, at(0));
        two.meet(&mut store, at(0));
        one.meet(&mut store, at(1));
        two.meet(&mut store, at(2));
        assert_eq!(two.bans(at(2)), HashSet::from([target(1)]));
        assert_eq!(two.table.bans(at(2))[0].until, at(3_600));
        two.table.unban(target(1), at(3));
        two.meet(&mut store, at(3));
        one.meet(&mut store, at(4));
        assert!(one.bans(at(4)).is_empty());
    }

    #[test]
    fn what_a_store_has_forgotten_is_not_lifted_and_told_again() {
        let (mut one, mut two, mut store) = (Instance::new(), Instance::new(), Store::default());
        one.ban(1, at(0));
        one.meet(&mut store, at(0));
        two.meet(&mut store, at(0));
        store.forget();
        two.ban(2, at(1));
        two.meet(&mut store, at(1));
        for second in 2..5 {
            one.meet(&mut store, at(second));
            two.meet(&mut store, at(second));
        }
        let both = HashSet::from([target(1), target(2)]);
        assert_eq!((one.bans(at(5)), two.bans(at(5))), (both.clone(), both));
    }

    #[test]
    fn who_was_let_in_while_an_instance_was_away_stays_in() {
        let (mut one, mut store) = (Instance::new(), Store::default());
        one.ban(1, at(0));
        one.ban(2, at(0));
        one.meet(&mut store, at(0));
        let table = std::mem::replace(&mut one.table, Table::new(1_000));
        drop(one);
        let mut other = Instance::new();
        other.meet(&mut store, at(1));
        other.table.unban(target(1), at(1));
        other.meet(&mut store, at(1));
        let share = Share::new(&table.bans(at(2)));
        let mut again = Instance {
            table,
            share,
            room: 100,
        };
        again.meet(&mut store, at(2));
        assert_eq!(again.bans(at(2)), HashSet::from([target(2)]));
        let mut empty = Store::default();
        again.share = Share::new(&again.table.bans(at(3)));
        again.meet(&mut empty, at(3));
        again.meet(&mut empty, at(4));
        assert_eq!(again.bans(at(4)), HashSet::from([target(2)]));
        assert!(empty.bans.contains_key(&target(2)), "it is told again");
    }

    #[test]
    fn an_instance_without_room_lifts_no_ban_of_others() {
        let (mut one, mut small, mut store) =
            (Instance::new(), Instance::small(), Store::default());
        for number in 0..5 {
            one.ban(number, at(0));
        }
        for second in 1..5 {
            one.meet(&mut store, at(second));
            small.meet(&mut store, at(second));
        }
        assert_eq!((store.bans.len(), one.bans(at(5)).len()), (5, 5));
        assert_eq!(small.bans(at(5)).len(), 2);
    }

    #[test]
    fn more_than_fit_into_the_news_stay_lifted() {
        let (mut one, mut small, mut store) =
            (Instance::new(), Instance::small(), Store::default());
        for number in 0..5 {
            one.ban(number, at(0));
        }
        small.room = 5;
        one.meet(&mut store, at(0));
        small.meet(&mut store, at(0));
        small.room = 2;
        for number in 0..5 {
            small.table.unban(target(number), at(1));
        }
        for second in 1..5 {
            small.meet(&mut store, at(second));
            one.meet(&mut store, at(second));
        }
        assert!(store.bans.is_empty() && one.bans(at(5)).is_empty());
    }

    #[test]
    fn a_ban_that_the_store_never_heard_of_outlives_a_restart() {
        let (mut one, mut store) = (Instance::new(), Store::default());
        one.ban(1, at(0));
        one.meet(&mut store, at(0));
        one.ban(2, at(1));
        let known: Vec<Target> = one.share.known().collect();
        assert_eq!(known, [target(1)]);
        let own = one.table.bans(at(2));
        one.share = Share::new(own.iter().filter(|ban| known.contains(&ban.target)));
        one.meet(&mut store, at(2));
        assert_eq!(one.bans(at(2)), HashSet::from([target(1), target(2)]));
        assert_eq!(store.bans.len(), 2);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Ban(usize, u8),
        Unban(usize, u8),
        Meet(usize),
        Forget,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4_usize, 0..6_u8).prop_map(|(who, number)| Step::Ban(who, number)),
            (0..4_usize, 0..6_u8).prop_map(|(who, number)| Step::Unban(who, number)),
            (0..4_usize).prop_map(Step::Meet),
            (0..4_usize).prop_map(Step::Meet),
            Just(Step::Forget),
        ]
    }

    proptest! {
        /// Whatever happened, when all have met the store a few times all have the same bans, and so has the store; one without
        /// room has a part of them.
        #[test]
        fn in_the_end_all_agree(steps in prop::collection::vec(step(), 0..80)) {
            let mut all = [Instance::small(), Instance::new(), Instance::new(), Instance::new()];
            let mut store = Store::default();
            let mut now = at(0);
            for step in steps {
                now = now.after(SLACK);
                match step {
                    Step::Ban(who, number) => all[who].ban(number, now),
                    Step::Unban(who, number) => drop(all[who].table.unban(target(number), now)),
                    Step::Meet(who) => all[who].meet(&mut store, now),
                    Step::Forget => store.forget(),
                }
            }
            for _ in 0..8 {
                now = now.after(SLACK);
                for one in &mut all {
                    one.meet(&mut store, now);
                }
            }
            let kept: HashSet<Target> = store.bans.keys().copied().collect();
            prop_assert!(all[0].bans(now).is_subset(&kept));
            for one in &all[1..] {
                prop_assert_eq!(&one.bans(now), &kept);
            }
        }

        /// Without a store that forgets or a hand that lifts, no ban is ever lost.
        #[test]
        fn nobody_comes_in_again_by_himself(
            steps in prop::collection::vec((0..3_usize, 0..6_u8, any::<bool>()), 0..80),
        ) {
            let mut all = [Instance::small(), Instance::new(), Instance::new()];
            let mut store = Store::default();
            let mut banned: [HashSet<Target>; 3] = Default::default();
            for (second, (who, number, bans)) in steps.into_iter().enumerate() {
                let now = at(second as u64);
                if bans {
                    if all[who].take(target(number), HOUR, now) {
                        banned[who].insert(target(number));
                    }
                } else {
                    all[who].meet(&mut store, now);
                }
                prop_assert!(all[who].bans(now).is_superset(&banned[who]));
            }
        }
    }
}
