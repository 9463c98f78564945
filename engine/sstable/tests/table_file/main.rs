//! Table files against a naive model: one program, so that the model is compiled once.

mod model;
mod round_trip;
