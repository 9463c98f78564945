//! Blocking and polled ends, bounds, and what each end sees when the other goes.

use super::*;

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    let mut future = Box::pin(future);
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_full_queue_holds_the_sender_and_keeps_order() {
    let (sender, mut receiver) = channel(2);
    let count = if cfg!(miri) { 50 } else { 10_000 };
    let thread = std::thread::spawn(move || {
        for number in 0..count {
            sender.send_blocking(number).expect("the receiver lives");
        }
    });
    for number in 0..count {
        assert_eq!(receiver.recv_blocking(), Some(number));
    }
    assert_eq!(receiver.recv_blocking(), None);
    thread.join().expect("the sender ends");
}

#[test]
fn try_send_gives_the_message_back() {
    let (sender, mut receiver) = channel(1);
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    assert!(poll_once(sender.send(2)).is_pending());
    assert_eq!(poll_once(receiver.recv()), Poll::Ready(Some(1)));
    assert_eq!(poll_once(sender.send(3)), Poll::Ready(Ok(())));
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.try_send(4), Err(TrySendError::Closed(4)));
    assert_eq!(sender.send_blocking(5), Err(ChannelClosed));
    assert_eq!(poll_once(sender.send(5)), Poll::Ready(Err(ChannelClosed)));
}

#[test]
fn the_receiver_drains_then_sees_the_end() {
    let (sender, mut receiver) = channel(4);
    let second = sender.clone();
    assert!(poll_once(receiver.recv()).is_pending());
    sender.try_send('a').expect("there is room");
    drop(sender);
    second.try_send('b').expect("there is room");
    drop(second);
    assert_eq!(poll_once(receiver.recv()), Poll::Ready(Some('a')));
    assert_eq!(poll_once(receiver.recv()), Poll::Ready(Some('b')));
    assert_eq!(poll_once(receiver.recv()), Poll::Ready(None));
}
