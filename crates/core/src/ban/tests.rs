//! The table against what it promises.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::*;
use crate::clock::Moment;

const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(900);
const RULES: Rules = Rules {
    threshold: 100,
    window: MINUTE,
    block: QUARTER,
    factor: 1,
    most: QUARTER,
    memory: Duration::from_secs(3_600),
};

fn at(seconds: u64) -> Moment {
    Moment::default().after(Duration::from_secs(seconds))
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0xC000_0200 + number).into()
}

/// Lets `address` ask so often; the verdict of the last request.
fn ask(table: &Table, address: IpAddr, times: u32, now: Moment) -> Verdict {
    let mut last = Verdict::Pass;
    for _ in 0..times {
        last = table.admit(address, Some(&RULES), now);
    }
    last
}

#[test]
fn the_hundred_and_first_is_blocked_for_a_quarter_of_an_hour() {
    let table = Table::new(100);
    assert_eq!(ask(&table, address(1), 100, at(10)), Verdict::Pass);
    let until = at(10).after(QUARTER);
    assert_eq!(
        ask(&table, address(1), 1, at(10)),
        Verdict::Blocked { until, first: true }
    );
    let later = ask(&table, address(1), 50, at(900));
    assert_eq!(
        later,
        Verdict::Blocked {
            until,
            first: false
        },
        "asking meanwhile does not lengthen it"
    );
    assert_eq!(ask(&table, address(2), 1, at(10)), Verdict::Pass);
    assert_eq!(ask(&table, address(1), 100, until), Verdict::Pass);
}

#[test]
fn whoever_is_let_in_again_has_a_clean_slate() {
    let table = Table::new(100);
    ask(&table, address(1), 101, at(0));
    let version = table.version();
    let target = Target::Address(address(1));
    assert_eq!(table.bans(at(1))[0].target, target);
    assert!(table.unban(target, at(1)) && !table.unban(target, at(1)));
    assert_ne!(table.version(), version);
    assert_eq!(ask(&table, address(1), 100, at(1)), Verdict::Pass);
    assert!(table.bans(at(1)).is_empty());
}

#[test]
fn a_full_table_forgets_nobody_who_matters() {
    let table = Table::new(16);
    for number in 0..2_000 {
        ask(&table, address(number), 60, at(0));
    }
    assert!(table.len() <= 32, "{}", table.len());
    assert!(table.uncounted() > 0);
    let counted: Vec<IpAddr> = (0..2_000)
        .map(address)
        .filter(|one| matches!(ask(&table, *one, 41, at(1)), Verdict::Blocked { .. }))
        .collect();
    assert_eq!(
        counted.len(),
        table.len(),
        "sixty of the first minute still count"
    );
    table.sweep(Some(&RULES), at(1));
    assert_eq!(table.bans(at(1)).len(), counted.len());
    table.sweep(Some(&RULES), at(2_000));
    assert!(table.is_empty());
}

#[test]
fn room_is_made_by_those_whose_time_is_over() {
    let table = Table::new(1);
    for number in 0..400 {
        ask(&table, address(number), 1, at(0));
    }
    let known = table.len();
    let uncounted = table.uncounted();
    for number in 400..800 {
        ask(&table, address(number), 1, at(61));
    }
    assert!(table.len() <= known);
    assert!(
        table.uncounted() - uncounted < 400,
        "nobody new was counted"
    );
}

#[test]
fn blocks_grow_for_those_who_come_back() {
    let rules = Rules {
        factor: 2,
        most: QUARTER * 3,
        ..RULES
    };
    let table = Table::new(100);
    let mut now = at(0);
    for times in [1, 2, 3, 3] {
        let mut verdict = Verdict::Pass;
        for _ in 0..101 {
            verdict = table.admit(address(1), Some(&rules), now);
        }
        let until = now.after(QUARTER * times);
        assert_eq!(verdict, Verdict::Blocked { until, first: true });
        now = until;
    }
    let clean = now.after(rules.memory);
    for _ in 0..100 {
        table.admit(address(1), Some(&rules), clean);
    }
    let verdict = table.admit(address(1), Some(&rules), clean);
    let until = clean.after(QUARTER);
    assert_eq!(verdict, Verdict::Blocked { until, first: true });
}

#[test]
fn one_prefix_is_one_and_many_are_many() {
    let table = Table::new(10_000);
    let within = |number: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | number));
    for host in 0..100 {
        assert_eq!(ask(&table, within(host), 1, at(0)), Verdict::Pass);
    }
    assert!(matches!(
        ask(&table, within(1_000), 1, at(0)),
        Verdict::Blocked { first: true, .. }
    ));
    for network in 1..=256_u128 {
        assert_eq!(ask(&table, within(network << 64), 1, at(0)), Verdict::Pass);
    }
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    ask(&table, mapped, 60, at(0));
    assert!(matches!(
        ask(&table, address(1), 41, at(0)),
        Verdict::Blocked { .. }
    ));
}

#[test]
fn networks_are_banned_by_hand_for_a_time() {
    let table = Table::new(10);
    let network: Target = "192.0.2.0/24".parse().unwrap();
    let cause = || Cause::Hand("a scan".into());
    assert!(table.ban(network, MINUTE, cause(), at(0)));
    let until = at(0).after(MINUTE);
    let blocked = Verdict::Blocked {
        until,
        first: false,
    };
    assert_eq!(table.admit(address(9), None, at(1)), blocked);
    assert_eq!(
        table.admit("198.51.100.1".parse().unwrap(), None, at(1)),
        Verdict::Pass
    );
    assert_eq!(table.bans(at(1))[0].cause.words(), "a scan");
    assert_eq!(table.admit(address(9), None, at(60)), Verdict::Pass);
    assert!(table.bans(at(60)).is_empty());
}

#[test]
fn a_ban_by_hand_works_without_any_rule_and_never_shortens_one() {
    let table = Table::new(10);
    let target = Target::Address(address(1));
    table.ban(target, QUARTER, Cause::Hand("x".into()), at(0));
    table.ban(target, MINUTE, Cause::Shared, at(0));
    let until = at(0).after(QUARTER);
    let blocked = Verdict::Blocked {
        until,
        first: false,
    };
    assert_eq!(table.admit(address(1), None, at(120)), blocked);
}
