//! What expressions may know when they are evaluated where the rows are: the session's words and its picture of the catalog, no clock.

use std::fmt;
use std::sync::Arc;

use functions::{CatalogFunctions, EvalContext, EvalError, VolatileSource};
use types::TextSettings;
use types::prng::Prng;

/// Owned surroundings, which travel with a statement to the core that evaluates it.
#[derive(Clone)]
pub struct Surroundings {
    /// Time zone and the like, and the transaction's time.
    pub settings: TextSettings,
    /// Microseconds since 2000-01-01 UTC at which the statement arrived; also what its clock shows.
    pub statement_micros: i64,
    /// `session_user`, `current_user`
    pub user: Arc<str>,
    /// `current_database()`
    pub database: Arc<str>,
    /// The session's picture of the catalog.
    pub catalog: Arc<dyn CatalogFunctions + Send + Sync>,
    /// What random numbers are made of.
    pub random_seed: u64,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// The context of one evaluation, with the clock and the random numbers of the caller.
    pub fn context<'a>(&'a self, volatile: &'a dyn VolatileSource) -> EvalContext<'a> {
        EvalContext {
            settings: self.settings,
            statement_micros: self.statement_micros,
            session_user: &self.user,
            current_user: &self.user,
            database: &self.database,
            catalog: &*self.catalog,
            volatile,
            regexes: None,
        }
    }
}

/// Random numbers from a seed and a clock that stands: for statements evaluated away from their session.
#[derive(Debug)]
pub struct Seeded {
    prng: std::sync::Mutex<Prng>,
    wall_micros: i64,
}

impl Seeded {
    /// Begins at the seed of some surroundings.
    pub fn new(surroundings: &Surroundings) -> Seeded {
        let prng = std::sync::Mutex::new(Prng::new(surroundings.random_seed));
        Seeded { prng, wall_micros: surroundings.statement_micros }
    }
}

impl VolatileSource for Seeded {
    fn wall_micros(&self) -> Result<i64, EvalError> {
        Ok(self.wall_micros)
    }

    fn random_bits(&self) -> Result<u64, EvalError> {
        let mut prng = self.prng.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(prng.next_u64())
    }
}
