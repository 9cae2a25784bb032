//! The question over Redis.
//!
//! Workers find the address for replies in a set of bindings and push their replies onto a list. Both are taken away when the
//! run ends, and the binding first: a worker that replies late then finds no address. Each run has an address of its own, so
//! a late reply can never be taken for one to the next question. A run that is cut short still sends the commands that take
//! away, which is why the list is asked for its length every few milliseconds instead of with a command that blocks: behind
//! that one they would wait. Should even that fail, the next run does it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::control::{Answers, Question};
use super::resp::{Answer, Line, Server, command};
use super::{Enough, Ping};
use crate::Outcome;
use crate::probe::kept;
use crate::probe::trouble::Trouble;

/// Waits between two looks at the list: the first, and the longest.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// So many addresses of earlier runs are remembered.
const MOST_UNCLEAN: usize = 8;

/// What a run has made and must take away.
struct Visit<'a> {
    line: &'a mut Line,
    /// The commands that do it, until it is done.
    away: Vec<u8>,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if !self.away.is_empty() {
            self.line.leave(&self.away);
        }
    }
}

impl kept::Question<Server> for Ping {
    async fn ask(&self, line: &mut Line) -> Result<Outcome, Trouble> {
        let question = Question::new(&self.options.control_exchange);
        let keys = Keys::new(&self.options.global_keyprefix, &question);
        let mut ask = Vec::new();
        let mut unclean = std::mem::take(&mut *self.unclean());
        for asker in &unclean {
            keys.forget(&mut ask, asker);
        }
        let answers_before = 2 * unclean.len() + 1;
        command(
            &mut ask,
            &["SADD", &keys.bindings, &keys.binding(&question.asker)],
        );
        let topic = format!(
            "{}/{}.{}",
            self.options.global_keyprefix, line.database, question.exchange
        );
        command(&mut ask, &["PUBLISH", &topic, &question.message()]);
        let mut away = Vec::new();
        keys.forget(&mut away, &question.asker);

        unclean.push(question.asker.clone());
        // Only runs that never reach Redis add to it, and those made nothing there.
        unclean.drain(..unclean.len().saturating_sub(MOST_UNCLEAN));
        *self.unclean() = unclean;
        let mut enough = self.enough();
        let mut visit = Visit { line, away };
        visit.line.send(&ask).await?;
        for _ in 0..answers_before {
            visit.line.answer().await?;
        }
        let Answer::Number(heard_by) = visit.line.answer().await? else {
            return Err(Trouble::Foreign);
        };
        let heard_by = usize::try_from(heard_by).unwrap_or(0);
        if self.heard.swap(heard_by, Ordering::Relaxed) != heard_by {
            enough.count = usize::MAX;
        }
        let list = keys.list(&question.asker);
        wait(visit.line, &list, enough, heard_by).await?;
        let answers = collect(visit.line, &keys, &question).await?;
        visit.away.clear();
        *self.unclean() = vec![question.asker];
        Ok(self.judge(&answers))
    }
}

/// Waits for enough replies: as many as should come, or one from everybody who heard the question.
async fn wait(line: &mut Line, list: &str, enough: Enough, heard_by: usize) -> Result<(), Trouble> {
    let mut pause = LOOK.0;
    while Instant::now() < enough.until {
        let Answer::Number(count) = line.ask(&["LLEN", list]).await? else {
            return Err(Trouble::Foreign);
        };
        let count = usize::try_from(count).unwrap_or(0);
        let all = heard_by > 0 && count >= heard_by;
        if count >= enough.count || all {
            break;
        }
        tokio::time::sleep_until((Instant::now() + pause).min(enough.until)).await;
        pause = (pause * 2).min(LOOK.1);
    }
    Ok(())
}

/// Takes away the binding, reads the replies, and takes them away too.
async fn collect(line: &mut Line, keys: &Keys, question: &Question) -> Result<Answers, Trouble> {
    let list = keys.list(&question.asker);
    let mut last = Vec::new();
    command(
        &mut last,
        &["SREM", &keys.bindings, &keys.binding(&question.asker)],
    );
    command(&mut last, &["LRANGE", &list, "0", "9999"]);
    command(&mut last, &["DEL", &list]);
    line.send(&last).await?;
    line.answer().await?;
    let Answer::List(replies) = line.answer().await? else {
        return Err(Trouble::Foreign);
    };
    line.answer().await?;
    let mut answers = Answers::default();
    for reply in replies {
        answers.take_message(&reply, &question.ticket);
    }
    Ok(answers)
}

/// The keys that kombu uses.
struct Keys {
    prefix: String,
    reply_exchange: String,
    bindings: String,
}

impl Keys {
    fn new(prefix: &str, question: &Question) -> Self {
        Self {
            prefix: prefix.to_owned(),
            bindings: format!("{prefix}_kombu.binding.{}", question.reply_exchange),
            reply_exchange: question.reply_exchange.clone(),
        }
    }

    /// Routing key, pattern and queue.
    fn binding(&self, asker: &str) -> String {
        format!("{asker}\x06\x16\x06\x16{asker}.{}", self.reply_exchange)
    }

    fn list(&self, asker: &str) -> String {
        format!("{}{asker}.{}", self.prefix, self.reply_exchange)
    }

    /// The two commands that take away what a run made.
    fn forget(&self, out: &mut Vec<u8>, asker: &str) {
        command(out, &["SREM", &self.bindings, &self.binding(asker)]);
        command(out, &["DEL", &self.list(asker)]);
    }
}
