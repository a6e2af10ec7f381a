//! Long streams, both ways at once, every octet checked.

mod common;

use common::{B, host_a, host_b, read_pattern, run, run_threads, write_pattern};
use switchboard::device::pipe::Pipe;
use switchboard::net::TcpStream;

const TOTAL: u64 = 100_000_000;

async fn both_ways(stream: TcpStream, total: u64) {
    let (read, write) = stream.into_split();
    let writer = tokio::spawn(write_pattern(write, total));
    read_pattern(read, total).await;
    writer.await.unwrap();
}

async fn transfer((a, b): (Pipe, Pipe), total: u64) {
    let (a, b) = (host_a().build(a).unwrap(), host_b().build(b).unwrap());
    let listener = b.tcp_listen((B, 80)).await.unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        both_ways(stream, total).await;
    });
    let stream = a.tcp_connect((B, 80)).await.unwrap();
    both_ways(stream, total).await;
    server.await.unwrap();
}

#[test]
fn one_thread_with_super_segments() {
    run(transfer(common::fast_pipe(), TOTAL));
}

#[test]
fn four_threads_with_super_segments() {
    run_threads(transfer(common::fast_pipe(), TOTAL));
}

#[test]
fn one_thread_with_plain_segments() {
    run(transfer(common::plain_pipe(), TOTAL / 4));
}

#[test]
fn four_threads_with_plain_segments() {
    run_threads(transfer(common::plain_pipe(), TOTAL / 4));
}

#[test]
fn many_streams_on_four_threads() {
    run_threads(async {
        let (a, b) = common::fast_pipe();
        let (a, b) = (host_a().build(a).unwrap(), host_b().build(b).unwrap());
        let listener = b.tcp_listen((B, 80)).await.unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(both_ways(stream, 500_000));
            }
        });
        let callers: Vec<_> = (0..200)
            .map(|_| {
                let a = a.clone();
                tokio::spawn(async move {
                    let stream = a.tcp_connect((B, 80)).await.unwrap();
                    both_ways(stream, 500_000).await;
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
    });
}
