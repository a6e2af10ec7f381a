use std::future::poll_fn;

use bytes::Bytes;
use switchboard_wire::packet::PartialChecksum;

use super::*;

const TSO: Offloads = Offloads {
    checksum: true,
    tso4: true,
    tso6: true,
    uso: true,
};

fn clock() -> Instant {
    Instant::from_millis(5)
}

fn transmit(head: &[u8], payload: &[&'static [u8]]) -> Transmit {
    Transmit {
        head: head.iter().copied().collect(),
        payload: payload
            .iter()
            .map(|slice| Bytes::from_static(slice))
            .collect(),
        ..Transmit::default()
    }
}

async fn receive(pipe: &mut Pipe, max: usize) -> io::Result<Vec<RxPacket>> {
    let mut batch = Vec::new();
    let count = poll_fn(|cx| pipe.poll_recv(cx, &clock, max, &mut batch)).await?;
    assert_eq!(count, batch.len());
    Ok(batch)
}

#[tokio::test]
async fn packets_cross_both_ways_in_order() {
    let (mut a, mut b) = pair(1_500, Offloads::default(), 8);
    a.try_send(&transmit(b"one ", &[b"and ", b"more"])).unwrap();
    a.try_send(&transmit(b"two", &[])).unwrap();
    b.try_send(&transmit(b"back", &[])).unwrap();

    let at_b = receive(&mut b, 16).await.unwrap();
    assert_eq!(&at_b[0].bytes[..], b"one and more");
    assert_eq!(&at_b[1].bytes[..], b"two");
    assert_eq!(at_b[0].arrived, clock());
    assert_eq!(at_b[0].checksum, Checksum::Unknown);
    let at_a = receive(&mut a, 16).await.unwrap();
    assert_eq!(&at_a[0].bytes[..], b"back");
}

#[tokio::test]
async fn a_super_segment_crosses_whole_with_its_marks() {
    let (mut a, mut b) = pair(1_500, TSO, 8);
    static PAYLOAD: [u8; 60_000] = [7; 60_000];
    let mut sent = transmit(&[0x45; 40], &[&PAYLOAD]);
    sent.checksum = Some(PartialChecksum {
        start: 20,
        offset: 16,
    });
    sent.segment_size = NonZeroU16::new(1_460);
    a.try_send(&sent).unwrap();

    let got = receive(&mut b, 1).await.unwrap().remove(0);
    assert_eq!(got.bytes.len(), 60_040);
    assert_eq!(got.checksum, Checksum::Partial);
    assert_eq!(got.segment_size, NonZeroU16::new(1_460));
    assert!(got.slot_size >= got.bytes.len());
}

#[tokio::test]
async fn a_full_queue_refuses_and_wakes_the_sender_when_there_is_room() {
    let (mut a, mut b) = pair(1_500, Offloads::default(), 2);
    let packet = transmit(b"x", &[]);
    a.try_send(&packet).unwrap();
    a.try_send(&packet).unwrap();
    assert_eq!(
        a.try_send(&packet).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );

    let sender = tokio::spawn(async move {
        poll_fn(|cx| a.poll_send_ready(cx)).await.unwrap();
        a.try_send(&transmit(b"y", &[])).unwrap();
        a
    });
    tokio::task::yield_now().await;
    assert_eq!(receive(&mut b, 16).await.unwrap().len(), 2);
    let _a = sender.await.unwrap();
    assert_eq!(&receive(&mut b, 16).await.unwrap()[0].bytes[..], b"y");
}

#[tokio::test]
async fn a_receiver_that_waits_is_woken() {
    let (mut a, mut b) = pair(1_500, Offloads::default(), 2);
    let receiver = tokio::spawn(async move { receive(&mut b, 4).await.unwrap().len() });
    tokio::task::yield_now().await;
    a.try_send(&transmit(b"x", &[])).unwrap();
    assert_eq!(receiver.await.unwrap(), 1);
}

#[tokio::test]
async fn a_batch_is_no_larger_than_asked() {
    let (mut a, mut b) = pair(1_500, Offloads::default(), 16);
    for _ in 0..10 {
        a.try_send(&transmit(b"x", &[])).unwrap();
    }
    assert_eq!(receive(&mut b, 4).await.unwrap().len(), 4);
    assert_eq!(b.waiting(), 6);
}

#[tokio::test]
async fn a_dropped_end_is_the_end_of_the_link_after_what_was_sent() {
    let (mut a, mut b) = pair(1_500, Offloads::default(), 4);
    a.try_send(&transmit(b"last", &[])).unwrap();
    drop(a);
    assert_eq!(receive(&mut b, 4).await.unwrap().len(), 1);
    assert_eq!(receive(&mut b, 4).await.unwrap().len(), 0);
    let error = b.try_send(&transmit(b"x", &[])).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(poll_fn(|cx| b.poll_send_ready(cx)).await.is_err());
}
