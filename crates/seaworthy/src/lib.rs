//! Makes any service fit for production.

pub mod admin;
pub mod armour;
pub mod axum;
pub mod cli;
pub mod components;
pub mod config;
pub mod documents;
mod draft;
pub mod egress;
pub mod failure;
pub mod flags;
pub mod instance;
pub mod launch;
pub mod listeners;
pub mod mock;
pub mod openapi;
pub mod registry;
pub mod reload;
pub mod run;
pub mod schemas;
pub mod secrets;
pub mod stack;
pub mod views;
