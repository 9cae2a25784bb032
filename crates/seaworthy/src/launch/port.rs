//! Everything else: node and whatever reads `PORT`.
//!
//! Node closes idle connections 5 s after it says so (and one second later in truth); for programs that are not known the
//! same 5 s are assumed, which is shorter than what Go, Java and Ruby servers use. Whether such a program believes
//! forwarding headers is its own setting (Express: `app.set("trust proxy", "loopback")`). A port that the program takes from
//! its own words or files is not rewritten; the supervisor names the port it found instead.

use std::time::Duration;

use seaworthy_core::address::Address;

use super::Refusal;
use super::call::Call;
use super::edit::Edit;
use super::named::Named;
use super::server::{Server, Told, Wish};

const NODE: &[&str] = &[
    "node", "nodejs", "npm", "npx", "yarn", "pnpm", "bun", "bunx", "deno", "tsx", "ts-node",
    "next", "nuxt", "nest",
];

/// The variable that a program reads its port from when nothing else is known of it.
pub(super) const VARIABLE: &str = "PORT";

/// A program that runs on Node or a relative of it.
#[derive(Debug)]
pub(super) struct Node;

/// Any other program.
#[derive(Debug)]
pub(super) struct Generic;

impl Server for Node {
    fn name(&self) -> &'static str {
        "node"
    }

    fn owns(&self, program: &str, _args: &[String]) -> bool {
        NODE.contains(&program)
    }

    fn told(&self, _call: &Call<'_>) -> Result<Told, Refusal> {
        Ok(told())
    }

    fn steer(&self, _call: &Call<'_>, edit: &mut Edit, _told: &Told, wish: &Wish<'_>) {
        steer(edit, wish);
    }
}

impl Server for Generic {
    fn name(&self) -> &'static str {
        "app"
    }

    fn owns(&self, _program: &str, _args: &[String]) -> bool {
        true
    }

    fn told(&self, _call: &Call<'_>) -> Result<Told, Refusal> {
        Ok(told())
    }

    fn steer(&self, _call: &Call<'_>, edit: &mut Edit, _told: &Told, wish: &Wish<'_>) {
        if wish.shell {
            edit.say("the text given to the shell is not rewritten, only PORT is set; let it use $PORT, or give the command as a list of words");
        }
        steer(edit, wish);
    }
}

fn told() -> Told {
    Told {
        named: Named::default(),
        default_port: 8000,
        keep_alive: Duration::from_secs(5),
        max_connections: None,
        unix: false,
    }
}

fn steer(edit: &mut Edit, wish: &Wish<'_>) {
    if let Address::Tcp(address) = wish.address {
        edit.set(VARIABLE, &address.port().to_string());
    }
}
