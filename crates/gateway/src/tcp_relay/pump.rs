//! Moves octets between the two legs of a flow: one state machine, polled by the flow's task.
//!
//! Nothing is copied between the legs. What the program sent waits in the stack's own slots
//! until the host takes it with one `writev`; what the host received is read into a chunk
//! that becomes part of the stack's send queue. Each side is read only while the other has
//! room, so a reader that stops stops its writer, end to end.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use switchboard::net::TcpStream as InsideStream;
use tokio::net::TcpStream as HostStream;

use super::turns::Turns;
use crate::figures::FarFigures;
use crate::limits::Limits;
use crate::observer::Ending;
use crate::outside::chunk::{Appetite, ChunkPool};
use crate::outside::far_figures;
use crate::registry::{LiveRow, SocketState};

/// Slices that one `writev` takes (the host's `IOV_MAX` is 1024; the gain ends long before).
const SLICES: usize = 32;

/// How long the program may take to receive what came before the far side's reset. On a
/// network of cables it would have arrived before it.
const DRAIN: Duration = Duration::from_secs(1);

/// How often it is looked at meanwhile.
const DRAIN_STEP: Duration = Duration::from_millis(1);

/// The end of the program's leg, and its error. Boxed: of most flows nobody waits for it.
type Lost = Pin<Box<dyn Future<Output = io::Result<Option<io::Error>>> + Send>>;

fn lost_inside(inside: Arc<InsideStream>) -> Lost {
    Box::pin(async move {
        let _ = inside.closed().await;
        inside.take_error()
    })
}

/// Why octets stopped moving.
#[derive(Debug)]
pub(super) enum Stop {
    /// Both directions came to their end.
    Finished,
    /// The program's leg failed.
    Inside(io::Error),
    /// The host's leg failed.
    Outside(io::Error),
}

/// One direction's place in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Half {
    /// Octets flow.
    #[default]
    Open,
    /// The source has ended; what is left is on its way.
    Ending,
    /// The end has been passed on.
    Shut,
}

/// What one direction did in a turn.
enum Turn {
    /// It waits for one of its sides.
    Waits,
    /// It is done for good.
    Done,
    /// It could go on, but others are due.
    Yields,
}

pub(super) struct Pump {
    inside: Arc<InsideStream>,
    outside: Arc<HostStream>,
    pool: ChunkPool,
    chunk_max: usize,
    turn_octets: usize,
    /// Program to host.
    up: Half,
    /// Not taken by the host yet.
    unwritten: VecDeque<Bytes>,
    /// The host refused octets: it was reset, and what it received before is still to be read.
    up_broken: Option<io::Error>,
    /// Host to program.
    down: Half,
    /// Not taken by the inside yet.
    chunk: Bytes,
    appetite: Appetite,
    turns: Turns,
}

impl Pump {
    pub(super) fn new(
        inside: Arc<InsideStream>,
        outside: Arc<HostStream>,
        pool: ChunkPool,
        limits: &Limits,
    ) -> Self {
        Self {
            inside,
            outside,
            pool,
            chunk_max: limits.chunk,
            turn_octets: limits.turn_octets,
            up: Half::Open,
            unwritten: VecDeque::new(),
            up_broken: None,
            down: Half::Open,
            chunk: Bytes::new(),
            appetite: Appetite::default(),
            turns: Turns::default(),
        }
    }

    /// Moves octets until something ends it.
    pub(super) async fn run(&mut self, row: &LiveRow) -> Stop {
        let mut lost: Option<Lost> = None;
        poll_fn(|cx| {
            if let Poll::Ready(stop) = self.poll(cx, row) {
                return Poll::Ready(stop);
            }
            if self.up != Half::Shut {
                return Poll::Pending;
            }
            // Nothing is read inside any more, so a reset would go unseen.
            let lost = lost.get_or_insert_with(|| lost_inside(self.inside.clone()));
            match ready!(lost.as_mut().poll(cx)) {
                Ok(None) => Poll::Ready(Stop::Finished),
                Ok(Some(error)) | Err(error) => Poll::Ready(Stop::Inside(error)),
            }
        })
        .await
    }

    /// Moves what can be moved.
    fn poll(&mut self, cx: &mut Context<'_>, row: &LiveRow) -> Poll<Stop> {
        let up = match self.turn_up(cx, row) {
            Ok(turn) => turn,
            Err(stop) => return Poll::Ready(stop),
        };
        let down = match self.turn_down(cx, row) {
            Ok(turn) => turn,
            Err(stop) => return Poll::Ready(stop),
        };
        match (up, down) {
            (Turn::Done, Turn::Done) => Poll::Ready(match self.up_broken.take() {
                Some(error) => Stop::Outside(error),
                None => Stop::Finished,
            }),
            (Turn::Yields, _) | (_, Turn::Yields) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Pending,
        }
    }

    fn turn_up(&mut self, cx: &mut Context<'_>, row: &LiveRow) -> Result<Turn, Stop> {
        if self.up == Half::Shut {
            return Ok(Turn::Done);
        }
        let mut budget = self.turn_octets;
        loop {
            match self.poll_write_outside(cx, row) {
                Poll::Pending => return Ok(Turn::Waits),
                Poll::Ready(Ok(written)) => budget = budget.saturating_sub(written),
                Poll::Ready(Err(error)) => {
                    self.up = Half::Shut;
                    self.unwritten.clear();
                    self.up_broken = Some(error);
                    return Ok(Turn::Done);
                }
            }
            if self.up == Half::Ending {
                // Fails only if the host's leg is gone, which reading it tells as well.
                let _ = SockRef::from(&*self.outside).shutdown(Shutdown::Write);
                self.up = Half::Shut;
                row.set_state(SocketState::FinWait);
                return Ok(Turn::Done);
            }
            if budget == 0 {
                return Ok(Turn::Yields);
            }
            let gathered = self.poll_gather(cx).map_err(Stop::Inside)?;
            if !gathered {
                return Ok(Turn::Waits);
            }
        }
    }

    /// Takes from the inside what is there, without a copy, as much as one `writev` carries.
    /// False: nothing is there.
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut octets = 0;
        while octets < self.chunk_max && self.unwritten.len() < SLICES {
            match self.inside.poll_read_chunk(cx, self.chunk_max - octets) {
                Poll::Pending => break,
                Poll::Ready(Ok(chunk)) if chunk.is_empty() => {
                    self.up = Half::Ending;
                    break;
                }
                Poll::Ready(Ok(chunk)) => {
                    octets += chunk.len();
                    self.unwritten.push_back(chunk);
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if octets > 0 {
            let at_once = self.turns.on_program();
            self.acknowledge(at_once);
        }
        Ok(octets > 0 || self.up == Half::Ending)
    }

    /// Has what the program says acknowledged at once, or with the answer.
    fn acknowledge(&self, at_once: Option<bool>) {
        if let Some(at_once) = at_once {
            // Fails only for a connection that is gone, which others find out.
            let _ = self.inside.set_quickack(at_once);
        }
    }

    /// Writes all that is unwritten; ready with the number of octets once nothing is left.
    fn poll_write_outside(
        &mut self,
        cx: &mut Context<'_>,
        row: &LiveRow,
    ) -> Poll<io::Result<usize>> {
        let mut total = 0;
        while !self.unwritten.is_empty() {
            ready!(self.outside.poll_write_ready(cx))?;
            match self.write_outside() {
                Ok(written) => {
                    row.add_sent(written);
                    total += written;
                    self.written(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(total))
    }

    fn write_outside(&self) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = slices.iter_mut().zip(&self.unwritten);
        let count = filled
            .map(|(slice, chunk)| *slice = IoSlice::new(chunk))
            .count();
        let slices = slices.get(..count).unwrap_or_default();
        self.outside.try_write_vectored(slices)
    }

    fn written(&mut self, mut octets: usize) {
        while let Some(front) = self.unwritten.front_mut() {
            if front.len() > octets {
                return front.advance(octets);
            }
            octets -= front.len();
            self.unwritten.pop_front();
        }
    }

    fn turn_down(&mut self, cx: &mut Context<'_>, row: &LiveRow) -> Result<Turn, Stop> {
        if self.down == Half::Shut {
            return Ok(Turn::Done);
        }
        let mut budget = self.turn_octets;
        loop {
            while !self.chunk.is_empty() {
                match self.inside.poll_write_chunk(cx, &mut self.chunk) {
                    Poll::Pending => return Ok(Turn::Waits),
                    Poll::Ready(Ok(written)) => row.add_received(written),
                    Poll::Ready(Err(error)) => return Err(Stop::Inside(error)),
                }
            }
            self.chunk = Bytes::new();
            if self.down == Half::Ending {
                // The write that met the reset took the error with it, and the read after it
                // says "end". A broken pipe is a reset after a true end (tcp(7)).
                let reset = |error: &mut io::Error| error.kind() != io::ErrorKind::BrokenPipe;
                if let Some(error) = self.up_broken.take_if(reset) {
                    return Err(Stop::Outside(error));
                }
                self.inside.shutdown_write().map_err(Stop::Inside)?;
                self.down = Half::Shut;
                row.set_state(SocketState::CloseWait);
                return Ok(Turn::Done);
            }
            if budget == 0 {
                return Ok(Turn::Yields);
            }
            match self.poll_read_outside(cx)? {
                Poll::Pending => return Ok(Turn::Waits),
                Poll::Ready(chunk) if chunk.is_empty() => self.down = Half::Ending,
                Poll::Ready(chunk) => {
                    let at_once = self.turns.on_host();
                    self.acknowledge(at_once);
                    budget = budget.saturating_sub(chunk.len());
                    self.chunk = chunk;
                }
            }
        }
    }

    /// Reads from the host once the inside has room: no buffer is held for a program that
    /// does not read.
    fn poll_read_outside(&mut self, cx: &mut Context<'_>) -> Result<Poll<Bytes>, Stop> {
        match self.inside.poll_write_ready(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Err(error)) => return Err(Stop::Inside(error)),
            Poll::Ready(Ok(())) => {}
        }
        loop {
            match self.outside.poll_read_ready(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Err(error)) => return Err(Stop::Outside(error)),
                Poll::Ready(Ok(())) => {}
            }
            if self.appetite.wants_segment()
                && let Ok(info) = self.inside.info()
            {
                self.appetite.set_segment(info.send_mss);
            }
            let outside = &self.outside;
            let read = |room: &mut [u8]| outside.try_read(room);
            match self.appetite.read(&self.pool, self.chunk_max, read) {
                Ok(chunk) => return Ok(Poll::Ready(chunk)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Stop::Outside(error)),
            }
        }
    }

    /// Passes the end on: a reset for a reset, an orderly close otherwise.
    pub(super) async fn finish(&mut self, stop: Stop) -> Ending {
        match stop {
            Stop::Finished => Ending::Finished,
            Stop::Inside(error) => {
                // What the program sent before it cut off may still arrive; then RST.
                if !self.unwritten.is_empty() {
                    let _ = self.write_outside();
                }
                let _ = SockRef::from(&*self.outside).set_linger(Some(Duration::ZERO));
                match error.kind() {
                    io::ErrorKind::TimedOut => Ending::TimedOut,
                    _ => Ending::ResetInside,
                }
            }
            Stop::Outside(error) => {
                self.drain().await;
                let _ = self.inside.set_zero_linger();
                match error.kind() {
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionAborted => Ending::ResetOutside,
                    io::ErrorKind::TimedOut => Ending::TimedOut,
                    kind => Ending::HostFailed(kind),
                }
            }
        }
    }

    /// Waits until the program has acknowledged what came before the reset.
    async fn drain(&mut self) {
        let until = Instant::now() + DRAIN;
        while Instant::now() < until {
            match self.inside.info() {
                Ok(info) if info.unsent + info.in_flight > 0 => {}
                _ => return,
            }
            tokio::time::sleep(DRAIN_STEP).await;
        }
    }

    /// The far half's last figures.
    pub(super) fn figures(&self) -> FarFigures {
        far_figures(&*self.outside)
    }
}
