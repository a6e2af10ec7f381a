//! `RawSocket`: packets of a protocol, below the transports.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use bytes::Bytes;
use switchboard_core::{
    Instant, IpProtocol, IpVersion, PacketError, PacketMeta, PacketOptions, PacketSendError, RawId,
    ReceiveError,
};
use tokio::io::{Interest, Ready};

use super::packet::{bound, not_sent, returned};
use super::readiness::Handle;
use crate::errors::SocketError;
use crate::network::Net;
use crate::shard::{Shard, ShardCell, WaitOn};
use crate::waiters::{READ_SIDE, WRITE_SIDE};

/// A socket that gets a copy of every packet of a protocol that comes in, before the transport
/// sees it, and sends packets of that protocol: for protocols that the stack does not speak, and
/// to watch those that it does.
///
/// As on Linux, a packet is received with its header over IPv4 and without over IPv6; fragments
/// come as the whole that they make. What is sent follows the IP header, which the stack writes,
/// or starts with it ([`PacketOptions::header_included`], IPv4 only).
///
/// ```
/// # use switchboard::device::{Offloads, pipe};
/// # use switchboard::{IpProtocol, IpVersion, Net, net::RawSocket};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let (a, b) = pipe::pair(1500, Offloads::default(), 256);
/// # let here = Net::builder().address("10.0.0.1/24".parse().unwrap()).build(a)?;
/// # let there = Net::builder().address("10.0.0.2/24".parse().unwrap()).build(b)?;
/// // Protocols 253 and 254 are there for experiments (RFC 3692).
/// let ours = RawSocket::open_on(&here, IpVersion::V4, IpProtocol(253))?;
/// let theirs = RawSocket::open_on(&there, IpVersion::V4, IpProtocol(253))?;
/// ours.send_to(b"a protocol of our own".as_slice().into(), "10.0.0.2".parse().unwrap()).await?;
/// let (packet, meta) = theirs.recv().await?;
/// assert_eq!(&packet[20..], b"a protocol of our own");
/// assert_eq!(meta.remote.to_string(), "10.0.0.1");
/// # Ok(())
/// # }
/// ```
pub struct RawSocket {
    net: Net,
    id: RawId,
}

impl fmt::Debug for RawSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RawSocket");
        if let Ok(local) = self.local_addr() {
            debug.field("local", &local);
        }
        debug.finish_non_exhaustive()
    }
}

/// Making, binding and connecting.
impl RawSocket {
    /// Opens a raw socket of the ambient network.
    ///
    /// # Errors
    ///
    /// `NotFound` without an ambient network, `OutOfMemory` if there are too many.
    pub fn open(version: IpVersion, protocol: IpProtocol) -> io::Result<Self> {
        Self::open_on(&Net::try_current()?, version, protocol)
    }

    /// As [`open`](Self::open), with the network named.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_on(net: &Net, version: IpVersion, protocol: IpProtocol) -> io::Result<Self> {
        Self::open_with(net, version, protocol, &PacketOptions::default())
    }

    /// Opens with options.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(
        net: &Net,
        version: IpVersion,
        protocol: IpProtocol,
        options: &PacketOptions,
    ) -> io::Result<Self> {
        let any: SocketAddr = match version {
            IpVersion::V4 => ([0; 4], 0).into(),
            IpVersion::V6 => ([0; 16], 0).into(),
        };
        let id = net.home().call(|shard, _, _| {
            shard.check()?;
            bound(any, shard.stack.call_raw_open(version, protocol, options))
        })?;
        let net = net.clone();
        Ok(Self { net, id })
    }

    /// Hears packets to `local` only, and sends from there. Unspecified: all addresses.
    ///
    /// # Errors
    ///
    /// `AddrNotAvailable`.
    pub fn bind(&self, local: IpAddr) -> io::Result<()> {
        let at = SocketAddr::new(local, 0);
        self.shard()
            .call(|shard, _, _| bound(at, shard.stack.call_raw_bind(self.id, local)))
    }

    /// Hears `remote` only from now on; [`send`](Self::send) goes there, and ICMP errors about it
    /// are told. An unspecified address ends that.
    ///
    /// # Errors
    ///
    /// `NetworkUnreachable`.
    pub fn connect(&self, remote: IpAddr) -> io::Result<()> {
        self.shard().call(|shard, _, _| {
            shard.check()?;
            let connected = shard.stack.call_raw_connect(self.id, remote);
            connected.map_err(|why| SocketError::Packet(why).into())
        })
    }

    fn shard(&self) -> &ShardCell {
        self.net.shard(self.id.shard())
    }

    fn handle(&self) -> Handle<'_> {
        Handle::new(self.shard(), WaitOn::Raw(self.id))
    }

    /// Where it is bound; unspecified where nowhere.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn local_addr(&self) -> io::Result<IpAddr> {
        let local = self.shard().ask(|shard| shard.stack.raw_local(self.id));
        local.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whom it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<IpAddr> {
        let remote = self.shard().ask(|shard| shard.stack.raw_remote(self.id));
        let remote = remote.map_err(|_| SocketError::NoSuchSocket)?;
        Ok(remote.ok_or(SocketError::NotConnected)?)
    }

    /// Its options.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn options(&self) -> io::Result<PacketOptions> {
        let options = self.shard().ask(|shard| shard.stack.raw_options(self.id));
        options.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Changes its options.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_options(&self, options: &PacketOptions) -> io::Result<()> {
        let set = self
            .shard()
            .call(|shard, _, _| shard.stack.set_raw_options(self.id, options));
        set.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

/// Attempts, under the lock.
impl RawSocket {
    fn attempt_send(
        &self,
        shard: &mut Shard,
        now: Instant,
        packet: &Bytes,
        meta: Option<PacketMeta>,
    ) -> Poll<io::Result<()>> {
        shard.check()?;
        let sent = shard
            .stack
            .call_raw_send(now, self.id, packet.clone(), meta);
        match sent {
            Ok(()) => Poll::Ready(Ok(())),
            Err(PacketSendError::WouldBlock) => Poll::Pending,
            Err(why) => Poll::Ready(Err(not_sent(why))),
        }
    }

    fn attempt_recv(&self, shard: &mut Shard) -> Poll<io::Result<(Bytes, PacketMeta)>> {
        match shard.stack.call_raw_receive(self.id) {
            Ok(received) => return Poll::Ready(Ok(received)),
            Err(ReceiveError::NoSuchSocket) => {
                return Poll::Ready(Err(SocketError::NoSuchSocket.into()));
            }
            Err(_) => {}
        }
        match shard.stack.take_raw_error(self.id) {
            Ok(Some(error)) => Poll::Ready(Err(returned(&error))),
            Ok(None) => Poll::Pending,
            Err(_) => Poll::Ready(Err(SocketError::NoSuchSocket.into())),
        }
    }
}

/// Sending and receiving.
impl RawSocket {
    /// Sends a packet to `remote`. With [`PacketOptions::header_included`] it goes where its
    /// header says. Cancel safe.
    ///
    /// # Errors
    ///
    /// `NetworkUnreachable`, `InvalidInput` for what is too long or has a header that cannot be
    /// read, `PermissionDenied` for a broadcast that was not allowed.
    pub async fn send_to(&self, packet: Bytes, remote: IpAddr) -> io::Result<()> {
        self.send_message(packet, Some(PacketMeta::to(remote)))
            .await
    }

    /// Sends a packet to whom the socket is connected. Cancel safe.
    ///
    /// # Errors
    ///
    /// `NotConnected`, as [`send_to`](Self::send_to), or the ICMP error that an earlier packet
    /// drew.
    pub async fn send(&self, packet: Bytes) -> io::Result<()> {
        self.send_message(packet, None).await
    }

    /// Sends a packet with all that shall go with it: source, hop limit, traffic class, ...
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_message(&self, packet: Bytes, meta: Option<PacketMeta>) -> io::Result<()> {
        self.handle()
            .wait(WRITE_SIDE, |shard, now| {
                self.attempt_send(shard, now, &packet, meta)
            })
            .await
    }

    /// As [`send_message`](Self::send_message), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send_message(&self, packet: Bytes, meta: Option<PacketMeta>) -> io::Result<()> {
        self.handle()
            .once(|shard, now| self.attempt_send(shard, now, &packet, meta))
    }

    /// Receives the next packet, and how it came. Cancel safe.
    ///
    /// # Errors
    ///
    /// On a connected socket the ICMP error that a packet drew, once each. The network has
    /// ended.
    pub async fn recv(&self) -> io::Result<(Bytes, PacketMeta)> {
        self.handle()
            .wait(READ_SIDE, |shard, _| self.attempt_recv(shard))
            .await
    }

    /// As [`recv`](Self::recv), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv(&self) -> io::Result<(Bytes, PacketMeta)> {
        self.handle().once(|shard, _| self.attempt_recv(shard))
    }

    /// The next ICMP error that one of its packets drew.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn take_error(&self) -> io::Result<Option<PacketError>> {
        let taken = self
            .shard()
            .call(|shard, _, _| shard.stack.take_raw_error(self.id));
        taken.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Waits until one of `interest` can be done. Others may be faster: be ready for
    /// `WouldBlock` afterwards.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.handle().ready(interest).await
    }

    /// Waits until a packet or an error can be received.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until a packet can be sent.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }
}

impl Drop for RawSocket {
    fn drop(&mut self) {
        self.handle().release(|shard, _| {
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_raw_close(self.id);
        });
    }
}
