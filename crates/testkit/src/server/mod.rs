//! Real servers for tests: installed once by the fixtures, started on free ports, gone with their handle.
//!
//! [`App`] names a server: its [`command`](App::command) is what a user would type after `seaworthy run --`, and
//! [`start`](App::start) runs it alone, for comparisons and for `--connect`. [`tool`] finds the programs that press on
//! the product from outside.

mod app;
mod broker;
mod celery;
mod daemon;
mod grpc;
mod kafka;
pub mod launched;
mod nats;
mod rabbitmq;
pub mod tool;
mod venv;

pub use app::{App, Server};
pub use broker::RedisBroker;
pub use celery::Celery;
pub use daemon::Daemon;
pub use grpc::GrpcHealth;
pub use kafka::Kafka;
pub use nats::Nats;
pub use rabbitmq::RabbitMq;
pub use venv::python;
