//! The configurations that held: kept, compared, brought back, and taken back when they do harm.

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::{App, Server};
use seaworthy_testkit::wait::PATIENCE;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::front::Front;
use crate::reload::{changes, reload, write};

async fn versions(seaworthy: &Seaworthy) -> Result<Vec<Value>> {
    let all = seaworthy.look("/-/config/history").await?.json()?;
    Ok(all.as_array().cloned().unwrap_or_default())
}

#[tokio::test]
async fn versions_are_kept_compared_and_come_back() -> Result<()> {
    let front =
        Front::configured("headers: {set: {X-N: '1'}}\nconfig: {verify_window: 0s}\n").await?;
    let seaworthy = &front.seaworthy;
    let state = seaworthy.state_dir().to_string_lossy().into_owned();
    for n in 2..=3 {
        write(
            seaworthy,
            &format!("headers: {{set: {{X-N: '{n}'}}}}\nconfig: {{verify_window: 0s}}\n"),
        )?;
        assert_eq!(reload(seaworthy).await?.0, 200);
    }
    let all = versions(seaworthy).await?;
    let told: Vec<_> = all
        .iter()
        .map(|one| (one["number"].as_u64(), one["source"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some(3), Some("api")),
            (Some(2), Some("api")),
            (Some(1), Some("start"))
        ]
    );
    let diff = Seaworthy::verb(["config", "diff", "1", "3", "--state-dir", &state]).await?;
    assert_eq!(
        (diff.code(), diff.stdout.trim()),
        (1, "headers.set.X-N: 1 -> 3")
    );
    let back = Seaworthy::verb([
        "config",
        "rollback",
        "1",
        "--reason",
        "a try",
        "--state-dir",
        &state,
    ])
    .await?;
    assert_eq!(back.code(), 0, "{}", back.stderr);
    let answer = client::get(seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-n"), Some("1"));
    let history = Seaworthy::verb(["config", "history", "--state-dir", &state]).await?;
    assert!(
        history.stdout.contains("rolled_back: a try"),
        "{}",
        history.stdout
    );
    assert_eq!(versions(seaworthy).await?[0]["source"], "rollback");
    let none = Seaworthy::verb(["config", "rollback", "77", "--state-dir", &state]).await?;
    assert_eq!(none.code(), 1);
    assert!(
        none.stderr.contains("there is no version 77"),
        "{}",
        none.stderr
    );
    Ok(())
}

/// Starts one whose file and state stay in `home`.
async fn at_home(home: &TempDir, mock: &Server) -> Result<Seaworthy> {
    let builder = Seaworthy::build().current_dir(home.path());
    let builder = builder.state(home.path().join("state"));
    builder.connect(mock.address).ready().await
}

#[tokio::test]
async fn a_version_that_does_harm_is_taken_back_and_stays_away_after_a_restart() -> Result<()> {
    let mock = App::Mock.start().await?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("seaworthy.yaml");
    let good = "config: {verify_window: 60s}\n";
    let bad = "config: {verify_window: 60s}\nthreads: 3\nlimits: {response_timeout: 5ms}\n";
    let path = "/sleep/40";
    std::fs::write(&file, good)?;
    let start = || at_home(&home, &mock);
    let mut seaworthy = start().await?;
    let public = seaworthy.public();
    let mut connection = Connection::open(public).await?;
    for _ in 0..40 {
        assert_eq!(connection.ask("GET", path, &[], b"").await?.status, 200);
    }
    std::fs::write(&file, bad)?;
    assert_eq!(reload(&seaworthy).await?.0, 200);
    let asking = async {
        let mut failed = 0;
        while versions(&seaworthy).await?[0]["source"] != "verify" {
            let answer = connection.ask("GET", path, &[], b"").await?;
            failed += usize::from(answer.status != 200);
        }
        anyhow::Ok(failed)
    };
    let failed = tokio::time::timeout(PATIENCE, asking).await??;
    assert!(failed > 0);
    let told = seaworthy.wait_event("config.rolled_back").await?;
    assert!(
        told["message"]
            .as_str()
            .is_some_and(|it| it.contains("requests fail")),
        "{told}"
    );
    let all = versions(&seaworthy).await?;
    assert_eq!(
        (&all[1]["verdict"], &all[0]["source"]),
        (&json!("rolled_back"), &json!("verify"))
    );
    // The file still says it; a restart does not believe it.
    seaworthy.stop(PATIENCE).await?;
    let seaworthy = start().await?;
    let answer = client::get(seaworthy.public(), path).await?;
    assert_eq!(answer.status, 200);
    seaworthy.wait_event("config.rejected").await?;
    // Nor what waited for one.
    let config = seaworthy.look("/-/config").await?.json()?;
    assert_eq!(config["config"]["threads"], Value::Null, "{config}");
    // Whoever asks for it gets it.
    assert_eq!(reload(&seaworthy).await?.0, 200);
    let long = client::get(seaworthy.public(), "/sleep/900").await?;
    assert_eq!(long.status, 504);
    Ok(())
}

#[tokio::test]
async fn no_secret_is_among_what_is_kept_or_told() -> Result<()> {
    let yaml = |key: &str| {
        format!(
            "limits: {{tiers: {{anonymous: {{capacity: 9, refill_per_sec: 9}}}}}}\nauth: {{jwt: {{secret: {key}, algorithms: [HS256], audience: [a]}}}}\n"
        )
    };
    let front = Front::configured(&yaml("the-first-secret-of-32-characters")).await?;
    write(&front.seaworthy, &yaml("the-second-secret-of-32-character"))?;
    let (status, report) = reload(&front.seaworthy).await?;
    assert_eq!(status, 200, "{report}");
    assert_eq!(changes(&report), ["auth.jwt.secret"]);
    let file = std::fs::read(front.seaworthy.state_dir().join("history.db"))?;
    let has = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!has("the-first-secret") && !has("the-second-secret"));
    let all = serde_json::to_string(&versions(&front.seaworthy).await?)?;
    let told = format!("{report}{all}{}", front.seaworthy.output().stderr());
    assert!(
        !told.contains("the-first-secret") && !told.contains("the-second-secret"),
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn a_start_with_the_configuration_that_held_goes_on_under_its_number() -> Result<()> {
    let mock = App::Mock.start().await?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("seaworthy.yaml");
    let yaml = |n: u32| format!("headers: {{set: {{X-N: '{n}'}}}}\n");
    let start = || at_home(&home, &mock);
    let told = async |seaworthy: &Seaworthy| -> Result<Vec<(u64, String)>> {
        let all = versions(seaworthy).await?;
        let one =
            |one: &Value| Some((one["number"].as_u64()?, one["verdict"].as_str()?.to_owned()));
        Ok(all.iter().filter_map(one).collect())
    };
    std::fs::write(&file, yaml(1))?;
    for _ in 0..2 {
        let mut seaworthy = start().await?;
        assert_eq!(told(&seaworthy).await?, [(1, "good".to_owned())]);
        seaworthy.stop(PATIENCE).await?;
    }
    // One that ends within the time in which it is watched has not proved itself.
    let mut seaworthy = start().await?;
    std::fs::write(&file, yaml(2))?;
    assert_eq!(reload(&seaworthy).await?.0, 200);
    seaworthy.stop(PATIENCE).await?;
    let seaworthy = start().await?;
    assert_eq!(told(&seaworthy).await?[0], (2, "watched".to_owned()));
    Ok(())
}

#[tokio::test]
async fn one_that_was_taken_back_stays_away_until_somebody_asks_for_it() -> Result<()> {
    let yaml = |which: &str| {
        format!(
            "config: {{watch: true, verify_window: 0s}}\nheaders: {{set: {{X-Which: {which}}}}}\n"
        )
    };
    let front = Front::configured(&yaml("old")).await?;
    let seaworthy = &front.seaworthy;
    write(seaworthy, &yaml("new"))?;
    seaworthy.wait_event("config.reloaded").await?;
    let back = seaworthy
        .steer_with("POST", "/-/config/rollback", "")
        .await?;
    assert_eq!(back.status, 200, "{}", back.text());
    write(seaworthy, &format!("{}# Only a remark.\n", yaml("new")))?;
    let told = seaworthy.wait_event("config.rejected").await?;
    assert_eq!((&told["version"], &told["holds"]), (&json!(2), &json!(3)));
    let answer = client::get(seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-which"), Some("old"));
    assert_eq!(reload(seaworthy).await?.0, 200);
    let answer = client::get(seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-which"), Some("new"));
    let page = seaworthy.look("/metrics").await?.text();
    assert!(
        page.contains("config_update_apply_total{result=\"reverted\"} 1"),
        "{page}"
    );
    Ok(())
}

/// With strace, which kills at a chosen system call, and Python, which reads the file as anybody could.
pub(crate) mod real {
    use std::path::Path;

    use seaworthy_testkit::server::python;

    use super::*;

    const READ: &str = "
import json, sqlite3, sys
file = sqlite3.connect(sys.argv[1])
sound = file.execute('PRAGMA integrity_check').fetchone()[0]
rows = file.execute('SELECT number, hash, record FROM versions ORDER BY number').fetchall()
print(json.dumps({'sound': sound, 'rows': [[n, h, json.loads(r)['headers']['set']['X-N']] for n, h, r in rows]}))
";

    /// The versions that are in the file: number, hash and what each says.
    pub(crate) async fn kept(file: &Path) -> Result<Vec<(u64, String, String)>> {
        let output = tokio::process::Command::new(python("python")?)
            .args(["-c", READ])
            .arg(file)
            .output()
            .await?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "{told}");
        let read: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(read["sound"], "ok");
        Ok(serde_json::from_value(read["rows"].clone())?)
    }

    #[tokio::test]
    async fn a_kill_at_any_step_leaves_the_version_whole_or_not_there() -> Result<()> {
        let home = tempfile::tempdir()?;
        let (state, yaml) = (
            home.path().join("state"),
            home.path().join("seaworthy.yaml"),
        );
        let write = |version: u32| {
            let text = format!(
                "headers: {{set: {{X-N: '{version}'}}}}\nlisten: {{admin: off}}\nservice: {{kind: worker}}\nconfig: {{history: 5}}\n"
            );
            std::fs::write(&yaml, text)
        };
        let run = |under: Vec<String>| {
            Seaworthy::run(["true"])
                .set("app.restart.policy", "never")
                .admin("off")
                .current_dir(home.path())
                .state(&state)
                .under(under)
                .end(PATIENCE)
        };
        let file = state.join("history.db");
        let mut version = 1;
        write(version)?;
        run(Vec::new()).await?;
        let (mut kills, mut news, mut starts) = (0, 0, 0);
        for call in ["pwrite64", "fdatasync", "fsync", "unlink", "rename"] {
            for nth in 1..=10 {
                let before = kept(&file).await?;
                version += 1;
                write(version)?;
                let inject = format!("inject=/^{call}(at|at2)?$:signal=SIGKILL:when={nth}");
                let under = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
                let ended = run(under.map(str::to_owned).to_vec()).await?;
                starts += 1;
                let after = kept(&file).await?;
                let new = after
                    .last()
                    .is_some_and(|(_, _, said)| *said == version.to_string());
                if !new {
                    assert_eq!(before, after, "neither old nor new after {call} {nth}");
                }
                assert!(after.len() <= 5, "{after:?}");
                assert!(after.is_sorted_by_key(|(number, _, _)| *number));
                kills += u32::from(ended.code() == 137);
                news += u32::from(new);
            }
        }
        println!("{kills} kills in {starts} starts, {news} of them had the new version afterwards");
        assert!(kills >= 15, "{kills}");
        run(Vec::new()).await?;
        let last = kept(&file).await?.pop();
        assert_eq!(last.map(|(_, _, said)| said), Some(version.to_string()));
        Ok(())
    }
}
