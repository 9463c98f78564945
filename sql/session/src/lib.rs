//! One client's conversation: prepared statements, portals, BEGIN and COMMIT, settings. It knows no socket and no analytics engine; the composition
//! root passes both in.

pub mod analytics;
mod block;
mod compiled;
pub mod copy;
mod ddl;
pub mod error;
mod execute;
mod explain;
mod functions;
mod large;
mod lease;
pub mod node;
pub mod output;
mod planner;
mod portal;
pub mod rebuild;
mod scans;
pub mod session;
pub mod settings;
pub mod system;
mod virtual_rows;
mod write;

pub use error::SqlError;
pub use node::Node;
pub use session::{Identity, Session};
pub use settings::Settings;
