//! Where settings are found, and who wins.

use std::collections::BTreeMap;
use std::path::Path;

use seaworthy_core::budget::Budget;
use seaworthy_core::quantity::{Bound, Duration};

use super::shutdown::USUAL_PROPAGATION;
use super::{Config, Options, Preset, app, options, yaml};

fn vars(vars: &[(&str, &str)]) -> BTreeMap<String, String> {
    vars.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder).expect("a folder for the test");
    std::fs::write(folder.join(name), text).expect("a file for the test");
}

#[test]
fn the_file_is_found_in_a_parent_and_the_environment_lies_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    write(
        folder.path(),
        "seaworthy.yaml",
        "preset: scry\nservice: {name: base}\nenvironment: staging\nlimits: {idle: 1s}",
    );
    write(
        folder.path(),
        "seaworthy.staging.yaml",
        "service: {name: staging}\nlimits: {idle: 2s}",
    );
    write(
        folder.path(),
        "seaworthy.production.yaml",
        "service: {name: production}",
    );
    std::fs::create_dir_all(&deep).unwrap();

    let loaded = Config::load(&options(&deep)).unwrap();
    assert_eq!(loaded.value.service.name, "staging");
    assert_eq!(loaded.value.limits.idle, Duration::from_secs(2));
    assert_eq!(
        loaded.value.endpoints[0].path, "/health",
        "the file's preset is the lowest layer"
    );
}

#[test]
fn variables_and_flags_win_over_files() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().to_owned();
    write(
        &deep,
        "seaworthy.yaml",
        "preset: scry\nservice: {name: base}\nenvironment: staging\nlimits: {idle: 1s}",
    );
    write(
        &deep,
        "seaworthy.production.yaml",
        "service: {name: production}",
    );
    let env = vars(&[
        ("SEAWORTHY_ENV", "production"),
        ("SEAWORTHY__LIMITS__IDLE", "3s"),
        ("SEAWORTHY__LIMITS__TOTAL", "90s"),
    ]);
    let set = vec!["limits.total=2m".to_owned()];
    let loaded = Config::load(&Options {
        env,
        set,
        listen: Some("127.0.0.1:0".into()),
        ..options(&deep)
    })
    .unwrap();
    assert_eq!(loaded.value.environment.as_deref(), Some("production"));
    assert_eq!(loaded.value.service.name, "production");
    assert_eq!(loaded.value.limits.idle, Duration::from_secs(3));
    assert_eq!(
        loaded.value.limits.total,
        Bound::At(Duration::from_secs(120))
    );
    let origin = |path: &str| {
        loaded
            .settings()
            .into_iter()
            .find(|setting| setting.path == path)
            .unwrap()
            .origin
    };
    assert_eq!(origin("environment"), "env SEAWORTHY_ENV");
    assert_eq!(origin("listen.public"), "flag --listen");
    assert!(
        origin("service.name").ends_with("seaworthy.production.yaml:1"),
        "{}",
        origin("service.name")
    );
    assert_eq!(origin("endpoints[0].path"), "preset scry:4");
}

#[test]
fn files_that_cannot_be_used_are_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str| Options {
        file: Some(name.into()),
        ..options(folder.path())
    };
    assert!(
        Config::load(&with("none.yaml"))
            .unwrap_err()
            .to_string()
            .contains("there is no such file")
    );
    std::fs::write(
        folder.path().join("latin.yaml"),
        b"service:\n  name: caf\xe9\n",
    )
    .unwrap();
    assert!(
        Config::load(&with("latin.yaml"))
            .unwrap_err()
            .to_string()
            .contains("line 2 is not UTF-8")
    );
    assert!(
        Config::load(&with("."))
            .unwrap_err()
            .to_string()
            .contains("this is a folder")
    );
    write(folder.path(), "seaworthy.yaml", "environment: ../../etc");
    assert!(
        Config::load(&options(folder.path()))
            .unwrap_err()
            .to_string()
            .contains("cannot be the name of an environment")
    );
    write(folder.path(), "seaworthy.toml", "");
    assert!(
        Config::load(&options(folder.path()))
            .unwrap_err()
            .to_string()
            .contains("there are both")
    );
}

#[test]
fn presets_load_without_a_word() {
    for preset in Preset::ALL {
        assert_eq!(Preset::find(preset.name()), Some(preset));
        let folder = tempfile::tempdir().unwrap();
        let loaded = Config::load(&Options {
            preset: Some(preset.name().into()),
            env: vars(&[
                ("DATABASE_URL", "postgres://db"),
                ("REDIS_URL", "redis://cache"),
                ("CELERY_BROKER_URL", "redis://cache"),
                ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
            ]),
            ..options(folder.path())
        })
        .unwrap();
        assert_eq!(loaded.value.preset, Some(preset));
        assert!(
            loaded.warnings.is_empty(),
            "{}: {}",
            preset.name(),
            loaded.warnings
        );
        assert!(loaded.value.endpoints.len() >= 3);
    }
    let folder = tempfile::tempdir().unwrap();
    let problems = Config::load(&Options {
        preset: Some("skry".into()),
        ..options(folder.path())
    })
    .unwrap_err();
    assert!(
        problems.to_string().contains("did you mean `scry`?"),
        "{problems}"
    );
    assert!(problems.to_string().contains("--preset skry"), "{problems}");
}

#[test]
fn presets_pin_the_phases_of_their_systems() {
    let budget = |preset: &str| {
        let folder = tempfile::tempdir().unwrap();
        let preset = Some(preset.to_owned()).filter(|preset| !preset.is_empty());
        let loaded = Config::load(&Options {
            preset,
            ..options(folder.path())
        })
        .unwrap();
        Budget::derive(&loaded.value.shutdown.wishes(), USUAL_PROPAGATION.get()).unwrap()
    };
    let phases = |preset: &str| {
        let budget = budget(preset);
        [budget.propagation, budget.drain, budget.hooks, budget.app].map(|phase| phase.as_secs())
    };
    for preset in ["", "house", "harvester"] {
        assert_eq!(phases(preset), [5, 15, 4, 4], "{preset}");
    }
    assert_eq!(phases("kronos"), [2, 20, 3, 3]);
    // Where the app takes what is left, the forced end comes when the reserve begins.
    let end = |preset: &str| {
        let budget = budget(preset);
        assert!(budget.app_takes_rest);
        (
            budget.propagation.as_secs(),
            budget.drain.as_secs(),
            (budget.grace - budget.reserve).as_secs(),
        )
    };
    assert_eq!(end("scry"), (0, 2, 24));
    assert_eq!(end("soma"), (0, 12, 20));
}

#[test]
fn words_of_the_command_line_become_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let command: Vec<String> = ["python3", "-m", "http.server", "8000"]
        .map(str::to_owned)
        .into();
    let loaded = Config::load(&Options {
        command: command.clone(),
        ..options(folder.path())
    })
    .unwrap();
    assert_eq!(
        loaded.value.app.command,
        Some(app::Command::Words(command.clone()))
    );
    let loaded = yaml("app: {command: [python3, -m, http.server, 8000]}").unwrap();
    assert_eq!(loaded.value.app.command, Some(app::Command::Words(command)));
    let loaded = yaml("app: {command: 'npm start'}").unwrap();
    assert_eq!(
        loaded.value.app.command,
        Some(app::Command::Line("npm start".into()))
    );
}
