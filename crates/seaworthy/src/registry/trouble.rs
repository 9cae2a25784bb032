//! Why a log of the registry could not be used.

use std::time::Duration;

use crate::failure::Failure;

/// How long one call of a log may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// An acknowledgement says what became of a version; a longer one is neither written nor read.
pub(super) const LONGEST_ACK: usize = 64 << 10;

/// One sentence for people, safe to show: what is wrong or away, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Trouble {
    words: String,
    is_away: bool,
}

impl Trouble {
    /// Says what is wrong with what is there.
    pub fn new(words: impl Into<String>) -> Self {
        let words = words.into();
        Self {
            words,
            is_away: false,
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble.is_away {
            true => Self::unreachable(trouble.words),
            false => Self::failed(trouble.words),
        }
    }
}

/// Gives `work` its time; `place` is named when something fails.
pub(super) async fn within<T>(
    place: &str,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, Trouble> {
    let why = match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(why)) => why,
        Err(_) => format!(
            "it did not answer within {} s; see whether it is up",
            PATIENCE.as_secs()
        ),
    };
    Err(Trouble {
        words: format!("{place}: {why}"),
        is_away: true,
    })
}

/// Refuses a text that is too long for the log at `place`.
pub(super) fn fits(place: &str, text: &str, longest: usize) -> Result<(), Trouble> {
    if text.len() > longest {
        let (length, most) = (text.len() >> 10, longest >> 10);
        return Err(Trouble::new(format!(
            "{place}: {length} KiB are too long for it; the most is {most} KiB"
        )));
    }
    Ok(())
}
