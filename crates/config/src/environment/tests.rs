use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::problem::Findings;

fn expected(text: &str) -> Environment {
    serde_json::from_value(serde_saphyr::from_str::<Json>(text).expect("YAML")).expect("variables")
}

fn report(expects: &str, given: &[(&str, &str)]) -> Report {
    expected(expects).check(|name| {
        let found = given.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value)
    })
}

fn errors(expects: &str, given: &[(&str, &str)]) -> Vec<String> {
    let report = report(expects, given);
    report.errors().map(str::to_owned).collect()
}

fn faults(expects: &str) -> Vec<String> {
    let mut findings = Findings::default();
    expected(expects).faults(&Path::from("env"), &mut findings);
    let said = |finding: &crate::Finding| format!("{}: {}", finding.path(), finding.message());
    findings.iter().map(said).collect()
}

#[test]
fn each_kind_says_what_it_expected_and_what_it_got() {
    let said = errors(
        "{A: {type: int}, B: {type: float}, C: {type: bool}, D: {type: 'list<int>'}, E: {type: 'list<bool>'}}",
        &[
            ("A", "abc"),
            ("B", "inf"),
            ("C", "maybe"),
            ("D", "1,2,x"),
            ("E", "on,,off"),
        ],
    );
    assert_eq!(
        said,
        [
            r#"A: expected int, got "abc""#,
            r#"B: expected float, got "inf""#,
            r#"C: expected bool, got "maybe""#,
            r#"D[2]: expected int, got "x""#,
            r#"E[1]: expected bool, got """#,
        ]
    );
}

#[test]
fn all_words_for_yes_and_no_are_read_in_any_case() {
    for (words, meant) in [
        (["true", "1", "yes", "on"], true),
        (["false", "0", "no", "off"], false),
    ] {
        for word in words {
            for word in [word.to_owned(), word.to_uppercase(), format!(" {word} ")] {
                let report = report("{A: {type: bool}}", &[("A", &word)]);
                assert_eq!(
                    report.get("A").and_then(Typed::as_bool),
                    Some(meant),
                    "{word}"
                );
            }
        }
    }
}

#[test]
fn bounds_hold_for_single_values_and_for_items() {
    let expects = "
PORT: {type: int, min: 1, max: 65535}
SHARE: {type: 'list<float>', max: 0.5, max_len: 2}
MODE: {enum: [dev, prod]}
LEVEL: {type: int, enum: [1, 2]}
KEY: {type: secret, min_len: 4}
NAME: {pattern: '^[a-z]+$', max_len: 3}
";
    let given = [
        ("PORT", "0"),
        ("SHARE", "0.5,0.6,0.1"),
        ("MODE", "test"),
        ("LEVEL", "3"),
        ("KEY", "abc"),
        ("NAME", "Abcd"),
    ];
    assert_eq!(
        errors(expects, &given),
        [
            "KEY: expected at least 4 characters, got 3",
            r#"LEVEL: expected one of 1, 2, got "3""#,
            r#"MODE: expected one of dev, prod, got "test""#,
            r#"NAME: expected a match of ^[a-z]+$, got "Abcd""#,
            "NAME: expected at most 3 characters, got 4",
            r#"PORT: expected at least 1, got "0""#,
            r#"SHARE[1]: expected at most 0.5, got "0.6""#,
            "SHARE: expected at most 2 items, got 3",
        ]
    );
    let fine = [
        ("PORT", "65535"),
        ("MODE", "dev"),
        ("KEY", "äöüß"),
        ("LEVEL", "02"),
    ];
    assert!(errors(expects, &fine).is_empty());
}

#[test]
fn a_missing_one_refuses_warns_or_is_nothing() {
    let expects =
        "{A: {required: true}, B: {required: warn}, C: {}, D: {required: true, default: x}}";
    let report = report(expects, &[]);
    let told: Vec<_> = report.errors().collect();
    assert_eq!(
        told,
        ["A: required, but not set", "B: required, but not set"]
    );
    let refusing: Vec<_> = report.iter().filter(|found| found.refuses).collect();
    assert_eq!(refusing.len(), 1);
    assert_eq!(report.defaults().collect::<Vec<_>>(), [("D", "x")]);
}

#[test]
fn what_is_empty_is_missing_unless_nothing_is_a_value() {
    let expects = "
A: {type: int, default: 3}
B: {type: secret, required: true}
C: {default: x}
D: {type: list, default: [a, b]}
E: {required: true}
";
    let given = ["A", "B", "C", "D", "E"].map(|name| (name, " "));
    let report = report(expects, &given);
    assert_eq!(report.get("A").and_then(Typed::as_int), Some(3));
    assert_eq!(report.get("C").and_then(Typed::as_str), Some(" "));
    assert_eq!(report.get("D").and_then(Typed::as_list), Some(&[][..]));
    let told: Vec<_> = report.errors().collect();
    assert_eq!(told, ["B: required, but not set", "E: required, but empty"]);
}

#[test]
fn a_pattern_may_only_warn() {
    let expects =
        r"{TOKEN: {type: secret, required: true, pattern: '^\d+:[\w-]{30,}$', pattern_warn: true}}";
    let report = report(expects, &[("TOKEN", "hunter2")]);
    let found = report.iter().next().expect("one variable");
    assert!(found.is_valid() && !found.refuses);
    assert_eq!(
        found.warnings,
        [r"TOKEN: expected a match of ^\d+:[\w-]{30,}$"]
    );
}

#[test]
fn nothing_that_is_secret_is_shown() {
    let expects = "
SECRET: {type: secret, min_len: 40, enum: [hunter3], pattern: '^x'}
URL: {type: int}
DSN: {}
USUAL: {default: 'postgres://u:hunter4@db/y'}
SEVERAL: {type: list, default: ['amqp://u:hunter5@mq/z', a]}
";
    let given = [
        ("SECRET", "hunter2"),
        ("URL", "postgres://me:hunter2@db/x"),
        ("DSN", "redis://:hunter2/hunter2@cache:6379/0"),
    ];
    let report = report(expects, &given);
    let said = format!(
        "{} {} {report:?}",
        serde_json::to_string(&report).expect("JSON"),
        report.errors().collect::<Vec<_>>().join("\n")
    );
    let json = serde_json::to_string(&report).expect("JSON");
    let told = report.errors().collect::<Vec<_>>().join("\n");
    assert!(!json.contains("hunter"), "{json}");
    assert!(!told.contains("hunter"), "{told}");
    assert!(!said.is_empty() && json.contains("***@db/x"), "{json}");
    assert!(
        json.contains(r#""default":"postgres://***@db/y""#),
        "{json}"
    );
    assert!(
        json.contains(r#""default":["amqp://***@mq/z","a"]"#),
        "{json}"
    );
}

#[test]
fn the_document_has_the_seven_keys() {
    let report = report("{PORT: {type: int, default: 8000}}", &[("PORT", "abc")]);
    let document = serde_json::to_value(&report).expect("JSON");
    assert_eq!(
        document,
        json!([{
            "key": "PORT", "value": "abc", "type": "int", "required": false, "default": 8000, "valid": false,
            "errors": [r#"PORT: expected int, got "abc""#],
        }])
    );
}

#[test]
fn expectations_that_nothing_meets_are_faults() {
    for (expects, fault) in [
        (
            "{A: {type: int, default: abc}}",
            r#"env.A.default: A: expected int, got "abc""#,
        ),
        (
            "{A: {type: int, default: 9, max: 5}}",
            r#"env.A.default: A: expected at most 5, got "9""#,
        ),
        ("{A: {min: 1}}", "env.A.min: this means nothing for str"),
        (
            "{A: {type: int, min: 2, max: 1}}",
            "env.A.min: 2 is more than the most, 1",
        ),
        (
            "{A: {min_len: 2, max_len: 1}}",
            "env.A.min_len: 2 is more than the most, 1",
        ),
        (
            "{A: {type: secret, default: x}}",
            "env.A.default: a secret that stands in the configuration is none",
        ),
        (
            "{A: {type: bool, pattern: x}}",
            "env.A.pattern: this means nothing for bool",
        ),
        (
            "{A: {pattern_warn: true}}",
            "env.A.pattern_warn: there is no pattern",
        ),
        (
            "{A: {type: int, enum: [1, x]}}",
            r#"env.A.enum[1]: expected int, got "x""#,
        ),
        (
            "{'A=B': {}}",
            "env.A=B: `A=B` cannot be the name of a variable",
        ),
    ] {
        assert_eq!(faults(expects), [fault], "{expects}");
    }
    let said = faults("{A: {pattern: '(?=x)'}}");
    assert!(
        said[0].starts_with("env.A.pattern: this is no regular expression"),
        "{said:?}"
    );
}

proptest! {
    #[test]
    fn whole_numbers_round_trip_and_nothing_else_is_one(number: i64, text in "\\PC{0,12}") {
        let read = report("{A: {type: int}}", &[("A", &number.to_string())]);
        prop_assert_eq!(read.get("A").and_then(Typed::as_int), Some(number));
        let read = report("{A: {type: int}}", &[("A", &text)]);
        prop_assert_eq!(read.get("A").and_then(Typed::as_int), text.trim().parse().ok());
    }

    #[test]
    fn lists_keep_their_items_in_order(numbers in proptest::collection::vec(any::<i64>(), 0..20)) {
        let text = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let read = report("{A: {type: 'list<int>'}}", &[("A", &text)]);
        let items = read.get("A").and_then(Typed::as_list).expect("a list");
        prop_assert_eq!(items.iter().filter_map(Typed::as_int).collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn every_bad_variable_is_told_in_one_run(bad in proptest::collection::vec(any::<bool>(), 1..12)) {
        let expects: Environment = (0..bad.len()).map(|at| (format!("V{at}"), Variable::new(Kind::Int))).collect();
        let values: Vec<(String, &str)> = bad.iter().enumerate().map(|(at, bad)| (format!("V{at}"), if *bad { "x" } else { "1" })).collect();
        let report = expects.check(|name| values.iter().find(|(key, _)| key == name).map(|(_, value)| *value));
        prop_assert_eq!(report.errors().count(), bad.iter().filter(|bad| **bad).count());
        prop_assert_eq!(report.refuses(), bad.contains(&true));
    }

    #[test]
    fn no_value_of_any_kind_makes_it_fall(text in ".{0,40}", kind in 0_usize..6) {
        let kind = [Kind::Int, Kind::Float, Kind::Bool, Kind::Str, Kind::Secret, Kind::Ints][kind];
        let expects: Environment = [("A".to_owned(), Variable { min_len: None, ..Variable::new(kind) })].into_iter().collect();
        let report = expects.check(|_| Some(&text));
        prop_assert!(serde_json::to_string(&report).is_ok());
    }
}
