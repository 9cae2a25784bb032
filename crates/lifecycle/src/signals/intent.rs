//! What a series of signals means.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Name;

/// Two interrupts closer than this are one: a terminal sends Ctrl+C to us and to the launcher above us (`npm`, `uv run`),
/// which then passes its own on.
const ONE_PRESS: Duration = Duration::from_millis(200);

/// What a second Ctrl+C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecondInterrupt {
    /// Goes on to the next phase of the shutdown.
    #[default]
    Hurry,
    /// Nothing.
    Ignore,
}

/// What is to be done about a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Shut down; asked for by this signal.
    Stop(Name),
    /// Go on to the next phase of the shutdown.
    Hurry,
    /// Read the configuration again.
    Reload,
    /// Pass it on to the app.
    Forward(Name),
    /// Nothing; it repeats what was said before.
    Repeated(Name),
}

/// Remembers what was asked for and says what each further signal means.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    second: SecondInterrupt,
    stopping: bool,
    interrupted: Option<Instant>,
}

impl Intent {
    /// Nothing has been asked for yet.
    pub fn new(second: SecondInterrupt) -> Intent {
        Intent {
            second,
            ..Intent::default()
        }
    }

    /// Changes what a second Ctrl+C does.
    pub fn set_second(&mut self, second: SecondInterrupt) {
        self.second = second;
    }

    /// The meaning of a signal that arrives at `now`.
    pub fn read(&mut self, name: Name, now: Instant) -> Meaning {
        match name {
            Name::HUP => Meaning::Reload,
            Name::TERM if self.stopping => Meaning::Repeated(name),
            Name::INT => {
                let before = self.interrupted.replace(now);
                if !self.stopping {
                    self.stopping = true;
                    return Meaning::Stop(name);
                }
                match before {
                    Some(before)
                        if self.second == SecondInterrupt::Hurry
                            && now.saturating_duration_since(before) >= ONE_PRESS =>
                    {
                        Meaning::Hurry
                    }
                    _ => Meaning::Repeated(name),
                }
            }
            Name::TERM => {
                self.stopping = true;
                Meaning::Stop(name)
            }
            _ => Meaning::Forward(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_repeated_term_changes_nothing() {
        let mut intent = Intent::default();
        let now = Instant::now();
        assert_eq!(intent.read(Name::TERM, now), Meaning::Stop(Name::TERM));
        for later in 1..100 {
            assert_eq!(
                intent.read(Name::TERM, now + ms(later * 100)),
                Meaning::Repeated(Name::TERM)
            );
        }
    }

    #[test]
    fn each_further_interrupt_hurries() {
        let mut intent = Intent::default();
        let now = Instant::now();
        assert_eq!(intent.read(Name::INT, now), Meaning::Stop(Name::INT));
        assert_eq!(intent.read(Name::INT, now + ms(500)), Meaning::Hurry);
        assert_eq!(intent.read(Name::INT, now + ms(900)), Meaning::Hurry);
        assert_eq!(
            intent.read(Name::TERM, now + ms(950)),
            Meaning::Repeated(Name::TERM)
        );
    }

    #[test]
    fn one_press_that_arrives_twice_is_one_press() {
        let mut intent = Intent::default();
        let now = Instant::now();
        assert_eq!(intent.read(Name::INT, now), Meaning::Stop(Name::INT));
        assert_eq!(
            intent.read(Name::INT, now + ms(30)),
            Meaning::Repeated(Name::INT)
        );
        assert_eq!(intent.read(Name::INT, now + ms(400)), Meaning::Hurry);
    }

    #[test]
    fn an_interrupt_after_term_is_the_first() {
        let mut intent = Intent::default();
        let now = Instant::now();
        assert_eq!(intent.read(Name::TERM, now), Meaning::Stop(Name::TERM));
        assert_eq!(
            intent.read(Name::INT, now + ms(500)),
            Meaning::Repeated(Name::INT)
        );
        assert_eq!(intent.read(Name::INT, now + ms(1000)), Meaning::Hurry);
    }

    #[test]
    fn hurrying_can_be_switched_off_and_the_rest_is_reloaded_or_forwarded() {
        let mut intent = Intent::new(SecondInterrupt::Ignore);
        let now = Instant::now();
        assert_eq!(intent.read(Name::HUP, now), Meaning::Reload);
        assert_eq!(intent.read(Name::USR1, now), Meaning::Forward(Name::USR1));
        assert_eq!(intent.read(Name::INT, now), Meaning::Stop(Name::INT));
        assert_eq!(
            intent.read(Name::INT, now + ms(500)),
            Meaning::Repeated(Name::INT)
        );
    }
}
