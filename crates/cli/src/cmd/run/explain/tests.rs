use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// Whether a connection's story is told at once when `behind` is what happened next.
fn is_told_at_once(behind: Option<News>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let (sender, receiver) = channel(WAITING_MAX);
    if let Some(news) = behind {
        sender.try_send(news).unwrap();
    }
    let mut inbox = Inbox {
        receiver,
        waiting: VecDeque::new(),
    };
    // An hour from now, so that no slow machine makes the pause end by itself.
    let stood = Instant::now() + Duration::from_secs(3600);
    let pause = pin!(inbox.pause(stood, || true));
    let mut context = Context::from_waker(Waker::noop());
    matches!(pause.poll(&mut context), Poll::Ready(()))
}

#[test]
fn a_refusal_does_not_wait_behind_a_connection() {
    assert!(!is_told_at_once(None));
    assert!(!is_told_at_once(Some(News::End)));
    let refused = News::LoopbackRefused(Instant::now(), 80, None);
    assert!(is_told_at_once(Some(refused)));
}
