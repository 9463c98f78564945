//! Table files against a naive model: one program, so that the model is compiled once.

mod every_byte_corrupt;
mod merging;
mod model;
mod old_versions;
mod round_trip;
mod zones;
