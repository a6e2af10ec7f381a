//! Ethernet frames over a stream: QEMU's `-netdev stream`, `-netdev socket`, and what speaks
//! like them.
//!
//! Each frame is preceded by its length, 4 octets, most significant first; in both directions.
//! There are no offloads. Wrapped in [`Ethernet`](crate::ethernet::Ethernet) it is a device of
//! IP packets.

use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use switchboard_wire::ethernet::HEADER_LEN;
use switchboard_wire::packet::PAYLOAD_SLICES_MAX;
use switchboard_wire::{Instant, RxPacket, Transmit};
use tokio::net::UnixStream;

use crate::Device;

/// Octets of the length before each frame.
const LENGTH_LEN: usize = 4;

/// The longest frame: what QEMU takes at most (68 KiB of its own), rounded down to what an IP
/// packet can be.
const FRAME_MAX: usize = HEADER_LEN + switchboard_wire::packet::IP_PACKET_MAX;

/// Octets that one read may bring, and of memory that a received frame pins.
const READ_MAX: usize = 128 * 1024;

/// A stream of frames.
pub struct FrameStream {
    stream: UnixStream,
    mtu: usize,
    /// Received, not cut into frames yet.
    incoming: BytesMut,
    /// The end of a frame whose beginning has left.
    unsent: Bytes,
    /// The task that receives, while it waits: it sees to the end of a frame too.
    receiver: Option<Waker>,
}

impl FrameStream {
    /// Takes a connected stream; `mtu` is that of the packets inside the frames. Must be called
    /// on the tokio runtime that the stream belongs to.
    #[must_use]
    pub fn new(stream: UnixStream, mtu: usize) -> Self {
        Self {
            stream,
            mtu,
            incoming: BytesMut::new(),
            unsent: Bytes::new(),
            receiver: None,
        }
    }

    /// The next frame of what was received, if it is whole.
    fn next_frame(&mut self) -> io::Result<Option<Bytes>> {
        let Some(length) = self.incoming.first_chunk::<LENGTH_LEN>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > FRAME_MAX {
            // Whatever follows cannot be told apart any more.
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("a frame of {length} octets: the stream is out of step"),
            ));
        }
        if self.incoming.len() < LENGTH_LEN + length {
            return Ok(None);
        }
        let mut frame = self.incoming.split_to(LENGTH_LEN + length).freeze();
        frame.advance(LENGTH_LEN);
        Ok(Some(frame))
    }

    /// Cuts up to `max` frames from what was received.
    fn take_frames(
        &mut self,
        arrived: Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> io::Result<usize> {
        let mut count = 0;
        while count < max
            && let Some(frame) = self.next_frame()?
        {
            batch.push(RxPacket {
                slot_size: READ_MAX,
                ..RxPacket::new(frame, arrived)
            });
            count += 1;
        }
        Ok(count)
    }

    /// Sends the rest of a frame, or registers `cx` to do so when there is room.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match self.poll_send_ready(cx) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }

    /// Sends the rest of a frame, or says `WouldBlock`.
    fn finish_frame(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let sent = self.stream.try_write(&self.unsent)?;
            self.unsent.advance(sent);
        }
        Ok(())
    }
}

impl Device for FrameStream {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let count = self.take_frames(now(), max, batch)?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            self.receiver = Some(cx.waker().clone());
            self.poll_unsent(cx)?;
            ready!(self.stream.poll_read_ready(cx))?;
            // In a new slot unless the old one has room for a whole frame yet.
            self.incoming.reserve(LENGTH_LEN + FRAME_MAX);
            match self.stream.try_read_buf(&mut self.incoming) {
                Ok(0) => return Poll::Ready(Ok(0)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        self.finish_frame()?;
        let length = u32::try_from(transmit.len()).unwrap_or(u32::MAX);
        let length = length.to_be_bytes();
        let mut slices = [IoSlice::new(&[]); PAYLOAD_SLICES_MAX + 2];
        slices[0] = IoSlice::new(&length);
        slices[1] = IoSlice::new(&transmit.head);
        for (to, from) in slices[2..].iter_mut().zip(&transmit.payload) {
            *to = IoSlice::new(from);
        }
        let count = 2 + transmit.payload.len();
        let sent = self.stream.try_write_vectored(&slices[..count])?;
        if sent < LENGTH_LEN + transmit.len() {
            let mut whole = BytesMut::with_capacity(LENGTH_LEN + transmit.len());
            for slice in &slices[..count] {
                whole.extend_from_slice(slice);
            }
            self.unsent = whole.freeze().slice(sent..);
            // Perhaps nothing follows that would push it out.
            if let Some(receiver) = self.receiver.take() {
                receiver.wake();
            }
        }
        Ok(())
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.finish_frame() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                finished => return Poll::Ready(finished),
            }
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
