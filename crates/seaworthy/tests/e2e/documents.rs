//! The application's own settings: checked, shown and laid out before the app is started.

use std::fs;
use std::path::{Path, PathBuf};

use seaworthy_testkit::process::{Ended, Group, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{self, PATIENCE};
use seaworthy_testkit::{Result, binary};
use serde_json::{Value, json};
use tokio::process::Command;

const ADAPTERS: [&str; 7] = ["csv", "excel", "json", "pdf", "rest", "soup", "word"];

/// A copy of the example.
fn example() -> Result<tempfile::TempDir> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scry");
    let to = tempfile::tempdir()?;
    for folder in ["", "configs/adapters", "schemas"] {
        fs::create_dir_all(to.path().join(folder))?;
        for entry in fs::read_dir(from.join(folder))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.path().join(folder).join(entry.file_name()))?;
            }
        }
    }
    Ok(to)
}

fn adapter(home: &Path, name: &str) -> PathBuf {
    home.join(format!("configs/adapters/{name}.yaml"))
}

async fn start(home: &Path) -> Result<Seaworthy> {
    Seaworthy::run(App::Mock.command()?)
        .current_dir(home)
        .start()
        .await
}

async fn refused(home: &Path, parts: &[&str]) -> Result<Ended> {
    let ended = Seaworthy::run(["true"])
        .current_dir(home)
        .end(PATIENCE)
        .await?;
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    for part in parts {
        assert!(
            ended.stderr.contains(part),
            "{part} is missing in\n{}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("app.started"), "{}", ended.stderr);
    Ok(ended)
}

#[tokio::test]
async fn all_seven_adapters_are_listed_served_and_laid_out() -> Result<()> {
    let home = example()?;
    let scry = start(home.path()).await?;
    let list = scry.look("/-/config/documents").await?.json()?;
    assert_eq!(list["sets"][0]["name"], "adapters");
    let documents = list["sets"][0]["documents"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let names: Vec<_> = documents
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ADAPTERS);
    for name in ADAPTERS {
        let answer = scry
            .look(&format!("/-/config/documents/adapters/{name}"))
            .await?;
        assert_eq!(
            (answer.status, &answer.json()?["adapter"]),
            (200, &json!(name))
        );
        let text = fs::read_to_string(home.path().join(format!("run/adapters/{name}.yaml")))?;
        assert_eq!(text, fs::read_to_string(adapter(home.path(), name))?);
    }
    let csv = scry.look("/-/config/documents/adapters/csv").await?;
    assert_eq!(csv.json()?["options"]["delimiter"], ",");
    let hash = documents
        .iter()
        .find(|one| one["name"] == "csv")
        .map(|one| one["hash"].to_string());
    assert_eq!(
        csv.head.all("etag").first().map(|tag| (*tag).to_owned()),
        hash
    );
    for missing in ["adapters/none", "none/csv", "adapters/..%2fcsv"] {
        let answer = scry.look(&format!("/-/config/documents/{missing}")).await?;
        assert_eq!(answer.status, 404, "{missing}");
    }
    Ok(())
}

#[tokio::test]
async fn the_next_start_lays_out_what_changed_and_nothing_of_what_is_wrong() -> Result<()> {
    let home = example()?;
    start(home.path()).await?.stop(PATIENCE).await?;
    let laid_out = home.path().join("run/adapters/csv.yaml");
    let old = fs::read_to_string(&laid_out)?;
    let csv = adapter(home.path(), "csv");
    fs::write(&csv, old.replace("\",\"", "\";;\""))?;
    fs::write(
        adapter(home.path(), "pdf"),
        "adapter: pdf\nenabled: perhaps\n",
    )?;
    let parts = [
        "configs/adapters/csv.yaml:6:14",
        "configs/adapters/pdf.yaml:2:10",
        "\"max_bytes\" is a required property",
        "^",
    ];
    refused(home.path(), &parts).await?;
    assert_eq!(fs::read_to_string(&laid_out)?, old);
    let mut command = Command::new(binary::seaworthy()?);
    command
        .current_dir(home.path())
        .args(["config", "validate"]);
    let told = Group::start("seaworthy", command)?.ended(PATIENCE).await?;
    assert_eq!(told.code(), 2);
    assert!(
        told.stderr.contains("configs/adapters/csv.yaml:6:14"),
        "{}",
        told.stderr
    );
    fs::copy(adapter(home.path(), "word"), adapter(home.path(), "pdf"))?;
    fs::write(&csv, old.replace("\",\"", "\";\""))?;
    let scry = start(home.path()).await?;
    let csv = scry
        .look("/-/config/documents/adapters/csv")
        .await?
        .json()?;
    assert_eq!(csv["options"]["delimiter"], ";");
    assert!(fs::read_to_string(&laid_out)?.contains("delimiter: \";\""));
    Ok(())
}

#[tokio::test]
async fn files_that_are_traps_are_refused_and_not_followed() -> Result<()> {
    let home = example()?;
    let trap = adapter(home.path(), "trap");
    rustix::fs::mkfifoat(rustix::fs::CWD, &trap, rustix::fs::Mode::RWXU)?;
    refused(home.path(), &["trap.yaml: it is not a plain file"]).await?;
    fs::remove_file(&trap)?;
    std::os::unix::fs::symlink("../../../../../../../../etc/passwd", &trap)?;
    let ended = refused(home.path(), &["a link that leads out of the folder"]).await?;
    assert!(!ended.stderr.contains("root:"), "{}", ended.stderr);
    fs::remove_file(&trap)?;
    let bomb = (1..30).fold("a0: &a0 [x]\n".to_owned(), |text, at| {
        let nine = vec![format!("*a{}", at - 1); 9].join(",");
        format!("{text}a{at}: &a{at} [{nine}]\n")
    });
    fs::write(&trap, bomb)?;
    refused(home.path(), &["aliases expand to more content"]).await?;
    fs::write(&trap, "[".repeat(100_000))?;
    refused(home.path(), &["trap.yaml"]).await?;
    for glob in ["../*.yaml", "configs/*/csv.yaml"] {
        let ended = Seaworthy::run(["true"])
            .config(&format!("documents: [{{name: a, glob: '{glob}'}}]"))
            .end(PATIENCE)
            .await?;
        assert_eq!(ended.code(), 2);
        assert!(ended.stderr.contains("names no files"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn the_preset_without_its_files_warns_and_serves() -> Result<()> {
    let scry = Seaworthy::run(App::Mock.command()?)
        .flag("--preset")
        .flag("scry")
        .start()
        .await?;
    let list = scry.look("/-/config/documents").await?.json()?;
    assert_eq!(
        list,
        json!({"sets": [{"name": "adapters", "documents": []}]})
    );
    let events = scry.output().events("config.warning");
    let warned = events.iter().any(|event| event["setting"] == "documents");
    assert!(warned, "{events:?}");
    Ok(())
}

#[tokio::test]
async fn a_reload_says_which_document_changed_and_a_wrong_one_changes_nothing() -> Result<()> {
    let home = example()?;
    let scry = start(home.path()).await?;
    let reload = async || scry.steer("/-/config/reload").await;
    let csv = adapter(home.path(), "csv");
    let old = fs::read_to_string(&csv)?;
    fs::write(&csv, old.replace("\",\"", "\";\""))?;
    let report = reload().await?.json()?;
    let parts = &report["results"]["adapters"]["parts"];
    for name in ADAPTERS {
        assert_eq!(parts[name]["changed"], name == "csv", "{report}");
    }
    assert_eq!(report["generation"], 2, "{report}");
    let delimiter = async || -> Result<Value> {
        let csv = scry
            .look("/-/config/documents/adapters/csv")
            .await?
            .json()?;
        Ok(csv["options"]["delimiter"].clone())
    };
    assert_eq!(delimiter().await?, ";");
    let laid_out = home.path().join("run/adapters/csv.yaml");
    assert!(fs::read_to_string(&laid_out)?.contains("delimiter: \";\""));
    for _ in 0..2 {
        let report = reload().await?.json()?;
        assert_eq!(report["generation"], 2, "{report}");
        assert_eq!(report["results"]["adapters"]["changed"], false, "{report}");
    }
    fs::write(&csv, "adapter: csv\nenabled: perhaps\n")?;
    let refused = reload().await?;
    assert_eq!(refused.status, 422);
    let problems = refused.json()?["problems"].to_string();
    assert!(problems.contains("configs/adapters/csv.yaml"), "{problems}");
    assert_eq!(delimiter().await?, ";");
    assert!(fs::read_to_string(&laid_out)?.contains("delimiter: \";\""));
    Ok(())
}

#[tokio::test]
async fn the_app_hears_of_a_change_once_it_holds() -> Result<()> {
    let home = example()?;
    let heard = home.path().join("heard");
    // What it sees when it is told is the new version already.
    let script = format!(
        "trap 'cat run/adapters/csv.yaml >> {0}' USR1; touch {0}; while :; do sleep 0.02; done",
        heard.display()
    );
    let file = home.path().join("seaworthy.yaml");
    let yaml = fs::read_to_string(&file)?;
    fs::write(
        &file,
        format!("service: {{kind: worker}}\n{yaml}    notify: {{signal: USR1}}\n"),
    )?;
    let scry = Seaworthy::run(["sh", "-c", &script])
        .current_dir(home.path())
        .start()
        .await?;
    wait::until("the worker", PATIENCE, || {
        std::future::ready(heard.exists().then_some(()))
    })
    .await?;
    scry.steer("/-/config/reload").await?;
    let csv = adapter(home.path(), "csv");
    let old = fs::read_to_string(&csv)?;
    fs::write(&csv, old.replace("\",\"", "\";\""))?;
    scry.steer("/-/config/reload").await?;
    let text = wait::until("word of it", PATIENCE, || {
        let text = fs::read_to_string(&heard).ok();
        std::future::ready(text.filter(|text| !text.is_empty()))
    });
    let text = text.await?;
    assert!(
        text.contains("delimiter: \";\"") && !text.contains("delimiter: \",\""),
        "{text}"
    );
    Ok(())
}

/// With strace, which kills at a chosen system call.
pub(crate) mod real {
    use super::*;

    /// What the folder shows: the version of the first file, and whether all others are of the same.
    pub(crate) fn shown(home: &Path) -> Result<(String, bool)> {
        let version = |name: &str| -> Result<String> {
            let text = fs::read_to_string(home.join(format!("run/adapters/{name}.yaml")))?;
            let document: Value = serde_json::from_str(&text)?;
            Ok(document["version"].to_string())
        };
        let first = version("csv")?;
        let mut same = true;
        for name in ADAPTERS {
            same &= version(name)? == first;
        }
        Ok((first, same))
    }

    pub(crate) fn write(home: &Path, version: u32) -> Result<()> {
        for name in ADAPTERS {
            fs::write(adapter(home, name), json!({"version": version}).to_string())?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_kill_at_any_step_leaves_the_old_version_or_the_new_one() -> Result<()> {
        let home = tempfile::tempdir()?;
        fs::create_dir_all(home.path().join("configs/adapters"))?;
        let yaml = "documents: [{name: adapters, glob: configs/adapters/*.yaml, render: run/adapters}]\nlisten: {admin: off}\nservice: {kind: worker}\n";
        fs::write(home.path().join("seaworthy.yaml"), yaml)?;
        let run = |under: Vec<String>| {
            Seaworthy::run(["true"])
                .set("app.restart.policy", "never")
                .admin("off")
                .current_dir(home.path())
                .under(under)
                .end(PATIENCE)
        };
        let mut version = 1;
        write(home.path(), version)?;
        run(Vec::new()).await?;
        assert_eq!(shown(home.path())?, ("1".to_owned(), true));
        let (mut kills, mut news) = (0, 0);
        for call in ["fsync", "rename", "symlink", "unlink", "mkdir"] {
            for nth in 1..=12 {
                let (old, _) = shown(home.path())?;
                version += 1;
                write(home.path(), version)?;
                let inject = format!("inject=/^{call}(at|at2)?$:signal=SIGKILL:when={nth}");
                let under = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
                let ended = run(under.map(str::to_owned).to_vec()).await?;
                let (now, same) = shown(home.path())?;
                assert!(same, "a mixture after {call} {nth}");
                let new = version.to_string();
                assert!(
                    [&old, &new].contains(&&now),
                    "{now} after {call} {nth}: neither {old} nor {new}"
                );
                kills += u32::from(ended.code() == 137);
                news += u32::from(now == new);
            }
        }
        println!("{kills} kills in 60 starts, {news} of them showed the new version afterwards");
        assert!(kills >= 20, "{kills}");
        // Whoever starts next has nothing to mend by hand.
        run(Vec::new()).await?;
        assert_eq!(shown(home.path())?, (version.to_string(), true));
        let left = fs::read_dir(home.path().join("run/adapters"))?.count();
        assert_eq!(left, ADAPTERS.len() + 2);
        Ok(())
    }
}
