//! Signals that are really sent. They concern the whole process, so there is one test.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use seaworthy_lifecycle::signals::{Meaning, Name, SecondInterrupt, Signals};

#[tokio::test]
async fn each_signal_arrives_with_its_meaning() {
    let mut signals = Signals::install().unwrap();
    signals
        .forward(&[Name::USR1, Name::USR2, Name::TERM])
        .unwrap();
    assert!(signals.forward(&[Name::KILL]).is_err());
    let send = |signal| kill_process(getpid(), signal).unwrap();

    send(Signal::HUP);
    assert_eq!(signals.next().await, Meaning::Reload);
    send(Signal::USR1);
    assert_eq!(signals.next().await, Meaning::Forward(Name::USR1));
    send(Signal::INT);
    assert_eq!(signals.next().await, Meaning::Stop(Name::INT));
    // TERM repeats the stop, so the next thing worth telling is what comes after it.
    send(Signal::TERM);
    tokio::time::sleep(Duration::from_millis(250)).await;
    send(Signal::INT);
    assert_eq!(signals.next().await, Meaning::Hurry);
    signals.second_interrupt(SecondInterrupt::Ignore);
    send(Signal::INT);
    send(Signal::USR2);
    assert_eq!(signals.next().await, Meaning::Forward(Name::USR2));
}
