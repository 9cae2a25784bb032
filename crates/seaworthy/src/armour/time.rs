//! A clock that can be told to run faster, for tests and for trying things out.
//!
//! Blocks, windows and recoveries are minutes long, and nobody waits that long for a test. The figures of the configuration
//! stay as they are. A service that runs by such a clock by mistake has rules sixty times as lax as they read, so that it has
//! to be asked for twice.

use std::collections::BTreeMap;
use std::time::Instant;

use seaworthy_core::clock::Clock;
use seaworthy_core::names::event;

use crate::failure::Failure;

const VARIABLE: &str = "SEAWORTHY_TIME_SCALE";

/// The clock that `env` asks for.
///
/// # Errors
/// When it asks for a fast one and `allowed` does not hold, or for none that there is.
pub fn clock(env: &BTreeMap<String, String>, allowed: bool) -> Result<Clock, Failure> {
    let Some(wished) = env.get(VARIABLE) else {
        return Ok(Clock::new(Instant::now(), 1));
    };
    let scale = wished
        .parse()
        .ok()
        .filter(|scale| (1..=10_000).contains(scale));
    let scale: u32 = scale.ok_or_else(|| {
        Failure::usage(format!(
            "{VARIABLE}={wished} is not a whole number from 1 to 10000"
        ))
    })?;
    if scale > 1 && !allowed {
        return Err(Failure::usage(format!(
            "{VARIABLE}={scale} makes every rule {scale} times as lax as it reads, and is for tests: unset it, or say --allow-time-scale"
        )));
    }
    if scale > 1 {
        tracing::warn!(
            event = event::CONFIG_WARNING,
            scale,
            "time runs {scale} times as fast for limits, bans, flags and breakers ({VARIABLE})"
        );
    }
    Ok(Clock::new(Instant::now(), scale))
}
