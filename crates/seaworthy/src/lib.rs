//! Makes any service fit for production.

pub mod admin;
pub mod armour;
pub mod axum;
pub mod cli;
pub mod components;
pub mod config;
pub mod egress;
pub mod failure;
pub mod instance;
pub mod launch;
pub mod listeners;
pub mod mock;
pub mod openapi;
pub mod run;
pub mod schemas;
pub mod stack;
pub mod views;
