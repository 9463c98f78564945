//! Accepts clients on one core, and keeps them within bounds: connections, time to authenticate, the node's stop.
//!
//! One [`PgListener`] a core, made by the composition root; any number of sockets may be served by it. Connections stay on the core that accepted
//! them. A connection over the limit is told so (53300); one beyond the bound of those that have not authenticated is closed unread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use platform::{Listener, SchedulingClass, Spawner, sleep, spawn};
use ring::rand::{SecureRandom, SystemRandom};
use types::SqlState;

use super::backend::PgBackend;
use super::cancel::{CancelRegistry, Registration, SECRET_BYTES};
use super::client::LongMessageBytes;
use super::error_response::PgError;
use super::serve::serve;
use crate::error::SecretsUnavailable;
use crate::limits::{
    AUTHENTICATION_SECONDS_MAX, CONNECTIONS_PER_CORE_DEFAULT, UNAUTHENTICATED_PER_CORE_MAX,
};

/// How long to wait after a failed accept: the usual cause is the limit of open files, which closing connections heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What an operator may choose.
#[derive(Clone)]
pub struct PgListenerSettings {
    /// Sessions at once, on all cores that share `sessions`.
    pub sessions_max: u32,
    /// Sessions that there are on those cores; touched when a session begins and ends.
    pub sessions: Arc<AtomicU32>,
    /// Seconds that a client has to authenticate.
    pub authentication_seconds_max: u64,
    /// A secret of the cluster, the same on all nodes and across restarts: what a role that does not exist is asked is derived from it.
    pub cluster_secret: [u8; 32],
}

impl PgListenerSettings {
    /// The default bounds with a cluster's secret.
    pub fn new(cluster_secret: [u8; 32]) -> PgListenerSettings {
        PgListenerSettings {
            sessions_max: CONNECTIONS_PER_CORE_DEFAULT,
            sessions: Arc::default(),
            authentication_seconds_max: AUTHENTICATION_SECONDS_MAX,
            cluster_secret,
        }
    }
}

/// Random bytes that nobody can guess. Passed by hand, so that a test can know them.
pub trait SecretSource {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// When the operating system has none.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SecretsUnavailable>;
}

/// The operating system's random bytes.
#[derive(Debug)]
pub struct SystemSecrets(SystemRandom);

impl Default for SystemSecrets {
    fn default() -> SystemSecrets {
        SystemSecrets(SystemRandom::new())
    }
}

impl SecretSource for SystemSecrets {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SecretsUnavailable> {
        self.0.fill(bytes).map_err(|_| SecretsUnavailable)
    }
}

/// How many connections a core has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// All that are open.
    pub connections: u32,
    /// Those with a session.
    pub sessions: u32,
}

/// The Postgres side of one core.
pub struct PgListener<B> {
    backend: B,
    settings: PgListenerSettings,
    spawner: Rc<dyn Spawner>,
    secrets: Rc<dyn SecretSource>,
    registry: Rc<CancelRegistry>,
    counts: Rc<Counts>,
    stop: Rc<Stop>,
    long_messages: LongMessageBytes,
}

#[derive(Debug, Default)]
struct Counts {
    connections: Cell<u32>,
    sessions: Cell<u32>,
    /// Waits for the last connection to end.
    drained: RefCell<Option<Waker>>,
}

/// The node's stop: set once, then every idle session is woken.
#[derive(Debug, Default)]
struct Stop {
    is_requested: Cell<bool>,
    acceptors: RefCell<Vec<Waker>>,
    sessions: RefCell<BTreeMap<u32, Rc<IdleWaker>>>,
}

/// Whom to wake when an idle session must end.
type IdleWaker = RefCell<Option<Waker>>;

impl<B: PgBackend> PgListener<B> {
    /// The Postgres side of the core whose registry this is.
    pub fn new(
        backend: B,
        settings: PgListenerSettings,
        spawner: Rc<dyn Spawner>,
        secrets: Rc<dyn SecretSource>,
        registry: Rc<CancelRegistry>,
    ) -> Rc<PgListener<B>> {
        Rc::new(PgListener {
            backend,
            settings,
            spawner,
            secrets,
            registry,
            counts: Rc::default(),
            stop: Rc::default(),
            long_messages: Rc::default(),
        })
    }

    /// Accepts on `socket` until [`PgListener::stop`].
    ///
    /// # Cancel safety
    /// Dropping it stops accepting; connections live on.
    pub async fn accept_on(self: Rc<Self>, socket: Rc<dyn Listener>) {
        loop {
            let accepted = poll_fn(|cx| {
                if self.stop.is_requested.get() {
                    return Poll::Ready(None);
                }
                let accepted = socket.poll_accept(cx);
                if accepted.is_pending() {
                    note_waker(&mut self.stop.acceptors.borrow_mut(), cx.waker());
                }
                accepted.map(Some)
            })
            .await;
            match accepted {
                None => return,
                Some(Err(_)) => sleep(&self.spawner, ACCEPT_PAUSE).await,
                Some(Ok(connection)) => {
                    let counts = self.counts();
                    if counts.connections - counts.sessions >= UNAUTHENTICATED_PER_CORE_MAX {
                        continue;
                    }
                    let open = OpenConnection::new(&self.counts);
                    let listener = Rc::clone(&self);
                    spawn(
                        &*self.spawner,
                        SchedulingClass::Foreground,
                        "pg connection",
                        async move {
                            serve(&listener, connection).await;
                            drop(open);
                        },
                    );
                }
            }
        }
    }

    /// Stops: accepts no more, ends idle sessions at once (57P01) and the others when they next go idle.
    pub fn stop(&self) {
        self.stop.is_requested.set(true);
        let acceptors = self.stop.acceptors.take();
        let sessions = self.stop.sessions.borrow();
        let idle = sessions.values().filter_map(|waker| waker.take());
        for waker in acceptors.into_iter().chain(idle) {
            waker.wake();
        }
    }

    /// Waits until no connection is open. One task may wait.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn drained(&self) {
        poll_fn(|cx| {
            if self.counts.connections.get() == 0 {
                return Poll::Ready(());
            }
            self.counts.drained.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// How many connections there are.
    pub fn counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            connections: self.counts.connections.get(),
            sessions: self.counts.sessions.get(),
        }
    }

    /// The database.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The sessions of this core by their keys.
    pub fn registry(&self) -> &Rc<CancelRegistry> {
        &self.registry
    }

    pub(crate) fn settings(&self) -> &PgListenerSettings {
        &self.settings
    }

    pub(crate) fn spawner(&self) -> &Rc<dyn Spawner> {
        &self.spawner
    }

    pub(crate) fn long_messages(&self) -> &LongMessageBytes {
        &self.long_messages
    }

    pub(crate) fn secrets(&self) -> &dyn SecretSource {
        &*self.secrets
    }

    /// A place among the sessions of this core.
    ///
    /// # Errors
    /// 53300 when all are taken, 57P03 when the node is stopping.
    pub(crate) fn take_place(&self, secret: [u8; SECRET_BYTES]) -> Result<SessionPlace, PgError> {
        if self.stop.is_requested.get() {
            let text = "the database system is shutting down";
            return Err(PgError::fatal(SqlState::CANNOT_CONNECT_NOW, text));
        }
        let Some(shared) = SharedCount::one_more(&self.settings) else {
            let text = "sorry, too many clients already";
            return Err(PgError::fatal(SqlState::TOO_MANY_CONNECTIONS, text));
        };
        self.counts.sessions.set(self.counts.sessions.get() + 1);
        let registration = self.registry.register(secret);
        let idle_waker = Rc::new(IdleWaker::default());
        let process_id = registration.key().process_id;
        self.stop.sessions.borrow_mut().insert(process_id, Rc::clone(&idle_waker));
        let (counts, stop) = (Rc::clone(&self.counts), Rc::clone(&self.stop));
        Ok(SessionPlace { registration, idle_waker, counts, stop, _shared: shared })
    }

    /// Ready once the node is stopping; else remembers whom to wake.
    #[inline]
    pub(crate) fn poll_stopping(&self, place: &SessionPlace, cx: &mut Context<'_>) -> Poll<()> {
        if self.stop.is_requested.get() {
            return Poll::Ready(());
        }
        match &mut *place.idle_waker.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

fn note_waker(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}

/// Counts an open connection for as long as it lives.
struct OpenConnection(Rc<Counts>);

impl OpenConnection {
    fn new(counts: &Rc<Counts>) -> OpenConnection {
        counts.connections.set(counts.connections.get() + 1);
        OpenConnection(Rc::clone(counts))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let left = self.0.connections.get() - 1;
        self.0.connections.set(left);
        if left == 0
            && let Some(waker) = self.0.drained.take()
        {
            waker.wake();
        }
    }
}

/// One session among those of all cores.
struct SharedCount(Arc<AtomicU32>);

impl SharedCount {
    /// Counts one more, if there may be one more.
    fn one_more(settings: &PgListenerSettings) -> Option<SharedCount> {
        let more = |count| (count < settings.sessions_max).then(|| count + 1);
        let counted =
            settings.sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        counted.then(|| SharedCount(settings.sessions.clone()))
    }
}

impl Drop for SharedCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session's place: counted, and open to cancel requests, for as long as it lives.
pub(crate) struct SessionPlace {
    registration: Registration,
    idle_waker: Rc<IdleWaker>,
    counts: Rc<Counts>,
    stop: Rc<Stop>,
    _shared: SharedCount,
}

impl SessionPlace {
    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        self.counts.sessions.set(self.counts.sessions.get() - 1);
        self.stop.sessions.borrow_mut().remove(&self.registration.key().process_id);
    }
}
