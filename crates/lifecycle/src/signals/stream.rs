//! Listening to the system.

use std::io;
use std::task::Poll;
use std::time::Instant;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Intent, Meaning, Name, SecondInterrupt};

/// The signals that concern the whole process, as a stream of meanings.
///
/// Install it before anything slow: process 1 ignores every signal that it has no handler for, and elsewhere a signal without
/// a handler ends the process at once.
#[derive(Debug)]
pub struct Signals {
    listening: Vec<(Name, Signal)>,
    intent: Intent,
}

impl Signals {
    /// Installs the handlers for TERM, INT and HUP.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn install() -> io::Result<Signals> {
        let mut signals = Signals {
            listening: Vec::new(),
            intent: Intent::default(),
        };
        for name in [Name::TERM, Name::INT, Name::HUP] {
            signals.listen(name)?;
        }
        Ok(signals)
    }

    /// Also listens to those that are to be passed on to the app; TERM, INT and HUP keep their own meaning.
    ///
    /// # Errors
    /// When the system refuses a handler, as it does for KILL.
    pub fn forward(&mut self, names: &[Name]) -> io::Result<()> {
        names.iter().try_for_each(|name| self.listen(*name))
    }

    /// Sets what a second Ctrl+C does, once the configuration is known.
    pub fn second_interrupt(&mut self, second: SecondInterrupt) {
        self.intent.set_second(second);
    }

    fn listen(&mut self, name: Name) -> io::Result<()> {
        if self.listening.iter().all(|(known, _)| *known != name) {
            let stream = signal(SignalKind::from_raw(name.number()))?;
            self.listening.push((name, stream));
        }
        Ok(())
    }

    /// The meaning of the next signal. One that only repeats what is under way is logged here and skipped. May be cancelled.
    pub async fn next(&mut self) -> Meaning {
        loop {
            let name = std::future::poll_fn(|context| {
                for (name, stream) in &mut self.listening {
                    if let Poll::Ready(Some(())) = stream.poll_recv(context) {
                        return Poll::Ready(*name);
                    }
                }
                Poll::Pending
            })
            .await;
            match self.intent.read(name, Instant::now()) {
                Meaning::Repeated(name) => {
                    tracing::info!(
                        "{name} again; the shutdown is already under way and goes on as it is"
                    );
                }
                meaning => return meaning,
            }
        }
    }
}
