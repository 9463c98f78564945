//! The PostgreSQL protocol, server side.

pub mod auth;
pub mod backend;
pub mod cancel;
pub mod client;
pub mod connection;
mod copy;
pub mod error_response;
pub mod frontend;
mod input;
pub mod listener;
pub mod response;
mod serve;
pub mod startup;
