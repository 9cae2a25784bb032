//! AWS as `moto` plays it, signatures checked.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::daemon::{Daemon, Ready};
use super::venv;
use crate::client;

/// A server that stands for AWS, and an access key that it believes.
#[derive(Debug)]
pub struct Moto {
    pub(super) daemon: Daemon,
    /// The public part of the key.
    pub id: String,
    /// The secret part of the key.
    pub secret: String,
}

const REGION: &str = "eu-west-1";

impl Moto {
    /// Starts it with a user who may read secrets.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> crate::Result<Self> {
        let program = venv::python("moto_server")?;
        let mut daemon = Daemon::new("moto_server", &program, Ready::Says("Running on"))?;
        let port = daemon.address().port().to_string();
        daemon.command().args(["-H", "127.0.0.1", "-p", &port]);
        daemon.start().await?;
        let mut moto = Self {
            daemon,
            id: String::new(),
            secret: String::new(),
        };
        moto.unchecked(1_000).await?;
        moto.iam("Action=CreateUser&UserName=reader").await?;
        let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22secretsmanager%3A*%22%2C%22Resource%22%3A%22*%22%7D%5D%7D";
        let put =
            format!("Action=PutUserPolicy&UserName=reader&PolicyName=read&PolicyDocument={policy}");
        moto.iam(&put).await?;
        let made = moto.iam("Action=CreateAccessKey&UserName=reader").await?;
        let part = |name: &str| {
            let (_, rest) = made.split_once(&format!("<{name}>"))?;
            Some(rest.split_once('<')?.0.to_owned())
        };
        moto.id = part("AccessKeyId").context("no key")?;
        moto.secret = part("SecretAccessKey").context("no key")?;
        moto.unchecked(0).await?;
        Ok(moto)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.daemon.address())
    }

    /// Makes a secret, or gives it another value.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put(&self, name: &str, value: &str) -> crate::Result<()> {
        self.unchecked(1_000).await?;
        let create = json!({"Name": name, "SecretString": value});
        let put = json!({"SecretId": name, "SecretString": value});
        if self.secrets("CreateSecret", &create).await.is_err() {
            self.secrets("PutSecretValue", &put).await?;
        }
        self.unchecked(0).await
    }

    /// From now on so many requests are let in without a look at who signed them.
    async fn unchecked(&self, count: u32) -> crate::Result<()> {
        let body = count.to_string();
        self.send("/moto-api/reset-auth", &[], body.as_bytes())
            .await
            .map(drop)
    }

    async fn iam(&self, form: &str) -> crate::Result<String> {
        let signed = credential("iam");
        let fields = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Authorization", signed.as_str()),
        ];
        let body = format!("{form}&Version=2010-05-08");
        self.send("/", &fields, body.as_bytes()).await
    }

    async fn secrets(&self, action: &str, body: &Value) -> crate::Result<String> {
        let (target, signed) = (
            format!("secretsmanager.{action}"),
            credential("secretsmanager"),
        );
        let fields = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", target.as_str()),
            ("Authorization", signed.as_str()),
        ];
        self.send("/", &fields, body.to_string().as_bytes()).await
    }

    async fn send(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> crate::Result<String> {
        let mut all = vec![("Host", "moto")];
        all.extend(fields);
        let answer = client::send(self.daemon.address(), "POST", path, &all, body).await?;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status < 300, "{path}: {} {said}", answer.status);
        Ok(said)
    }
}

/// A signature of nobody, for what is not checked; it says which service is meant.
fn credential(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=x/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=x"
    )
}
