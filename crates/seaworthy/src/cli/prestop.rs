//! `seaworthy prestop`: for a container's preStop hook. Says that the end is near and returns once balancers have had the
//! time to notice, so that whatever sends SIGTERM next meets no new requests.

use clap::Args;
use hyper::Method;
use seaworthy_core::quantity::Duration;

use super::locate::{self, Which};
use super::{Global, output};

/// Arguments of `prestop`.
#[derive(Args, Clone, Debug)]
pub struct PrestopArgs {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub timeout: Duration,
}

/// Begins the propagation phase and waits for the answer.
pub(super) async fn execute(global: &Global, args: &PrestopArgs) -> anyhow::Result<()> {
    let found = locate::find(&args.which)?;
    let answer = found
        .ask(Method::POST, "/-/prestop", args.timeout.get())
        .await?;
    if global.json {
        output::json(&answer);
    } else {
        output::data(&format!(
            "pid {} has been taken out of service and may be stopped",
            found.instance.pid
        ));
    }
    Ok(())
}
