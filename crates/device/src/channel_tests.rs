//! The device of two channels.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::Poll;

use bytes::Bytes;
use switchboard_wire::{Instant, Transmit};

use super::{LinkGone, TrySend, channel};
use crate::Device;

fn packet(fill: u8) -> Bytes {
    Bytes::from(vec![fill; 300])
}

async fn receive(device: &mut impl Device) -> Vec<Bytes> {
    let mut batch = Vec::new();
    let count = poll_fn(|cx| device.poll_recv(cx, &|| Instant::ZERO, 2, &mut batch));
    assert_eq!(count.await.unwrap(), batch.len());
    batch.into_iter().map(|packet| packet.bytes).collect()
}

#[tokio::test]
async fn packets_pass_in_order_and_in_batches() {
    let (mut device, to_stack, mut from_stack) = channel(1420, 8);
    for fill in 0..3 {
        to_stack.send(packet(fill)).await.unwrap();
    }
    assert_eq!(receive(&mut device).await, [packet(0), packet(1)]);
    assert_eq!(receive(&mut device).await, [packet(2)]);
    for fill in 3..6 {
        let transmit = Transmit::from_packet(&packet(fill));
        device.try_send(&transmit).unwrap();
    }
    assert_eq!(from_stack.recv().await.unwrap(), packet(3));
    let mut rest = Vec::new();
    assert_eq!(from_stack.recv_many(&mut rest, 8).await, 2);
    assert_eq!(rest, [packet(4), packet(5)]);
    assert_eq!(from_stack.try_recv(), None);
}

#[tokio::test]
async fn a_full_channel_holds_back_and_says_when_there_is_room() {
    let (mut device, to_stack, mut from_stack) = channel(1420, 1);
    let transmit = Transmit::from_packet(&packet(1));
    device.try_send(&transmit).unwrap();
    let is_full = |device: &mut super::ChannelDevice| {
        let error = device.try_send(&transmit).unwrap_err();
        error.kind() == ErrorKind::WouldBlock
    };
    assert!(is_full(&mut device));
    assert!(look(&mut device).await.is_pending());
    // Still in line: nobody overtakes.
    assert!(is_full(&mut device));
    from_stack.recv().await.unwrap();
    assert!(look(&mut device).await.is_ready());
    // Asked twice, it is still ready, and the place is ours.
    assert!(look(&mut device).await.is_ready());
    device.try_send(&transmit).unwrap();
    assert!(is_full(&mut device));

    to_stack.try_send(packet(1)).unwrap();
    let full = to_stack.try_send(packet(2)).unwrap_err();
    assert_eq!(full, TrySend::Full(packet(2)));
}

/// One look at `poll_send_ready`.
async fn look(device: &mut super::ChannelDevice) -> Poll<()> {
    poll_fn(|cx| Poll::Ready(device.poll_send_ready(cx).map(Result::unwrap))).await
}

#[tokio::test]
async fn each_side_hears_of_the_others_end() {
    let (mut device, to_stack, from_stack) = channel(1420, 4);
    to_stack.send(packet(1)).await.unwrap();
    drop(to_stack);
    assert_eq!(receive(&mut device).await, [packet(1)]);
    assert!(receive(&mut device).await.is_empty());
    drop(from_stack);
    let error = device.try_send(&Transmit::from_packet(&packet(2)));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let error = poll_fn(|cx| device.poll_send_ready(cx)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);

    let (device, to_stack, mut from_stack) = channel(1420, 4);
    drop(device);
    to_stack.closed().await;
    let back = to_stack.send(packet(3)).await.unwrap_err();
    assert_eq!(back, LinkGone(packet(3)));
    assert_eq!(from_stack.recv().await, None);
}
