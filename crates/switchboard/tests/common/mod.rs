//! Two hosts joined by a pipe, and octets that say where in the stream they belong.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::future::Future;
use std::time::Duration;

use switchboard::device::Offloads;
use switchboard::device::pipe::{self, Pipe};
use switchboard::{Net, NetBuilder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) const A: &str = "10.0.0.1";
pub(crate) const B: &str = "10.0.0.2";

/// What a pipe takes off the stacks' hands, all of it.
pub(crate) const ALL_OFFLOADS: Offloads = Offloads {
    checksum: true,
    tso4: true,
    tso6: true,
    uso: true,
};

pub(crate) fn host_a() -> NetBuilder {
    Net::builder()
        .address("10.0.0.1/24".parse().unwrap())
        .address("fd00::1/64".parse().unwrap())
        .seed([1; 32])
}

pub(crate) fn host_b() -> NetBuilder {
    Net::builder()
        .address("10.0.0.2/24".parse().unwrap())
        .address("fd00::2/64".parse().unwrap())
        .seed([2; 32])
}

/// A pipe as most devices are: no offloads, Ethernet's MTU.
pub(crate) fn plain_pipe() -> (Pipe, Pipe) {
    pipe::pair(1500, Offloads::default(), 256)
}

/// A pipe that carries super-segments.
pub(crate) fn fast_pipe() -> (Pipe, Pipe) {
    pipe::pair(65_520, ALL_OFFLOADS, 256)
}

/// Two hosts on a plain pipe.
pub(crate) fn two_hosts() -> (Net, Net) {
    let (a, b) = plain_pipe();
    (host_a().build(a).unwrap(), host_b().build(b).unwrap())
}

/// Runs `future` with real time, at most 60 s, on a current-thread runtime.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(within(future))
}

/// Runs `future` in virtual time.
pub(crate) fn run_paused<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// Runs `future` on a multi-thread runtime, at most 60 s.
pub(crate) fn run_threads<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(within(future)).await.unwrap() })
}

async fn within<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future)
        .await
        .expect("the test hangs")
}

/// The octets of a stream from `offset` on: a wrong, lost or doubled octet shows.
pub(crate) fn fill(offset: u64, buffer: &mut [u8]) {
    for (place, octet) in (offset..).zip(buffer.iter_mut()) {
        let word = (place / 8).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        *octet = (word >> (8 * (place % 8))) as u8 ^ (word >> 59) as u8;
    }
}

/// Writes `total` octets of the pattern.
pub(crate) async fn write_pattern(mut to: impl AsyncWrite + Unpin, total: u64) {
    let mut buffer = vec![0; 128 * 1024];
    let mut offset = 0;
    while offset < total {
        let count = buffer.len().min((total - offset) as usize);
        fill(offset, &mut buffer[..count]);
        to.write_all(&buffer[..count]).await.unwrap();
        offset += count as u64;
    }
    to.shutdown().await.unwrap();
}

/// Reads to the end and checks that it was `total` octets of the pattern.
pub(crate) async fn read_pattern(mut from: impl AsyncRead + Unpin, total: u64) {
    let mut buffer = vec![0; 128 * 1024];
    let mut wanted = vec![0; 128 * 1024];
    let mut offset = 0;
    loop {
        let count = from.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        fill(offset, &mut wanted[..count]);
        assert!(
            buffer[..count] == wanted[..count],
            "octets are wrong after {offset}"
        );
        offset += count as u64;
    }
    assert_eq!(offset, total, "the stream ended early or late");
}
