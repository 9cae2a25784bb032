//! How long to wait: until a deadline, or until somebody is in a hurry.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Says that somebody is in a hurry; clones are the same button.
#[derive(Debug, Clone)]
pub struct Hurry(watch::Sender<u32>);

impl Hurry {
    /// Nobody is.
    pub fn new() -> Hurry {
        Hurry(watch::Sender::new(0))
    }

    /// Ends the current phase.
    pub fn press(&self) {
        self.0
            .send_modify(|presses| *presses = presses.wrapping_add(1));
    }

    /// Patience until `deadline`, or until the next press.
    pub fn patience(&self, deadline: Instant) -> Patience {
        Patience {
            deadline,
            hurry: self.0.subscribe(),
        }
    }
}

impl Default for Hurry {
    fn default() -> Hurry {
        Hurry::new()
    }
}

/// How long a phase may take.
#[derive(Debug, Clone)]
pub struct Patience {
    deadline: Instant,
    hurry: watch::Receiver<u32>,
}

impl Patience {
    /// The moment it ends at the latest.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The same patience, but at most until `deadline`.
    #[must_use]
    pub fn at_most(&self, deadline: Instant) -> Patience {
        Patience {
            deadline: self.deadline.min(deadline),
            hurry: self.hurry.clone(),
        }
    }

    /// Whether somebody has been in a hurry.
    pub fn is_pressed(&self) -> bool {
        self.hurry.has_changed().unwrap_or(false)
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.is_pressed() || Instant::now() >= self.deadline
    }

    /// Waits until it is over: true if somebody was in a hurry, false if the time is. May be asked again.
    pub async fn over(&self) -> bool {
        // A press counts for good, so it is waited for on a copy and never marked as seen here.
        let mut hurry = self.hurry.clone();
        let pressed = async {
            // When the button is gone, nobody can press it any more.
            if hurry.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = pressed => true,
            () = sleep_until(self.deadline) => false,
        }
    }

    /// Waits for `work`, but not longer than patience lasts.
    pub async fn wait<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = work => Some(value),
            _ = self.over() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_deadline_or_with_a_press() {
        let hurry = Hurry::new();
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(5);
        let first = hurry.patience(deadline);
        assert_eq!(first.wait(std::future::ready(7)).await, Some(7));
        assert!(!first.over().await);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));

        let second = hurry.patience(deadline + Duration::from_secs(60));
        hurry.press();
        assert!(second.over().await && second.over().await);
        assert_eq!(second.wait(std::future::pending::<()>()).await, None);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        // A press is for the phase it was made in.
        let third = hurry.patience(deadline + Duration::from_secs(1));
        assert!(!third.over().await);
    }
}
