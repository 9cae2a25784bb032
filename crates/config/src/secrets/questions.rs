//! Questions that are under way.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};
use tokio::time::timeout;

use super::wanted::Wanted;
use super::{Given, Trouble};

/// Questions to providers, each of which may fail without the others. Dropping them gives all of them up.
#[derive(Debug, Default)]
pub(super) struct Questions {
    asked: JoinSet<Result<Given, Trouble>>,
    wanted: HashMap<Id, Wanted>,
}

impl Questions {
    /// Asks within its time.
    pub(super) fn ask(&mut self, wanted: Wanted) {
        let (provider, within) = (wanted.provider.clone(), wanted.timeout);
        let asked = self.asked.spawn(async move {
            let answer = timeout(within, provider.ask()).await;
            let late = |_| Trouble::new(format!("there was no answer within {within:?}"));
            answer.map_err(late)?
        });
        self.wanted.insert(asked.id(), wanted);
    }

    /// Whether one for this secret is under way.
    pub(super) fn is_asked(&self, name: &str) -> bool {
        self.wanted.values().any(|wanted| wanted.name == name)
    }

    /// The next that ends; nothing when there is none. It may be given up and asked for again.
    pub(super) async fn next(&mut self) -> Option<(Wanted, Result<Given, Trouble>)> {
        let (id, given) = match self.asked.join_next_with_id().await? {
            Ok(ended) => ended,
            // What a panic says is for the log of the provider's author: it may hold the secret.
            Err(error) => (error.id(), Err(Trouble::new("its provider failed"))),
        };
        Some((self.wanted.remove(&id)?, given))
    }
}
