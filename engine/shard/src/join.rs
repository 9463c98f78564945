//! Waiting for several futures of one core at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Polls all futures until each has given its result; results in the order of the futures.
///
/// # Cancel safety
/// As its futures.
pub(crate) async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<(Option<Pin<Box<F>>>, Option<F::Output>)> =
        futures.into_iter().map(|future| (Some(Box::pin(future)), None)).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (future, result) in &mut waiting {
            let Some(running) = future else { continue };
            match running.as_mut().poll(cx) {
                Poll::Ready(output) => {
                    *result = Some(output);
                    *future = None;
                }
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let result = |(_, result): (_, Option<F::Output>)| result;
    waiting.into_iter().map(|slot| result(slot).expect("all are done")).collect()
}
