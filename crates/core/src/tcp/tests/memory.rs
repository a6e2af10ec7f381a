//! What a connection costs (DESIGN section 4: an idle connection holds no buffers).

use core::time::Duration;

use super::harness::{Pair, Setup, pattern};
use crate::tcp::connection::Connection;
use crate::tcp::tcb::Synchronized;

/// The whole of an idle connection: the object, its shape, and no heap beside them.
#[test]
fn an_idle_connection_costs_about_a_kibibyte() {
    let object = size_of::<Connection>();
    let shape = size_of::<Synchronized>();
    std::eprintln!("Connection {object} + Synchronized {shape}");
    assert!(object + shape <= 1_152, "{object} + {shape}");
}

/// After work, too: a second later its queues hold nothing.
#[test]
fn an_idle_connection_gives_its_memory_back() {
    let mut pair = Pair::established(&Setup::default(), &Setup::default());
    pair.transfer(&pattern(1 << 20), Duration::from_secs(20));
    pair.run(Duration::from_secs(2));
    for end in [&pair.a, &pair.b] {
        let tcb = end.tcb();
        assert!(!tcb.queue.can_shrink() && !tcb.sent.can_shrink() && !tcb.buffer.can_shrink());
        assert!(tcb.assembler.is_none());
        assert!(tcb.loss.scoreboard.is_empty());
        assert_eq!(tcb.pinned(), 0);
        assert_eq!(tcb.timers.deadline(), None, "and it waits for nothing");
    }
}
