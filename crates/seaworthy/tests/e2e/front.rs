//! The binary in front of something that is under the test's control.

use seaworthy_testkit::Result;
use seaworthy_testkit::origin::{Origin, Script};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::{App, Server};

/// The binary in front of `seaworthy mock`, which it did not start.
pub(crate) struct Front {
    pub(crate) seaworthy: Seaworthy,
    /// Kept for its life.
    pub(crate) _mock: Server,
}

impl Front {
    /// With defaults for everything.
    pub(crate) async fn start() -> Result<Self> {
        Self::with(Seaworthy::build()).await
    }

    /// Started as `builder` says.
    pub(crate) async fn with(builder: Builder) -> Result<Self> {
        let mock = App::Mock.start().await?;
        let seaworthy = builder.connect(mock.address).ready().await?;
        Ok(Self {
            seaworthy,
            _mock: mock,
        })
    }

    /// The same without waiting for readiness, which a preset has none of without its dependencies; requests pass all the same.
    pub(crate) async fn lonely(builder: Builder) -> Result<Self> {
        let mock = App::Mock.start().await?;
        let seaworthy = builder.connect(mock.address).start().await?;
        Ok(Self {
            seaworthy,
            _mock: mock,
        })
    }

    /// With this text as its file.
    pub(crate) async fn configured(yaml: &str) -> Result<Self> {
        Self::with(Seaworthy::build().config(yaml)).await
    }
}

/// The binary in front of an origin that plays `script`.
pub(crate) async fn before(script: Script) -> Result<(Seaworthy, Origin)> {
    before_with(script, Seaworthy::build()).await
}

/// The same, started as `builder` says.
pub(crate) async fn before_with(script: Script, builder: Builder) -> Result<(Seaworthy, Origin)> {
    let origin = Origin::tcp(script).await?;
    let seaworthy = builder.connect(origin.address()).ready().await?;
    Ok((seaworthy, origin))
}

/// The fields of a request as `/echo?headers` of the mock reports them: in order, repeats included.
pub(crate) fn fields(report: &serde_json::Value) -> Vec<(String, String)> {
    let pairs = report["headers"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    pairs
        .iter()
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .collect()
}

/// All values of the field `name`.
pub(crate) fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    fields
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
        .collect()
}
