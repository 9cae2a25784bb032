//! Checks that take their address from a variable, and those that follow from one.

use seaworthy_config::{Loaded, Problems};
use seaworthy_health::probe::Variables;
use serde_json::Value;

use super::{Config, Options, options};

/// What is loaded from a file with these variables around.
fn load(yaml: &str, variables: &[(&str, &str)]) -> Result<Loaded<Config>, Problems> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("seaworthy.yaml"), yaml).unwrap();
    let variables = variables.iter();
    Config::load(&Options {
        env: variables
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        ..options(folder.path())
    })
}

/// Name and kind of each check.
fn checks(loaded: &Loaded<Config>) -> Vec<String> {
    let checks = loaded.value.health.checks.iter();
    checks
        .map(|check| format!("{}: {}", check.common().name, check.kind()))
        .collect()
}

fn warnings(loaded: &Loaded<Config>) -> Vec<String> {
    let items = loaded.warnings.items().iter();
    items
        .map(|warning| format!("{}: {}", warning.path, warning.message))
        .collect()
}

#[test]
fn usual_variables_become_checks_that_only_degrade() {
    let variables = [
        ("DATABASE_URL", "postgresql+asyncpg://shop:hunter2@db/shop"),
        ("REDIS_URL", "redis://:hunter2@cache:6379/0"),
        ("CELERY_BROKER_URL", "pyamqp://shop:hunter2@mq//"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092,PLAINTEXT://b:9092"),
        ("AMQP_URL", "amqp://mq"),
        ("NATS_URL", "nats://n:4222"),
        ("POSTGRES_URL", "postgres://another/one"),
        ("MYSQL_URL", ""),
    ];
    let loaded = load("", &variables).unwrap();
    assert_eq!(
        checks(&loaded),
        [
            "database: postgres",
            "redis: redis",
            "celery: celery",
            "kafka: kafka",
            "rabbitmq: rabbitmq",
            "nats: nats"
        ]
    );
    let found = &loaded.value.health.checks;
    assert!(found.iter().all(|check| check.common().shared));
    assert!(warnings(&loaded).is_empty(), "{}", loaded.warnings);
    let settings = loaded.settings();
    let shown = settings
        .iter()
        .find(|one| one.path == "health.checks[0].env")
        .unwrap();
    assert_eq!(
        (&shown.value, shown.origin.as_str()),
        (&Value::from("DATABASE_URL"), "env DATABASE_URL")
    );
    let everything = format!("{}{:?}", loaded.to_yaml(), loaded.value);
    assert!(!everything.contains("hunter2"), "{everything}");
}

#[test]
fn spellings_of_databases_are_understood() {
    for (url, kind) in [
        ("postgres://db", Some("postgres")),
        ("postgresql+psycopg://db/x", Some("postgres")),
        ("postgis://db/x", Some("postgres")),
        ("mysql+pymysql://db/x", Some("mysql")),
        ("mariadb://db/x", Some("mysql")),
        ("sqlite:///db.sqlite3", None),
    ] {
        let loaded = load("", &[("DATABASE_URL", url)]).unwrap();
        let found: Vec<String> = kind
            .map(|kind| format!("database: {kind}"))
            .into_iter()
            .collect();
        assert_eq!(checks(&loaded), found, "{url}");
        assert!(warnings(&loaded).is_empty(), "{url}: {}", loaded.warnings);
    }
    let cache = load("", &[("CACHE_URL", "locmem://")]).unwrap();
    assert!(checks(&cache).is_empty() && warnings(&cache).is_empty());
}

#[test]
fn what_was_written_wins_whole() {
    let url = [
        ("REDIS_URL", "redis://elsewhere:1"),
        ("DATABASE_URL", "postgres://db"),
    ];
    let named = "health: {checks: [{kind: tcp, name: redis, addr: 'cache:6379'}]}";
    let loaded = load(named, &url).unwrap();
    assert_eq!(checks(&loaded), ["database: postgres", "redis: tcp"]);
    assert!(
        !loaded.value.health.checks[1].common().shared,
        "nothing of the guess is left"
    );
    let by_variable = "health: {checks: [{kind: postgres, name: shop, env: DATABASE_URL}]}";
    let loaded = load(by_variable, &url[1..]).unwrap();
    assert_eq!(
        checks(&loaded),
        ["shop: postgres"],
        "one variable, one check"
    );
    assert!(checks(&load("health: {auto: false}", &url).unwrap()).is_empty());
    let off = [url[0], ("SEAWORTHY__HEALTH__AUTO", "false")];
    assert!(checks(&load("", &off).unwrap()).is_empty());
}

#[test]
fn variables_of_the_app_count() {
    let yaml = "app: {env: {REDIS_URL: 'redis://:hunter2@cache'}}";
    let loaded = load(yaml, &[("REDIS_URL", "nonsense")]).unwrap();
    assert_eq!(checks(&loaded), ["redis: redis"]);
    assert_eq!(
        loaded.value.variables.get("REDIS_URL"),
        Some("redis://:hunter2@cache")
    );
    assert!(!format!("{:?}", loaded.value).contains("hunter2"));
}

#[test]
fn what_is_not_understood_is_a_warning_and_no_check() {
    for (variable, value, why) in [
        (
            "DATABASE_URL",
            "oracle://u:hunter2@db",
            "there is no check for `oracle`",
        ),
        ("DATABASE_URL", "hunter2", "it is not a URL"),
        (
            "REDIS_URL",
            "unix:///run/hunter2.sock",
            "REDIS_URL is not a URL with a host",
        ),
        ("REDIS_URL", "redis://169.254.169.254", "link-local"),
        ("REDIS_URL", "redis://127.0.0.1:9900", "administered"),
        (
            "KAFKA_BROKERS",
            "SASL_SSL://a:9093",
            "is not a host and a port",
        ),
        ("CELERY_BROKER_URL", "sqs://hunter2", "`sqs` is no scheme"),
    ] {
        let loaded = load("", &[(variable, value)]).unwrap();
        assert!(checks(&loaded).is_empty(), "{variable}={value}");
        let [warning] = &warnings(&loaded)[..] else {
            panic!("{variable}={value}: {}", loaded.warnings);
        };
        assert!(
            warning.contains(variable) && warning.contains(why),
            "{warning}"
        );
        assert!(!warning.contains("hunter2"), "{warning}");
    }
}

#[test]
fn a_check_may_name_the_variable_of_its_address() {
    let yaml = "health: {checks: [{kind: kafka, name: kafka, env: BROKERS}]}";
    let loaded = load(yaml, &[("BROKERS", "a:9092")]).unwrap();
    assert!(warnings(&loaded).is_empty(), "{}", loaded.warnings);
    let unset = load(yaml, &[]).unwrap();
    assert_eq!(
        warnings(&unset),
        ["health.checks[0].env: BROKERS is not set: nothing will be known of `kafka`"]
    );
    for (check, problem) in [
        (
            "{kind: redis, name: a, env: URL, url: 'redis://b'}",
            "health.checks[0].env: `url` says already where it is",
        ),
        (
            "{kind: redis, name: a}",
            "health.checks[0].url: nothing says where it is",
        ),
        (
            "{kind: disk, name: a, env: URL}",
            "health.checks[0].env: a check of the kind `disk` goes nowhere",
        ),
        (
            "{kind: redis, name: a, env: URL}",
            "health.checks[0].env: URL: `postgres` is no scheme for this kind of check",
        ),
    ] {
        let yaml = format!("health:\n  checks:\n    - {check}\n");
        let problems = load(&yaml, &[("URL", "postgres://u:hunter2@db")]).unwrap_err();
        let found: Vec<String> = problems
            .items()
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect();
        assert_eq!(found, [problem]);
        assert!(
            problems.to_string().contains("seaworthy.yaml:3"),
            "{problems}"
        );
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_layer_that_says_where_takes_back_what_a_lower_one_said() {
    let file = "health: {checks: [{kind: redis, name: cache, env: A, critical: false}]}";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("seaworthy.yaml"), file).unwrap();
    std::fs::write(
        folder.path().join("seaworthy.test.yaml"),
        "health: {checks: [{name: cache, url: 'redis://b'}]}",
    )
    .unwrap();
    let loaded = Config::load(&Options {
        env: [("SEAWORTHY_ENV".into(), "test".into())].into(),
        ..options(folder.path())
    })
    .unwrap();
    let common = loaded.value.health.checks[0].common();
    assert_eq!((&common.env, common.critical), (&None, false));
}

#[test]
fn a_layer_says_with_what_tokens_are_verified_over_what_a_lower_one_said() {
    for (own, expected) in [
        (
            "jwks: 'https://issuer.example/keys'",
            [None, Some("https://issuer.example/keys")],
        ),
        ("jwks_file: own.json", [None, Some("own.json")]),
        ("key: own.pem", [Some("own.pem"), None]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("preset: soma\nauth: {{jwt: {{{own}, audience: [shop]}}}}");
        std::fs::write(folder.path().join("seaworthy.yaml"), file).unwrap();
        let loaded = Config::load(&options(folder.path())).unwrap();
        let jwt = loaded.value.auth.jwt.unwrap();
        let key = jwt.key.as_deref().and_then(std::path::Path::to_str);
        assert_eq!([key, jwt.jwks.as_deref()], expected, "{own}");
    }
}

#[test]
fn the_other_name_of_a_setting_of_checks_holds_in_an_overlay() {
    for (below, above) in [
        ("critical: true", "required: false"),
        ("required: true", "critical: false"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("health: {{checks: [{{kind: redis, name: cache, env: A, {below}}}]}}");
        std::fs::write(folder.path().join("seaworthy.yaml"), file).unwrap();
        let overlay = format!("health: {{checks: [{{name: cache, {above}}}]}}");
        std::fs::write(folder.path().join("seaworthy.test.yaml"), overlay).unwrap();
        let loaded = Config::load(&Options {
            env: [("SEAWORTHY_ENV".into(), "test".into())].into(),
            ..options(folder.path())
        })
        .unwrap();
        assert!(!loaded.value.health.checks[0].common().critical, "{above}");
    }
}

#[test]
fn every_kind_that_goes_somewhere_says_so_in_its_schema() {
    let schema = seaworthy_config::schema_of::<Config>();
    let kinds = &schema["$defs"]["Check"];
    let ways = kinds["x-instead"].as_array().unwrap();
    for kind in kinds["oneOf"].as_array().unwrap() {
        let word = &kind["properties"]["kind"]["const"];
        let mut check = serde_json::json!({"kind": word, "name": "x", "env": "X"});
        for needed in kind["required"].as_array().into_iter().flatten() {
            let key = needed.as_str().unwrap();
            if key != "kind" {
                let is_list = kind["properties"][key]["type"] == "array";
                check[key] = if is_list {
                    serde_json::json!(["x"])
                } else {
                    "x".into()
                };
            }
        }
        let check: super::check::Check = serde_json::from_value(check).unwrap();
        let around = seaworthy_health::probe::Around {
            variables: Variables::default(),
            ..Default::default()
        };
        let goes_somewhere = check.unset(&around).is_some();
        let has_way = ways
            .iter()
            .any(|way| way != "env" && !kind["properties"][way.as_str().unwrap()].is_null());
        assert_eq!(goes_somewhere, has_way, "{word}");
    }
}
