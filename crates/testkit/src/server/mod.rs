//! Real servers for tests: installed once by the fixtures, started on free ports, gone with their handle.
//!
//! [`App`] names a server: its [`command`](App::command) is what a user would type after `seaworthy run --`, and
//! [`start`](App::start) runs it alone, for comparisons and for `--connect`. [`tool`] finds the programs that press on
//! the product from outside. [`Redis`] and its like are what an app depends on; a [`Gap`] before one of them is the network.

mod app;
mod broker;
mod celery;
mod daemon;
mod gap;
mod grpc;
mod hosted;
mod kafka;
pub mod launched;
mod mariadb;
mod nats;
mod postgres;
mod rabbitmq;
mod redis;
mod rude;
pub mod tool;
mod venv;

pub use app::{App, Server};
pub use broker::RedisBroker;
pub use celery::Celery;
pub use daemon::Daemon;
pub use gap::{Gap, Mode};
pub use grpc::GrpcHealth;
pub use hosted::Hosted;
pub use kafka::Kafka;
pub use mariadb::MariaDb;
pub use nats::Nats;
pub use postgres::Postgres;
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use rude::{Manners, Rude};
pub use venv::python;
