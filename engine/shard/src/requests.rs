//! Requests of this core's sessions that are under way, and who waits for their answers.
//!
//! A request is a slot; its id names the core, the slot and the slot's use, so an answer finds its way home from any core and a late one finds nobody.
//! A session that goes away leaves its request behind; the slot is free again when all its answers have come.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use accord::{RequestId, Response};
use storage::TableSnapshot;
use types::ShardId;

use crate::error::{Failure, ShardError};
use crate::lease::LeaseOutcome;

const SLOT_BITS: u32 = 24;
const USE_BITS: u32 = 24;

/// One answer to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The protocol's.
    Response(Response),
    /// A shard's frozen part of an analytic snapshot.
    Part(ShardId, Result<Vec<TableSnapshot>, ShardError>),
    /// A shard's, about a row that a lease asked for.
    Lease(LeaseOutcome),
}

#[derive(Debug, Default)]
struct Slot {
    uses: u32,
    /// Answers that have not come yet.
    expected: usize,
    open: bool,
    answers: VecDeque<Answer>,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    free: Vec<u32>,
    stopped: Option<Failure>,
}

/// The requests of one core.
#[derive(Debug)]
pub(crate) struct Requests {
    shard: ShardId,
    requests_max: usize,
    state: RefCell<State>,
}

impl Requests {
    pub(crate) fn new(shard: ShardId, requests_max: usize) -> Requests {
        let requests_max = requests_max.min(1 << SLOT_BITS);
        Requests { shard, requests_max, state: RefCell::default() }
    }

    /// The core that asked.
    pub(crate) fn asker(request: RequestId) -> ShardId {
        ShardId((request.0 >> (SLOT_BITS + USE_BITS)) as u16)
    }

    fn place(request: RequestId) -> (usize, u32) {
        let slot = request.0 & ((1 << SLOT_BITS) - 1);
        let uses = request.0 >> SLOT_BITS & ((1 << USE_BITS) - 1);
        (slot as usize, uses as u32)
    }

    /// Opens a request that will get so many answers.
    pub(crate) fn open(&self, expected: usize) -> Result<RequestId, ShardError> {
        let mut state = self.state.borrow_mut();
        if let Some(failure) = &state.stopped {
            return Err(ShardError::Failed(failure.clone()));
        }
        let index = match state.free.pop() {
            Some(index) => index,
            None if state.slots.len() < self.requests_max => {
                state.slots.push(Slot::default());
                (state.slots.len() - 1) as u32
            }
            None => return Err(ShardError::Overloaded { limit: self.requests_max }),
        };
        let slot = &mut state.slots[index as usize];
        assert!(slot.answers.is_empty(), "a free slot holds nothing");
        slot.uses = (slot.uses + 1) & ((1 << USE_BITS) - 1);
        slot.expected = expected;
        slot.open = true;
        let shard = u64::from(self.shard.0) << (SLOT_BITS + USE_BITS);
        Ok(RequestId(shard | u64::from(slot.uses) << SLOT_BITS | u64::from(index)))
    }

    /// An answer has come. Gives it back if nobody wants it any more.
    pub(crate) fn answer(&self, request: RequestId, answer: Answer) -> Option<Answer> {
        let (index, uses) = Requests::place(request);
        let mut state = self.state.borrow_mut();
        let State { slots, free, .. } = &mut *state;
        let slot = slots.get_mut(index).filter(|slot| slot.uses == uses && slot.expected > 0);
        let Some(slot) = slot else { return Some(answer) };
        slot.expected -= 1;
        if slot.open {
            slot.answers.push_back(answer);
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
            return None;
        }
        if slot.expected == 0 {
            free.push(index as u32);
        }
        Some(answer)
    }

    /// Nobody waits any more. Gives back the answers that were not taken.
    pub(crate) fn close(&self, request: RequestId) -> VecDeque<Answer> {
        let (index, _) = Requests::place(request);
        let mut state = self.state.borrow_mut();
        let State { slots, free, .. } = &mut *state;
        let slot = &mut slots[index];
        slot.open = false;
        slot.waker = None;
        if slot.expected == 0 {
            free.push(index as u32);
        }
        std::mem::take(&mut slot.answers)
    }

    /// The shard has failed: every request under way, and every later one, learns it.
    pub(crate) fn stop(&self, failure: Failure) {
        let mut state = self.state.borrow_mut();
        state.stopped.get_or_insert(failure);
        for slot in &mut state.slots {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    /// Requests under way.
    pub(crate) fn open_count(&self) -> usize {
        let state = self.state.borrow();
        state.slots.len() - state.free.len()
    }
}

impl Requests {
    /// The next answer.
    ///
    /// # Cancel safety
    /// Safe: an answer is taken only by a poll that returns it.
    pub(crate) async fn next(&self, request: RequestId) -> Result<Answer, ShardError> {
        let (index, _) = Requests::place(request);
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            let state = &mut *state;
            let slot = &mut state.slots[index];
            if let Some(answer) = slot.answers.pop_front() {
                return Poll::Ready(Ok(answer));
            }
            if let Some(failure) = &state.stopped {
                return Poll::Ready(Err(ShardError::Stopped(failure.clone())));
            }
            assert!(slot.expected > 0, "one waits for answers that will come");
            match &mut slot.waker {
                Some(known) => known.clone_from(cx.waker()),
                None => slot.waker = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use accord::Response;
    use types::{ShardId, Timestamp};

    use super::{Answer, Requests};
    use crate::error::ShardError;

    fn began(hlc: u64) -> Answer {
        Answer::Response(Response::Began(Timestamp::new(0, hlc, 0)))
    }

    #[test]
    fn answers_reach_their_request_and_nobody_else() {
        let requests = Requests::new(ShardId(3), 2);
        let first = requests.open(2).expect("room");
        let second = requests.open(1).expect("room");
        assert_eq!(Requests::asker(first), ShardId(3));
        assert!(matches!(requests.open(1), Err(ShardError::Overloaded { limit: 2 })));
        assert!(requests.close(second).is_empty());
        assert_eq!(requests.open_count(), 2, "its answer has not come yet");
        assert!(requests.answer(first, began(1)).is_none());
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(Answer::Response(Response::Began(at)))) =
            pin!(requests.next(first)).as_mut().poll(&mut cx)
        else {
            panic!("the answer is there");
        };
        assert_eq!(at.hlc(), 1);
        assert!(pin!(requests.next(first)).as_mut().poll(&mut cx).is_pending());
        assert!(requests.answer(second, began(2)).is_some(), "nobody wants it");
        let third = requests.open(1).expect("the slot is free again");
        assert!(requests.answer(second, began(3)).is_some(), "a late answer finds nobody");
        assert!(requests.answer(third, began(4)).is_none());
        assert_eq!(requests.close(third).len(), 1, "it was not taken");
        assert_eq!(requests.open_count(), 1);
    }
}
