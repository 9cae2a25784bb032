//! A hook that runs a command.

use super::Failure;
use crate::exit::Exit;
use crate::patience::Patience;
use crate::reap::Reaper;
use crate::signals::Name;
use crate::spawn::Program;

pub(super) async fn run(
    program: &Program,
    reaper: &Reaper,
    patience: &Patience,
) -> Result<(), Failure> {
    let mut child = reaper
        .spawn(program)
        .map_err(|error| Failure::Said(error.to_string()))?;
    match patience.wait(child.wait()).await {
        Some(Exit::Code(0)) => Ok(()),
        Some(exit) => Err(Failure::Said(format!("`{}` {exit}", program.line()))),
        None => {
            child.signal_group(Name::KILL);
            child.wait().await;
            Err(Failure::OutOfTime)
        }
    }
}
