//! Publishes a version, and brings it to more and more instances for as long as it does well.
//!
//! Whoever publishes drives: it writes a record for each stage, waits for the word of each instance of the cohort, and compares how
//! requests fare in the cohort and elsewhere. When one is wrong or does harm it writes the version before once more. Where it ends in
//! the middle nothing spreads any further, the cohort watches itself, and `abort` takes everybody back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use seaworthy_config::registry::{
    Ack, Content, FORMAT, Fold, Record, Rollout, Signer, Stage, State, Taken, cohort, seal,
};
use uuid::Uuid;

use super::watch::{Seen, Watch};
use super::{Log, Member, Trouble, Wish};

/// How often the log is looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(100);
/// How long a record may take to come back from the log.
const PATIENCE: Duration = Duration::from_secs(10);
/// Whoever says that he has seen so many records does not tell the truth.
const FARTHEST: u64 = 1 << 48;

/// One who publishes. See the [module documentation](self).
#[derive(Debug)]
pub struct Publisher<Tell> {
    log: Log,
    fold: Fold,
    signer: Option<Signer>,
    tell: Tell,
}

impl<Tell: FnMut(String)> Publisher<Tell> {
    /// Publishes into `log` what `signer` signs, and tells how it goes.
    pub fn new(log: Log, fold: Fold, signer: Option<Signer>, tell: Tell) -> Self {
        Self {
            log,
            fold,
            signer,
            tell,
        }
    }

    /// The record that holds.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn latest(&mut self) -> Result<Option<&Record>, Trouble> {
        for text in self.log.news().await? {
            self.fold.take(&text);
        }
        Ok(self.fold.latest())
    }

    /// Everybody who was heard of.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn members(&mut self) -> Result<Vec<Member>, Trouble> {
        let now = jiff::Timestamp::now();
        let environment = self.fold.environment().to_owned();
        let read = |text: String| {
            let ack: Ack = serde_json::from_str(&text).ok()?;
            let at: jiff::Timestamp = ack.at.parse().ok()?;
            let age = now.duration_since(at).unsigned_abs();
            (ack.environment == environment).then_some(Member { ack, age })
        };
        let mut members: Vec<Member> = self
            .log
            .acks()
            .await?
            .into_iter()
            .filter_map(read)
            .collect();
        members.sort_by(|one, other| one.ack.instance.cmp(&other.ack.instance));
        Ok(members)
    }

    /// Publishes a version. The record that holds in the end says what became of it.
    ///
    /// # Errors
    /// Nothing was published, or the log was lost on the way.
    pub async fn publish(&mut self, wish: &Wish) -> Result<Record, Trouble> {
        let everybody = self.members().await?;
        let members = fresh(&everybody);
        if members.is_empty() && !wish.stages.is_empty() {
            return Err(Trouble::new(
                "no instance has been heard of, so there is nobody to begin with; start one, or publish without stages",
            ));
        }
        let plan = self.plan(wish, &everybody).await?;
        let version = plan.content.version;
        for (at, stage) in wish.stages.iter().enumerate() {
            let some = cohort(self.fold.environment(), &members, *stage);
            let rest = members.len() - some.len();
            if rest == 0 {
                break;
            }
            (self.tell)(format!(
                "version {version}, stage {stage}: {}",
                some.join(", ")
            ));
            let record = self.record(&plan, State::Rolling, at + 1, Some(some.clone()));
            self.write(&record).await?;
            if let Err(why) = self.watch(&plan, &some, wish.hold).await? {
                return self.take_back(&plan, State::Reverted, &why).await;
            }
        }
        let everybody = self.record(&plan, State::Complete, plan.stages.len(), None);
        self.write(&everybody).await?;
        (self.tell)(format!("version {version} is for everybody"));
        if wish.waits {
            // Nobody is left to compare with, but each instance watches itself and says when it went back.
            let hold = match wish.stages.is_empty() {
                true => Duration::ZERO,
                false => wish.hold,
            };
            if let Err(why) = self.watch(&plan, &members, hold).await? {
                return self.take_back(&plan, State::Reverted, &why).await;
            }
        }
        Ok(everybody)
    }

    /// What is to be published, if it may be.
    async fn plan<'a>(&mut self, wish: &'a Wish, members: &[Member]) -> Result<Plan<'a>, Trouble> {
        let stands = self.stands().await?;
        let (before, highest) = match &stands {
            Some(record) => (
                Some(record.content.clone()),
                record.rollout.version.max(record.content.version),
            ),
            None => (None, 0),
        };
        let held = before.as_ref().map_or(0, |before| before.version);
        if let Some(expected) = wish.expect.filter(|expected| *expected != held) {
            return Err(Trouble::new(format!(
                "version {held} holds and not {expected}; look at it with `seaworthy config rollout status` and try again"
            )));
        }
        let version = wish.version.unwrap_or(highest + 1);
        if version <= highest {
            return Err(Trouble::new(format!(
                "version {version} is no later one: {highest} was published before; leave the number out, or take {}",
                highest + 1
            )));
        }
        let content = Content {
            version,
            set: wish.set.clone(),
        };
        let stages: Vec<String> = wish.stages.iter().map(Stage::to_string).collect();
        Ok(Plan {
            wish,
            content,
            before,
            stages,
            heard: heard(members),
        })
    }

    /// Takes a version back that is under way.
    ///
    /// # Errors
    /// None is, or the log cannot be written.
    pub async fn abort(&mut self, wish: &Wish) -> Result<Record, Trouble> {
        let latest = self.latest().await?.cloned();
        let latest = latest.filter(|latest| latest.rollout.state == State::Rolling);
        let latest = latest.ok_or_else(|| {
            Trouble::new("no version is under way; `seaworthy config publish` begins one")
        })?;
        let plan = Plan {
            wish,
            heard: heard(&self.members().await?),
            stages: latest.rollout.stages.clone(),
            before: latest.before,
            content: latest.content,
        };
        let why = wish.reason.as_deref().unwrap_or("by hand");
        self.take_back(&plan, State::Aborted, why).await
    }

    /// What holds for everybody, when nothing is under way.
    async fn stands(&mut self) -> Result<Option<Record>, Trouble> {
        let latest = self.latest().await?.cloned();
        match latest {
            Some(latest) if latest.rollout.state == State::Rolling => Err(Trouble::new(format!(
                "version {} is under way; wait for it, or take it back with `seaworthy config rollout abort`",
                latest.content.version
            ))),
            latest => Ok(latest),
        }
    }

    fn record(
        &self,
        plan: &Plan<'_>,
        state: State,
        begun: usize,
        cohort: Option<Vec<String>>,
    ) -> Record {
        let takes_back = matches!(state, State::Reverted | State::Aborted);
        let nothing = Content {
            version: 0,
            set: BTreeMap::new(),
        };
        let content = match takes_back {
            true => plan.before.clone().unwrap_or(nothing),
            false => plan.content.clone(),
        };
        Record {
            format: FORMAT.to_owned(),
            environment: self.fold.environment().to_owned(),
            sequence: self.fold.sequence().max(plan.heard) + 1,
            id: Uuid::now_v7().to_string(),
            at: jiff::Timestamp::now().to_string(),
            author: plan.wish.author.clone(),
            reason: plan.wish.reason.clone(),
            before: cohort.as_ref().and(plan.before.clone()),
            content,
            cohort,
            rollout: Rollout {
                version: plan.content.version,
                state,
                stages: plan.stages.clone(),
                begun,
            },
        }
    }

    /// Writes a record and makes sure that it is the one of its number that counts.
    async fn write(&mut self, record: &Record) -> Result<(), Trouble> {
        let sealed = seal(record, self.signer.as_ref());
        let sealed = sealed.map_err(|why| {
            Trouble::new(format!(
                "the version cannot be published: {why}; make it smaller"
            ))
        })?;
        self.log.append(&sealed).await?;
        let until = Instant::now() + PATIENCE;
        loop {
            for text in self.log.news().await? {
                if let (Taken::Refused(why), true) = (self.fold.take(&text), text == sealed) {
                    return Err(Trouble::new(format!(
                        "instances will not believe it: {why}; publish with a key of `registry.trust`"
                    )));
                }
            }
            match self.fold.latest() {
                Some(latest) if latest.id == record.id => return Ok(()),
                Some(latest) if latest.sequence >= record.sequence => {
                    return Err(Trouble::new(format!(
                        "somebody else published version {} at the same time; look at it and try again",
                        latest.rollout.version
                    )));
                }
                _ if Instant::now() > until => {
                    return Err(Trouble::new(
                        "the log did not show the record that was written into it; look with `seaworthy config rollout status` what holds",
                    ));
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Waits until `cohort` has the version, watches it for a while, and says what is wrong with it.
    async fn watch(
        &mut self,
        plan: &Plan<'_>,
        cohort: &[String],
        hold: Duration,
    ) -> Result<Result<(), String>, Trouble> {
        let sequence = self.fold.sequence();
        let mut watch = Watch::new(cohort, sequence, hold, plan.wish);
        loop {
            self.latest().await?;
            if self.fold.sequence() != sequence {
                return Err(Trouble::new(format!(
                    "version {} was taken back or replaced by somebody else meanwhile; look with `seaworthy config rollout status`",
                    plan.content.version
                )));
            }
            match watch.look(&self.members().await?) {
                Seen::Nothing => {}
                Seen::Begun(count) => (self.tell)(format!("{count} of {count} have it")),
                Seen::Fine => return Ok(Ok(())),
                Seen::Wrong(why) => return Ok(Err(why)),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn take_back(
        &mut self,
        plan: &Plan<'_>,
        state: State,
        why: &str,
    ) -> Result<Record, Trouble> {
        let version = plan.content.version;
        (self.tell)(format!("version {version} is taken back: {why}"));
        let mut record = self.record(plan, state, plan.stages.len(), None);
        record.reason = Some(why.to_owned());
        self.write(&record).await?;
        let members = fresh(&self.members().await?);
        if let Err(why) = self.watch(plan, &members, Duration::ZERO).await? {
            (self.tell)(format!("not everybody has the version before again: {why}"));
        }
        Ok(record)
    }
}

/// What a rollout is about.
struct Plan<'a> {
    wish: &'a Wish,
    content: Content,
    before: Option<Content>,
    stages: Vec<String>,
    /// The latest number that an instance had seen: a log may have been emptied, and they take nothing older.
    heard: u64,
}

/// Those who are likely to be there, by name.
fn fresh(members: &[Member]) -> Vec<String> {
    let fresh = members.iter().filter(|member| member.is_fresh());
    fresh.map(|member| member.ack.instance.clone()).collect()
}

fn heard(members: &[Member]) -> u64 {
    let numbers = members.iter().map(|member| member.ack.sequence);
    numbers
        .filter(|number| *number < FARTHEST)
        .max()
        .unwrap_or(0)
}
