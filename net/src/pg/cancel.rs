//! Cancelling a statement from another connection.
//!
//! A session is told a key when it begins; whoever sends the key on a fresh connection stops the session's statement. The process id in the key names
//! the core that owns the session, so the composition root can route the request there; the rest is a secret. Clients of protocol 3.0 know 32 bits of
//! it, those of 3.2 all 128. Wrong keys are counted and, above a rate, not looked at, so that 32 bits cannot be searched.
//! A cancel that finds no statement running does nothing, as in PostgreSQL.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::auth::equal_in_constant_time;
use crate::limits::CANCEL_MISSES_PER_SECOND_MAX;

/// Bytes of a secret.
pub const SECRET_BYTES: usize = 16;
/// Bytes of a secret that clients of protocol 3.0 know.
pub const SHORT_SECRET_BYTES: usize = 4;
/// Bits of a process id that count sessions of one core; the core's index is above them.
const SEQUENCE_BITS: u32 = 22;
/// Process ids are positive 32-bit integers to clients.
const CORES_MAX: u32 = 1 << (31 - SEQUENCE_BITS);

/// What a client must know to cancel a session's statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CancelKey {
    /// Names the session and its core.
    pub process_id: u32,
    /// Known to the session's client only.
    pub secret: [u8; SECRET_BYTES],
}

/// Never shows the secret.
impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}

/// A request to cancel, as it came. `Send`: it may have to go to another core.
#[derive(Clone)]
pub struct CancelRequest {
    /// The process id in the key.
    pub process_id: u32,
    /// The secret in the key.
    pub secret: Vec<u8>,
}

impl CancelRequest {
    /// The index of the core whose [`CancelRegistry`] decides.
    pub fn core_index(&self) -> u32 {
        self.process_id >> SEQUENCE_BITS
    }
}

/// What a session looks at while it works.
#[derive(Debug, Default)]
pub struct CancelSignal {
    requested: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl CancelSignal {
    /// Whether the running statement must stop.
    #[inline]
    pub fn is_requested(&self) -> bool {
        self.requested.get()
    }

    /// Waits until the running statement must stop. One task may wait at a time.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn requested(&self) {
        poll_fn(|cx| {
            if self.requested.get() {
                return Poll::Ready(());
            }
            self.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Asks the running statement to stop.
    pub fn request(&self) {
        self.requested.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Forgets a request; called between statements.
    #[inline]
    pub fn clear(&self) {
        self.requested.set(false);
    }
}

/// The sessions of one core by process id.
#[derive(Debug)]
pub struct CancelRegistry {
    core_index: u32,
    sessions: RefCell<BTreeMap<u32, Cancellable>>,
    last_sequence: Cell<u32>,
    misses: Cell<Misses>,
}

/// A session's secret, and what it looks at.
type Cancellable = ([u8; SECRET_BYTES], Rc<CancelSignal>);

#[derive(Debug, Clone, Copy, Default)]
struct Misses {
    second: u64,
    count: u32,
}

impl CancelRegistry {
    /// An empty registry of the core at `core_index`.
    ///
    /// # Panics
    /// When the index does not fit a process id.
    pub fn new(core_index: u32) -> Rc<CancelRegistry> {
        assert!(core_index < CORES_MAX, "core indexes fit the upper bits of a process id");
        Rc::new(CancelRegistry {
            core_index,
            sessions: RefCell::default(),
            last_sequence: Cell::new(0),
            misses: Cell::default(),
        })
    }

    /// Enters a session with a random secret; it leaves when the registration is dropped.
    pub fn register(self: &Rc<Self>, secret: [u8; SECRET_BYTES]) -> Registration {
        let signal = Rc::new(CancelSignal::default());
        let mut sessions = self.sessions.borrow_mut();
        // Connections are far fewer than sequence numbers, so a free one is found soon.
        let process_id = loop {
            let sequence = self.last_sequence.get() % ((1 << SEQUENCE_BITS) - 1) + 1;
            self.last_sequence.set(sequence);
            let process_id = self.core_index << SEQUENCE_BITS | sequence;
            if !sessions.contains_key(&process_id) {
                break process_id;
            }
        };
        sessions.insert(process_id, (secret, Rc::clone(&signal)));
        let key = CancelKey { process_id, secret };
        Registration { registry: Rc::clone(self), key, signal }
    }

    /// Cancels the statement of the session that the key opens. `now_seconds` is any clock that only moves forward.
    pub fn cancel(&self, request: &CancelRequest, now_seconds: u64) {
        let mut misses = self.misses.get();
        if misses.second != now_seconds {
            misses = Misses { second: now_seconds, count: 0 };
        }
        if misses.count >= CANCEL_MISSES_PER_SECOND_MAX {
            return;
        }
        let signal =
            self.sessions.borrow().get(&request.process_id).and_then(|(secret, signal)| {
                let known = [SHORT_SECRET_BYTES, SECRET_BYTES].contains(&request.secret.len());
                let fits = known
                    && equal_in_constant_time(&request.secret, &secret[..request.secret.len()]);
                fits.then(|| Rc::clone(signal))
            });
        match signal {
            Some(signal) => signal.request(),
            None => misses.count += 1,
        }
        self.misses.set(misses);
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.borrow().len()
    }
}

/// A session's place in the registry.
#[derive(Debug)]
pub struct Registration {
    registry: Rc<CancelRegistry>,
    key: CancelKey,
    signal: Rc<CancelSignal>,
}

impl Registration {
    /// The key for the client.
    pub fn key(&self) -> CancelKey {
        self.key
    }

    /// What the session looks at.
    pub fn signal(&self) -> &Rc<CancelSignal> {
        &self.signal
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.sessions.borrow_mut().remove(&self.key.process_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(process_id: u32, secret: &[u8]) -> CancelRequest {
        CancelRequest { process_id, secret: secret.to_vec() }
    }

    #[test]
    fn a_key_opens_its_session_only() {
        let registry = CancelRegistry::new(3);
        let one = registry.register([7; SECRET_BYTES]);
        let two = registry.register([9; SECRET_BYTES]);
        assert_eq!(request(one.key().process_id, &[]).core_index(), 3);
        registry.cancel(&request(one.key().process_id, &[7; 4]), 0);
        assert!(one.signal().is_requested());
        assert!(!two.signal().is_requested());
        one.signal().clear();
        for wrong in [&[7; 3][..], &[7; 5], &[], &[7; 17], &[7, 7, 7, 8]] {
            registry.cancel(&request(one.key().process_id, wrong), 0);
            assert!(!one.signal().is_requested());
        }
        registry.cancel(&request(one.key().process_id, &[7; 16]), 0);
        assert!(one.signal().is_requested());
        drop(one);
        drop(two);
        assert_eq!(registry.session_count(), 0);
    }

    #[test]
    fn guessing_is_limited() {
        let registry = CancelRegistry::new(0);
        let session = registry.register([1; SECRET_BYTES]);
        let process_id = session.key().process_id;
        for _ in 0..CANCEL_MISSES_PER_SECOND_MAX {
            registry.cancel(&request(process_id, &[2; 4]), 5);
        }
        registry.cancel(&request(process_id, &[1; 4]), 5);
        assert!(!session.signal().is_requested());
        registry.cancel(&request(process_id, &[1; 4]), 6);
        assert!(session.signal().is_requested());
    }
}
