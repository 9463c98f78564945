//! Operators of our own inside the engine below: windows, set-returning functions, and scans of snapshots.

mod expand;
mod node;
mod window;
mod window_frame;
mod window_functions;

pub(crate) use expand::{Expansion, SetCall};
pub(crate) use node::{OwnNode, OwnPlanner, Shape};
pub(crate) use window::WindowSpec;
pub(crate) use window_frame::{Bound, FrameSpec};
pub(crate) use window_functions::WindowCallSpec;
