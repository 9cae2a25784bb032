//! A configuration whose files change: noticed, and taken in by itself.

use seaworthy_testkit::Result;
use seaworthy_testkit::client;
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::PATIENCE;

use crate::front::Front;

#[tokio::test]
async fn a_file_that_changes_is_taken_in_by_itself() -> Result<()> {
    let front =
        Front::configured("config: {watch: true}\nheaders: {set: {X-Which: old}}\n").await?;
    let file = front.seaworthy.home().join("seaworthy.yaml");
    // As careful editors do: beside it, and then in its place.
    let other = front.seaworthy.home().join("other");
    std::fs::write(
        &other,
        "config: {watch: true}\nheaders: {set: {X-Which: new}}\n",
    )?;
    std::fs::rename(&other, &file)?;
    let told = front.seaworthy.wait_event("config.reloaded").await?;
    assert_eq!(told["source"], "file");
    let answer = client::get(front.seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-which"), Some("new"));
    // Half a file is a wrong one; the whole is taken in when it is there.
    std::fs::write(
        &file,
        "config: {watch: true}\nheaders: {set: {X-Which: 'thi",
    )?;
    front.seaworthy.wait_event("config.rejected").await?;
    std::fs::write(
        &file,
        "config: {watch: true}\nheaders: {set: {X-Which: third}}\n",
    )?;
    front
        .seaworthy
        .wait_events("config.reloaded", 2, PATIENCE)
        .await?;
    let answer = client::get(front.seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-which"), Some("third"));
    Ok(())
}

/// How Kubernetes changes the files of a ConfigMap: `..data` is a link to a folder, and is replaced by another one.
#[tokio::test]
async fn a_config_map_that_is_swapped_is_taken_in() -> Result<()> {
    let mount = tempfile::tempdir()?;
    let version = |name: &str, value: &str| -> Result<()> {
        let folder = mount.path().join(name);
        std::fs::create_dir(&folder)?;
        let yaml = format!("config: {{watch: true}}\nheaders: {{set: {{X-Which: {value}}}}}\n");
        Ok(std::fs::write(folder.join("seaworthy.yaml"), yaml)?)
    };
    version("..1", "old")?;
    std::os::unix::fs::symlink("..1", mount.path().join("..data"))?;
    std::os::unix::fs::symlink("..data/seaworthy.yaml", mount.path().join("seaworthy.yaml"))?;
    let mock = App::Mock.start().await?;
    let seaworthy = Seaworthy::build()
        .current_dir(mount.path())
        .connect(mock.address)
        .ready()
        .await?;
    version("..2", "new")?;
    std::os::unix::fs::symlink("..2", mount.path().join("..data_tmp"))?;
    std::fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data"))?;
    seaworthy.wait_event("config.reloaded").await?;
    let answer = client::get(seaworthy.public(), "/echo").await?;
    assert_eq!(answer.header("x-which"), Some("new"));
    Ok(())
}
