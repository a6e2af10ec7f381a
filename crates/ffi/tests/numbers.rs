//! Which numbers descriptors have. A process of its own: tests beside it would take numbers that are
//! free for a moment.

#![cfg(target_os = "linux")]

mod common;

use common::*;
use switchboard_c::abi::options::sb_fcntl;
use switchboard_c::abi::socket::{sb_close, sb_dup};

#[test]
fn the_lowest_free_number_and_none_twice() {
    let [a, b] = virtual_pair();
    let first = stream(a);
    assert_eq!([a, b, first], [1 << 20, (1 << 20) + 1, (1 << 20) + 2]);
    let second = stream(a);
    ok(sb_close(first));
    fails(sb_close(first), libc::EBADF);
    fails(sb_dup(first), libc::EBADF);
    assert_eq!(stream(b), first);
    assert_eq!(
        sb_fcntl(second, libc::F_DUPFD, (1 << 20) + 100),
        (1 << 20) + 100
    );
    assert_eq!(sb_dup(second), second + 1);
    fails(sb_fcntl(second, libc::F_DUPFD, 1 << 30), libc::EMFILE);
    assert_eq!(sb_fcntl(second, libc::F_GETFD, 0), 0);
    let copy = ok(sb_fcntl(second, libc::F_DUPFD_CLOEXEC, 0));
    assert_eq!(sb_fcntl(copy, libc::F_GETFD, 0), libc::FD_CLOEXEC);
}
