//! A file for the project that is there.

use seaworthy_testkit::Result;
use seaworthy_testkit::process::Seaworthy;

#[tokio::test]
async fn a_project_gets_a_file_that_holds() -> Result<()> {
    let project = tempfile::tempdir()?;
    let app = "from fastapi import FastAPI\n\napp = FastAPI()\n";
    std::fs::write(project.path().join("main.py"), app)?;
    let file = project.path().join("seaworthy.yaml");
    let name = file.display().to_string();
    let printed = Seaworthy::verb(["-c", &name, "init", "--print"]).await?;
    assert!(!file.exists(), "it is printed only");
    let written = Seaworthy::verb(["-c", &name, "init"]).await?;
    assert_eq!(written.code(), 0, "{}", written.stderr);
    let text = std::fs::read_to_string(&file)?;
    assert_eq!(text.trim_end(), printed.stdout.trim_end());
    assert!(text.contains("Found in main.py"), "{text}");
    let shown = Seaworthy::verb(["-c", &name, "config", "show", "app.command", "--json"]).await?;
    let command: Vec<String> = serde_json::from_str(&shown.stdout)?;
    assert_eq!(command, ["uvicorn", "main:app"]);
    // What somebody wrote is not lost.
    std::fs::write(&file, "service: {name: mine}\n")?;
    let refused = Seaworthy::verb(["-c", &name, "init"]).await?;
    assert_eq!(refused.code(), 2);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    let forced = Seaworthy::verb(["-c", &name, "init", "--force"]).await?;
    assert_eq!(forced.code(), 0, "{}", forced.stderr);
    let old = std::fs::read_to_string(format!("{name}.bak"))?;
    assert_eq!(old, "service: {name: mine}\n");
    let valid = Seaworthy::verb(["-c", &name, "config", "validate"]).await?;
    assert_eq!(valid.code(), 0, "{}", valid.stderr);
    Ok(())
}

#[tokio::test]
async fn what_init_writes_can_be_read_and_is_the_only_file() -> Result<()> {
    let project = tempfile::tempdir()?;
    std::fs::write(
        project.path().join("Procfile"),
        "web: serve --port ${PORT:-8000}\n",
    )?;
    let file = project.path().join("seaworthy.yaml").display().to_string();
    let written = Seaworthy::verb(["-c", &file, "init"]).await?;
    assert_eq!(written.code(), 0, "{}", written.stderr);
    let shown = Seaworthy::verb(["-c", &file, "config", "show", "app.command", "--json"]).await?;
    assert!(
        shown.stdout.contains("${PORT:-8000}"),
        "{}{}",
        shown.stdout,
        shown.stderr
    );
    let other = project.path().join("seaworthy.toml").display().to_string();
    let refused = Seaworthy::verb(["-c", &other, "init"]).await?;
    assert_eq!(refused.code(), 2);
    assert!(
        refused.stderr.contains("cannot be YAML"),
        "{}",
        refused.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_setting_is_explained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("seaworthy.yaml");
    std::fs::write(&file, "log: {level: debug}\n")?;
    let name = file.display().to_string();
    let explain = async |key: &str| Seaworthy::verb(["-c", &name, "config", "explain", key]).await;
    let level = explain("log.level").await?;
    assert_eq!(level.code(), 0, "{}", level.stderr);
    for part in ["info", "debug", "seaworthy.yaml:1", "warn"] {
        assert!(level.stdout.contains(part), "{part}: {}", level.stdout);
    }
    let grace = explain("shutdown.grace").await?;
    assert!(grace.stdout.contains("after a restart"), "{}", grace.stdout);
    let section = explain("shutdown").await?;
    assert!(
        section.stdout.contains("shutdown.grace"),
        "{}",
        section.stdout
    );
    let wrong = explain("log.levle").await?;
    assert_eq!(wrong.code(), 2);
    assert!(
        wrong.stderr.contains("did you mean `log.level`"),
        "{}",
        wrong.stderr
    );
    Ok(())
}

#[tokio::test]
async fn names_of_yesterday_are_written_anew() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("seaworthy.yaml");
    let old = "# Ours.\nbreakers:\n  db: {cooldown: 5s}   # short\n";
    std::fs::write(&file, old)?;
    let name = file.display().to_string();
    let said = Seaworthy::verb(["-c", &name, "config", "migrate"]).await?;
    assert_eq!(said.code(), 1, "{}", said.stderr);
    assert!(
        said.stdout.contains("seaworthy.yaml:3: cooldown is"),
        "{}",
        said.stdout
    );
    assert_eq!(
        std::fs::read_to_string(&file)?,
        old,
        "nothing was asked to be written"
    );
    let written = Seaworthy::verb(["-c", &name, "config", "migrate", "--write"]).await?;
    assert_eq!(written.code(), 0, "{}", written.stderr);
    let new = std::fs::read_to_string(&file)?;
    assert!(
        !new.contains("cooldown") && new.contains("# short"),
        "{new}"
    );
    assert_eq!(std::fs::read_to_string(format!("{name}.bak"))?, old);
    let again = Seaworthy::verb(["-c", &name, "config", "migrate"]).await?;
    assert_eq!(again.code(), 0, "{}", again.stdout);
    Ok(())
}
