//! What expressions may know while they run on several threads: an owned form of [`functions::EvalContext`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use functions::{CatalogFunctions, EvalContext, VolatileSource};
use types::{TextSettings, Value};

/// Whether a query has been asked to stop. Expressions look at it: a join that compares rows and finds none that fit is nowhere else to be stopped.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The surroundings of a statement, owned and shared by all threads of its query.
#[derive(Clone)]
pub struct StatementContext {
    /// As in [`EvalContext`].
    pub settings: TextSettings,
    /// As in [`EvalContext`].
    pub statement_micros: i64,
    /// As in [`EvalContext`].
    pub session_user: Arc<str>,
    /// As in [`EvalContext`].
    pub current_user: Arc<str>,
    /// As in [`EvalContext`].
    pub database: Arc<str>,
    /// As in [`EvalContext`]; a picture taken when the statement began.
    pub catalog: Arc<dyn CatalogFunctions + Send + Sync>,
    /// As in [`EvalContext`].
    pub volatile: Arc<dyn VolatileSource + Send + Sync>,
    /// Values of the statement's parameters, of the types it was planned with.
    pub parameters: Arc<[Value]>,
    /// Set by [`crate::Analytics`].
    pub stop: StopFlag,
}

impl StatementContext {
    /// The borrowed form that functions take.
    pub fn borrow(&self) -> EvalContext<'_> {
        EvalContext {
            settings: self.settings,
            statement_micros: self.statement_micros,
            session_user: &self.session_user,
            current_user: &self.current_user,
            database: &self.database,
            catalog: &*self.catalog,
            volatile: &*self.volatile,
            regexes: None,
        }
    }
}

impl std::fmt::Debug for StatementContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatementContext").field("settings", &self.settings).finish_non_exhaustive()
    }
}
