//! A TCP port taken before it is known what for.

mod common;

use common::{A4, B4, B6, Pair, at};
use switchboard_core::{ConnectError, ListenError, NoSuchSocket, TcpOptions};

const SHARED: bool = true;

fn options(reuse_address: bool) -> TcpOptions {
    TcpOptions {
        reuse_address,
        ..TcpOptions::default()
    }
}

#[test]
fn nobody_else_gets_it_until_it_is_let_go() {
    let mut pair = Pair::plain();
    let stack = &mut pair.b;
    let bound = stack
        .call_tcp_bind(at(B4, 80), &options(!SHARED))
        .expect("is free");
    assert_eq!(stack.bound_local(bound), Ok(at(B4, 80)));
    let taken = ListenError::AddressInUse;
    for address in [B4, "0.0.0.0", "::"] {
        for reuse in [SHARED, !SHARED] {
            let local = at(address, 80);
            let bind = stack.call_tcp_bind(local, &options(reuse));
            assert_eq!(bind, Err(taken), "{address}");
            let listen = stack.call_tcp_listen(local, 1, &options(reuse));
            assert_eq!(listen, Err(taken), "{address}");
        }
    }
    stack
        .call_tcp_bind(at(B6, 80), &options(!SHARED))
        .expect("another address");
    assert_eq!(stack.call_tcp_unbind(bound), Ok(()));
    assert_eq!(stack.call_tcp_unbind(bound), Err(NoSuchSocket));
    assert_eq!(stack.bound_local(bound), Err(NoSuchSocket));
    stack
        .call_tcp_listen(at(B4, 80), 1, &options(SHARED))
        .expect("is free again");
    assert_eq!(
        stack.call_tcp_bind(at(B4, 80), &options(SHARED)),
        Err(taken),
        "who listens shares with nobody"
    );
}

#[test]
fn two_that_say_so_share_it() {
    let mut pair = Pair::plain();
    let stack = &mut pair.b;
    let first = stack
        .call_tcp_bind(at(B4, 0), &options(SHARED))
        .expect("picks");
    let local = stack.bound_local(first).expect("is bound");
    assert_ne!(local.port(), 0);
    stack
        .call_tcp_bind(local, &options(SHARED))
        .expect("shares");
    let foreign = stack.call_tcp_bind(at("192.0.2.1", 80), &options(SHARED));
    assert_eq!(foreign, Err(ListenError::AddressNotAvailable));
}

#[test]
fn a_connection_takes_it_over() {
    let mut pair = Pair::plain();
    let now = pair.now;
    pair.b
        .call_tcp_listen(at(B4, 80), 8, &options(SHARED))
        .expect("listens");
    let bound = pair
        .a
        .call_tcp_bind(at(A4, 5000), &options(!SHARED))
        .expect("is free");
    pair.a.call_tcp_unbind(bound).expect("is bound");
    pair.a
        .call_tcp_connect(now, Some(at(A4, 5000)), at(B4, 80), &options(!SHARED))
        .expect("calls");
    pair.settle();
    let again = pair.a.call_tcp_bind(at(A4, 5000), &options(!SHARED));
    assert_eq!(again, Err(ListenError::AddressInUse));
    let same = pair
        .a
        .call_tcp_connect(now, Some(at(A4, 5000)), at(B4, 80), &options(SHARED));
    assert_eq!(same, Err(ConnectError::AddressInUse));
}
