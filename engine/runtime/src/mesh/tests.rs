//! The ring under loom, and both ring and mesh under plain threads (and Miri).

use super::*;

#[cfg(loom)]
#[test]
fn loom_checks_the_ring() {
    loom::model(|| {
        let (producer, consumer) = ring::<Box<u32>>(2);
        let thread = loom::thread::spawn(move || {
            let mut sent = 0;
            for number in 0..3 {
                if producer.push(Box::new(number)).is_ok() {
                    sent += 1;
                    if number != 1 {
                        producer.publish();
                    }
                } else {
                    loom::thread::yield_now();
                }
            }
            sent
        });
        let mut taken = Vec::new();
        for _ in 0..2 {
            if let Some(number) = consumer.pop() {
                taken.push(*number);
            }
        }
        let sent = thread.join().expect("the producer ends");
        while let Some(number) = consumer.pop() {
            taken.push(*number);
        }
        assert_eq!(taken.len(), sent);
        assert!(taken.is_sorted());
    });
}

#[cfg(not(loom))]
mod threads {
    use super::*;
    use crate::task::NoUnpark;
    use platform::{MeshFull, Prng};

    #[test]
    fn a_full_ring_gives_the_message_back_and_wraps() {
        let (producer, consumer) = ring::<String>(4);
        for lap in 0..5 {
            for number in 0..4 {
                producer.push(format!("{lap}.{number}")).expect("there is room");
            }
            assert_eq!(producer.push("more".to_string()), Err("more".to_string()));
            assert_eq!(consumer.pop(), None, "nothing is visible before it is published");
            assert!(producer.publish());
            assert!(!producer.publish());
            for number in 0..4 {
                assert_eq!(consumer.pop(), Some(format!("{lap}.{number}")));
            }
            assert_eq!(consumer.pop(), None);
        }
    }

    #[test]
    fn messages_nobody_took_are_dropped_once() {
        let counted = StdArc::new(());
        let (producer, consumer) = ring(8);
        for _ in 0..5 {
            producer.push(counted.clone()).expect("there is room");
        }
        producer.publish();
        drop(consumer.pop());
        producer.push(counted.clone()).expect("there is room");
        drop(producer);
        drop(consumer);
        assert_eq!(StdArc::strong_count(&counted), 1);
    }

    #[test]
    fn two_threads_keep_order_under_load() {
        let (producer, consumer) = ring::<u64>(16);
        let count = if cfg!(miri) { 300 } else { 300_000 };
        let thread = std::thread::spawn(move || {
            let mut prng = Prng::new(7);
            let mut next = 0;
            while next < count {
                match producer.push(next) {
                    Ok(()) => next += 1,
                    Err(_) => {
                        producer.publish();
                        std::thread::yield_now();
                    }
                }
                if prng.below(5) == 0 {
                    producer.publish();
                }
            }
        });
        let mut expected = 0;
        while expected < count {
            match consumer.pop() {
                Some(number) => {
                    assert_eq!(number, expected);
                    expected += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        thread.join().expect("the producer ends");
    }

    #[test]
    fn a_mesh_delivers_from_every_core_in_turn_and_bounds_each_pair() {
        let unparks = (0..3).map(|_| StdArc::new(NoUnpark) as StdArc<dyn Unpark>).collect();
        let ends = mesh::<u32>(unparks, 2);
        let target = ShardId(1);
        for end in &ends {
            end.send(target, 10).expect("there is room");
            end.send(target, 11).expect("there is room");
            assert_eq!(end.room(target), 0);
            let MeshFull { message, target: full } =
                end.send(target, 12).expect_err("the ring holds two");
            assert_eq!((message, full), (12, target));
            end.flush();
        }
        assert!(ends[1].has_incoming());
        let mut cx = Context::from_waker(Waker::noop());
        let mut received = Vec::new();
        while let Poll::Ready((source, number)) = ends[1].poll_recv(&mut cx) {
            received.push((source.0, number));
        }
        assert_eq!(received, [(0, 10), (1, 10), (2, 10), (0, 11), (1, 11), (2, 11)]);
        assert!(!ends[1].has_incoming());
        assert_eq!(ends[0].room(target), 2);
    }
}
