//! Real servers for tests: installed once by the fixtures, started on free ports, gone with their handle.
//!
//! [`App`] names a server: its [`command`](App::command) is what a user would type after `seaworthy run --`, and
//! [`start`](App::start) runs it alone, for comparisons and for `--connect`. [`tool`] finds the programs that press on
//! the product from outside. [`Redis`] and its like are what an app depends on: each is a [`Daemon`] and can be stopped,
//! paused and brought back; a [`Gap`] before one of them is the network.

mod app;
mod bao;
mod celery;
mod daemon;
mod gap;
mod grpc;
mod kafka;
mod mariadb;
mod moto;
mod nats;
mod postgres;
mod rabbitmq;
mod redis;
mod rude;
pub mod tool;
mod venv;

pub use app::{App, Server};
pub use bao::Bao;
pub use celery::Celery;
pub use daemon::Daemon;
pub use gap::{Gap, Mode};
pub use grpc::GrpcHealth;
pub use kafka::Kafka;
pub use mariadb::MariaDb;
pub use moto::Moto;
pub use nats::Nats;
pub use postgres::Postgres;
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use rude::{Manners, Rude};
pub use venv::python;

macro_rules! stand_for_their_daemon {
    ($($fixture:ident)*) => {$(
        impl std::ops::Deref for $fixture {
            type Target = Daemon;

            fn deref(&self) -> &Daemon {
                &self.daemon
            }
        }

        impl std::ops::DerefMut for $fixture {
            fn deref_mut(&mut self) -> &mut Daemon {
                &mut self.daemon
            }
        }
    )*};
}

stand_for_their_daemon!(Bao Celery GrpcHealth Kafka MariaDb Moto Nats Postgres RabbitMq Redis);
