use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    (count, waker)
}

fn woken(count: &Count) -> usize {
    count.0.load(Ordering::SeqCst)
}

#[test]
fn readers_and_writers_are_woken_by_what_concerns_them() {
    let (reader, read_waker) = counter();
    let (writer, write_waker) = counter();
    let mut waiters = Waiters::default();
    let mut list = WakeList::default();
    waiters.register_reader(&read_waker, &mut list);
    waiters.register_writer(&write_waker, &mut list);
    waiters.wake(Readiness::READABLE, &mut list);
    assert_eq!(woken(&reader), 0, "not before the list is finished");
    list.finish();
    assert_eq!((woken(&reader), woken(&writer)), (1, 0));
    waiters.register_reader(&read_waker, &mut list);
    waiters.wake(Readiness::ERROR, &mut list);
    list.finish();
    assert_eq!((woken(&reader), woken(&writer)), (2, 1));
    assert!(waiters.is_empty());
}

#[test]
fn the_last_caller_of_a_poll_method_is_the_one_woken() {
    let (first, first_waker) = counter();
    let (second, second_waker) = counter();
    let mut waiters = Waiters::default();
    let mut list = WakeList::default();
    waiters.register_reader(&first_waker, &mut list);
    waiters.register_reader(&second_waker, &mut list);
    waiters.wake(Readiness::READABLE, &mut list);
    list.finish();
    assert_eq!((woken(&first), woken(&second)), (0, 1));
}

#[test]
fn each_future_has_its_own_place_and_gives_it_up() {
    let counters: Vec<_> = (0..5).map(|_| counter()).collect();
    let mut waiters = Waiters::default();
    let mut list = WakeList::default();
    for (ticket, (_, waker)) in (0..).zip(&counters) {
        waiters.register(Ticket(ticket), READ_SIDE, waker, &mut list);
        // A second poll without a wake-up between registers nothing twice.
        waiters.register(Ticket(ticket), READ_SIDE, waker, &mut list);
    }
    waiters.deregister(Ticket(2), &mut list);
    waiters.deregister(Ticket(2), &mut list);
    waiters.wake(Readiness::READABLE, &mut list);
    list.finish();
    let counts: Vec<_> = counters.iter().map(|(count, _)| woken(count)).collect();
    assert_eq!(counts, [1, 1, 0, 1, 1]);
    assert!(waiters.is_empty());
    // No waker is kept: those of the counters are the only ones left.
    for (count, _) in &counters {
        assert_eq!(Arc::strong_count(count), 2);
    }
}

#[test]
fn a_future_that_moved_to_another_task_is_woken_there() {
    let (first, first_waker) = counter();
    let (second, second_waker) = counter();
    let mut waiters = Waiters::default();
    let mut list = WakeList::default();
    waiters.register(Ticket(1), WRITE_SIDE, &first_waker, &mut list);
    waiters.register(Ticket(1), WRITE_SIDE, &second_waker, &mut list);
    waiters.wake(Readiness::READABLE, &mut list);
    waiters.wake(Readiness::WRITABLE, &mut list);
    list.finish();
    assert_eq!((woken(&first), woken(&second)), (0, 1));
}
