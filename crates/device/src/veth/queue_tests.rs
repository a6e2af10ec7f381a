use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::OwnedFd;

use super::*;

/// Sockets that have something where `true`; the other ends, so that they stay open.
fn sockets(readable: &[bool]) -> (Vec<OwnedFd>, Vec<OwnedFd>) {
    let pair = |readable: &bool| {
        let flags = SocketFlags::NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap();
        if *readable {
            rustix::io::write(&theirs, b"x").unwrap();
        }
        (ours, theirs)
    };
    readable.iter().map(pair).unzip()
}

#[test]
fn the_next_socket_is_read_once_this_one_is_empty() {
    let (fds, _others) = sockets(&[false, true, true]);
    let mut place = Place::new(3, 1_000);
    assert!(place.look_around(&fds));
    assert_eq!(place.at(), 0, "it may have been filled meanwhile");
    assert!(place.goes_on(&fds));
    assert_eq!(place.at(), 1);
    assert!(place.goes_on(&fds), "the look around has marked the third");
    assert!(place.goes_on(&fds));
    assert_eq!(place.at(), 2);
}

/// Epoll tells of a packet once, and of all sockets before the first of them is read.
#[test]
fn a_mark_stays_until_its_socket_was_looked_at() {
    let (fds, others) = sockets(&[false, false, false]);
    let mut place = Place::new(3, 1_000);
    assert!(!place.has_news(&fds));
    for index in [1, 2] {
        rustix::io::write(&others[index], b"x").unwrap();
        place.mark(index);
    }
    assert!(place.has_news(&fds));
    assert_eq!(place.at(), 0);
    assert!(place.goes_on(&fds));
    assert_eq!(place.at(), 1);
    rustix::io::read(&fds[1], &mut [0; 8]).unwrap();
    assert!(
        place.goes_on(&fds),
        "read once more: it may have been filled"
    );
    assert!(place.goes_on(&fds));
    assert_eq!(place.at(), 2);
    rustix::io::read(&fds[2], &mut [0; 8]).unwrap();
    assert!(!place.goes_on(&fds));
    assert!(!place.has_news(&fds));
}

#[test]
fn nothing_anywhere_is_nothing_to_read() {
    let (fds, _others) = sockets(&[false, false]);
    let mut place = Place::new(2, 1_000);
    assert!(!place.look_around(&fds));
    assert!(!place.goes_on(&fds));
    assert_eq!(place.at(), 0);
}

#[test]
fn a_socket_that_was_passed_over_is_found() {
    let (fds, _others) = sockets(&[false, false, true]);
    let mut place = Place::new(3, 1_000);
    assert!(place.look_around(&fds));
    assert!(place.goes_on(&fds));
    assert_eq!(place.at(), 2);
}

#[test]
fn the_circle_closes() {
    let (fds, _others) = sockets(&[true, false, false]);
    let mut place = Place::new(3, 1_000);
    place.go_to(2);
    assert!(place.look_around(&fds));
    assert!(place.goes_on(&fds));
    assert_eq!(place.at(), 0);
}

/// What this one had when the other one was found is older, and is at most what it can hold.
#[test]
fn a_socket_that_is_never_empty_does_not_keep_the_others_waiting() {
    let (fds, _others) = sockets(&[true, true]);
    let mut place = Place::new(2, 2_000);
    assert!(!place.has_read(1_000));
    assert!(place.has_read(1_000), "more than the socket can hold");
    assert!(place.look_around(&fds));
    assert_eq!(place.at(), 0, "the other one may be younger");
    assert!(!place.has_read(1_000));
    assert!(place.has_read(1_000));
    assert!(place.look_around(&fds));
    assert_eq!(place.at(), 1, "now it is older");
}

#[test]
fn one_socket_needs_no_looking_around() {
    let (fds, _others) = sockets(&[false]);
    let mut place = Place::new(1, 10);
    assert!(!place.has_read(1_000_000));
    assert!(!place.goes_on(&fds));
}
