use std::future::poll_fn;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn transmit(octets: &[u8]) -> Transmit {
    let mut transmit = Transmit::default();
    let (head, rest) = octets.split_at(octets.len().min(14));
    transmit.head.extend(head.iter().copied());
    transmit.payload.push(Bytes::copy_from_slice(rest));
    transmit
}

async fn receive(stream: &mut FrameStream) -> io::Result<Vec<Bytes>> {
    let mut batch = Vec::new();
    poll_fn(|cx| stream.poll_recv(cx, &|| Instant::ZERO, 16, &mut batch)).await?;
    Ok(batch.into_iter().map(|packet| packet.bytes).collect())
}

#[test]
fn frames_are_whole_however_the_stream_was_cut() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = FrameStream::new(near, 1_500);
        let frames: Vec<Vec<u8>> = [20, 1_514, 60].map(|len| vec![len as u8; len]).into();
        let mut octets = Vec::new();
        for frame in &frames {
            octets.extend((frame.len() as u32).to_be_bytes());
            octets.extend(frame);
        }
        let mut got = Vec::new();
        for piece in octets.chunks(7) {
            far.write_all(piece).await.unwrap();
        }
        while got.len() < frames.len() {
            got.extend(receive(&mut near).await.unwrap());
        }
        assert_eq!(got, frames);
        drop(far);
        assert!(receive(&mut near).await.unwrap().is_empty(), "the end");
    });
}

#[test]
fn a_frame_that_leaves_in_parts_is_not_mixed_with_the_next() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = FrameStream::new(near, 1_500);
        let mut sent = 0;
        // Until the kernel takes no more: the last one has left in part, or not at all.
        while let Ok(()) = near.try_send(&transmit(&vec![sent as u8; 60_000])) {
            sent += 1;
        }
        assert!(sent > 1);
        let reader = tokio::spawn(async move {
            let mut octets = Vec::new();
            far.read_to_end(&mut octets).await.unwrap();
            octets
        });
        for _ in 0..10 {
            poll_fn(|cx| near.poll_send_ready(cx)).await.unwrap();
            if near.try_send(&transmit(&vec![sent as u8; 60_000])).is_ok() {
                sent += 1;
            }
        }
        // Nothing follows the last one: who receives sees to its end.
        let mut batch = Vec::new();
        poll_fn(|cx| {
            assert!(
                near.poll_recv(cx, &|| Instant::ZERO, 16, &mut batch)
                    .is_pending()
            );
            if near.unsent.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        drop(near);
        let octets = reader.await.unwrap();
        let frames: Vec<&[u8]> = octets.chunks(60_004).collect();
        assert_eq!(frames.len(), sent);
        for (number, frame) in frames.iter().enumerate() {
            assert_eq!(frame[..4], 60_000_u32.to_be_bytes());
            assert!(frame[4..].iter().all(|octet| *octet == number as u8));
        }
    });
}

#[test]
fn a_length_that_cannot_be_is_an_error() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = FrameStream::new(near, 1_500);
        far.write_all(&[0xff; 8]).await.unwrap();
        let error = receive(&mut near).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    });
}
