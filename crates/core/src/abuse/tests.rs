//! The watch against what it promises.

use std::time::Duration;

use super::*;
use crate::clock::Moment;

const RULES: Rules = Rules {
    events: Events::SUSPICIOUS,
    threshold: 50,
    window: Duration::from_secs(300),
    keep: Duration::from_secs(3_600),
};

const USER: Suspect<'_> = Suspect {
    kind: "header",
    id: "1",
};

fn at(seconds: u64) -> Moment {
    Moment::default().after(Duration::from_secs(seconds))
}

#[test]
fn the_fiftieth_event_flags_and_the_forty_ninth_does_not() {
    let watch = Watch::new(10);
    for _ in 0..49 {
        assert_eq!(
            watch.note(USER, Event::Denied, &RULES, at(0)),
            Noted::Counted
        );
    }
    assert!(watch.flagged_until(USER, at(0)).is_none() && watch.flags(at(0)).is_empty());
    let Noted::Flagged(flag) = watch.note(USER, Event::AuthFailed, &RULES, at(299)) else {
        panic!("not flagged");
    };
    assert_eq!(flag.count, 50);
    assert!(flag.reason.contains("50 events") && flag.reason.contains("auth_failed"));
    assert!(watch.flagged_until(USER, at(299)).is_some());
    assert_eq!(
        watch.note(USER, Event::Denied, &RULES, at(299)),
        Noted::Counted
    );
    assert_eq!(watch.flags(at(299))[0].count, 51);
}

#[test]
fn who_has_the_same_name_in_another_kind_has_a_flag_of_his_own() {
    let watch = Watch::new(10);
    let other = Suspect {
        kind: "jwt",
        ..USER
    };
    watch.flag(other, "by hand", Duration::from_secs(9), at(0));
    assert_eq!(watch.flagged_until(USER, at(1)), None);
    watch.flag(USER, "by hand", Duration::from_secs(60), at(0));
    assert_eq!(watch.flagged_until(other, at(1)), Some(at(9)));
    assert_eq!(watch.flagged_until(USER, at(10)), Some(at(60)));
    assert_eq!(watch.flagged_until(other, at(10)), None);
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let watch = Watch::new(10);
    for _ in 0..49 {
        watch.note(USER, Event::Denied, &RULES, at(0));
    }
    assert_eq!(
        watch.note(USER, Event::Denied, &RULES, at(300)),
        Noted::Counted
    );
}

#[test]
fn ordinary_requests_count_only_where_every_request_does() {
    let watch = Watch::new(10);
    assert_eq!(
        watch.note(USER, Event::Request, &RULES, at(0)),
        Noted::Ignored
    );
    assert!(watch.is_empty());
    let all = Rules {
        events: Events::ALL,
        ..RULES
    };
    assert_eq!(
        watch.note(USER, Event::Request, &all, at(0)),
        Noted::Counted
    );
    for event in Event::ALL {
        assert!(Events::ALL.has(event));
        assert_eq!(Events::SUSPICIOUS.has(event), event != Event::Request);
        assert!(Events::from_iter([event]).has(event));
    }
}

#[test]
fn flags_are_set_and_cleared_by_hand_and_end_by_themselves() {
    let watch = Watch::new(10);
    assert!(watch.flag(USER, "he wrote to us", RULES.keep, at(0)));
    assert_eq!(&*watch.flags(at(1))[0].reason, "he wrote to us");
    assert!(watch.clear("1", at(1)) && !watch.clear("1", at(1)));
    assert!(watch.flagged_until(USER, at(1)).is_none());
    watch.flag(USER, "again", RULES.keep, at(1));
    assert!(watch.flagged_until(USER, at(3_601)).is_none());
    watch.sweep(&RULES, at(3_601));
    assert!(watch.is_empty());
}

#[test]
fn strangers_cannot_fill_the_memory_or_push_a_flag_out() {
    let watch = Watch::new(8);
    watch.flag(USER, "x", RULES.keep, at(0));
    for number in 0..1_000 {
        let id = number.to_string();
        let who = Suspect {
            kind: "client",
            id: &id,
        };
        watch.note(who, Event::Denied, &RULES, at(1));
    }
    assert_eq!(watch.len(), 8);
    assert!(watch.lost() > 900);
    assert!(watch.flagged_until(USER, at(2)).is_some());
    let late = Suspect {
        kind: "client",
        id: "late",
    };
    assert_eq!(
        watch.note(late, Event::Denied, &RULES, at(400)),
        Noted::Counted,
        "those of the first minutes make room"
    );
}
