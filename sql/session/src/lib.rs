//! One client's conversation: prepared statements, portals, BEGIN and COMMIT, settings. It knows no socket and no analytics engine; the composition root passes both in.

pub mod error;
pub mod settings;

pub use error::SqlError;
pub use settings::Settings;
