//! The example as it is run, over real sockets.

use std::net::SocketAddr;
use std::path::Path;

use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::client;
use seaworthy_testkit::process::Group;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

async fn start(file: &Path) -> Result<(Group, SocketAddr)> {
    let address = free()?;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_axum-settings"));
    command
        .env("PORT", address.port().to_string())
        .env("SHOP_FILE", file)
        .env("SHOP__MOST_ITEMS", "5");
    let group = Group::start("axum-settings", command)?;
    wait::until("somebody to listen", PATIENCE, async || {
        tokio::net::TcpStream::connect(address).await.ok().map(drop)
    })
    .await?;
    Ok((group, address))
}

async fn sell(address: SocketAddr, items: &str) -> Result<(u16, String)> {
    let answer = client::send(address, "POST", "/", &[], items.as_bytes()).await?;
    Ok((answer.status, answer.text()))
}

async fn reload(address: SocketAddr) -> Result<(u16, Value)> {
    let answer = client::send(address, "POST", "/reload", &[], b"").await?;
    Ok((answer.status, answer.json()?))
}

#[tokio::test]
async fn its_settings_change_all_at_once_or_not_at_all() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("shop.yaml");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("shop.yaml");
    std::fs::copy(shipped, &file)?;
    let (group, address) = start(&file).await?;
    assert_eq!(
        sell(address, "3").await?,
        (200, "hello: 3 of at most 5, from north\n".to_owned())
    );
    assert_eq!(sell(address, "6").await?.0, 422);

    std::fs::write(
        &file,
        "greeting: welcome\nport: 1\nsuppliers: [{name: west, share: 100}]\n",
    )?;
    let (status, report) = reload(address).await?;
    assert_eq!(
        (status, &report["generation"]),
        (200, &Value::from(2)),
        "{report}"
    );
    let after = sell(address, "3").await?.1;
    assert_eq!(after, "welcome: 3 of at most 5, from west\n");

    // Wrong in itself, and then too much for a part of the program.
    std::fs::write(
        &file,
        "greeting: bye\nsuppliers: [{name: west, share: 99}]\n",
    )?;
    let (status, report) = reload(address).await?;
    assert_eq!(
        (status, &report["problems"][0]["place"]["line"]),
        (422, &Value::from(2))
    );
    let many: Vec<String> = (0..20)
        .map(|number| format!("{{name: s{number}, share: 5}}"))
        .collect();
    std::fs::write(
        &file,
        format!("greeting: bye\nsuppliers: [{}]\n", many.join(", ")),
    )?;
    let (status, report) = reload(address).await?;
    assert_eq!(status, 422);
    let told = report["problems"][0]["message"]
        .as_str()
        .unwrap_or_default();
    assert_eq!(told, "deliveries: there are ramps for ten suppliers");
    assert_eq!(sell(address, "3").await?.1, after);

    std::fs::write(&file, "greeting: again\n")?;
    group.signal(seaworthy_testkit::process::Signal::HUP)?;
    wait::until("the new greeting", PATIENCE, async || {
        let (_, said) = sell(address, "3").await.ok()?;
        said.starts_with("again").then_some(())
    })
    .await
}
