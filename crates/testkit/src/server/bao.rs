//! An OpenBao server, which speaks as HashiCorp Vault does.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::daemon::{Daemon, Ready};
use super::venv;
use crate::client;

/// A server in memory, unsealed, with the KV engine with versions at `secret`.
#[derive(Debug)]
pub struct Bao {
    pub(super) daemon: Daemon,
}

impl Bao {
    /// The token that may do everything.
    pub const ROOT: &str = "root-of-the-tests";

    /// Starts one.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> crate::Result<Self> {
        let program = venv::python("bao")?;
        let ready = Ready::Answers(b"GET /v1/sys/seal-status HTTP/1.0\r\n\r\n");
        let mut daemon = Daemon::new("bao", &program, ready)?;
        let listen = format!("-dev-listen-address={}", daemon.address());
        let token = format!("-dev-root-token-id={}", Self::ROOT);
        let command = daemon.command();
        command.args(["server", "-dev", "-dev-no-store-token", &listen, &token]);
        daemon.start().await?;
        let bao = Self { daemon };
        // It answers before its engines are mounted.
        crate::wait::until("the engine at secret/", crate::wait::PATIENCE, || async {
            bao.ask("GET", "sys/mounts/secret", &json!({})).await.ok()
        })
        .await?;
        Ok(bao)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.daemon.address())
    }

    /// Asks as root for a path below `/v1/`.
    ///
    /// # Errors
    /// When the answer is no.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> crate::Result<Value> {
        let path = format!("/v1/{path}");
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let fields = [
            ("Host", "bao"),
            ("X-Vault-Token", Self::ROOT),
            ("X-Vault-Request", "true"),
        ];
        let answer = client::send(
            self.daemon.address(),
            method,
            &path,
            &fields,
            body.as_bytes(),
        )
        .await?;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(
            answer.status < 300,
            "{method} {path}: {} {said}",
            answer.status
        );
        if said.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&said).context(said)
    }

    /// Writes a secret of the KV engine.
    ///
    /// # Errors
    /// When the answer is no.
    pub async fn put(&self, path: &str, data: Value) -> crate::Result<()> {
        let body = json!({"data": data});
        self.ask("POST", &format!("secret/data/{path}"), &body)
            .await
            .map(drop)
    }

    /// Makes a token that may only read secrets, and lives for `ttl`, such as `4s`.
    ///
    /// # Errors
    /// When the answer is no.
    pub async fn reader(&self, ttl: &str) -> crate::Result<String> {
        let rules = json!({"policy": "path \"secret/*\" { capabilities = [\"read\"] }"});
        self.ask("PUT", "sys/policies/acl/reader", &rules).await?;
        let wish = json!({"policies": ["reader"], "ttl": ttl, "renewable": true});
        let made = self.ask("POST", "auth/token/create", &wish).await?;
        let token = made["auth"]["client_token"].as_str();
        Ok(token.context("no token")?.to_owned())
    }
}
