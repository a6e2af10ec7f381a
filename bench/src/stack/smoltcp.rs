//! The same loads on smoltcp, as the peer in the same run.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant as Moment;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::{BUFFER, Measure};

type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// One end of a wire; packets that have been read are used again for writing.
struct Wire {
    mtu: usize,
    incoming: Queue,
    outgoing: Queue,
    spare: Queue,
}

struct Received(Vec<u8>, Queue);
struct Sending<'a>(&'a Wire);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(mut self, f: F) -> R {
        let result = f(&self.0);
        self.0.clear();
        self.1.borrow_mut().push_back(std::mem::take(&mut self.0));
        result
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let spare = self.0.spare.borrow_mut().pop_front();
        let mut packet = spare.unwrap_or_default();
        packet.resize(len, 0);
        let result = f(&mut packet);
        self.0.outgoing.borrow_mut().push_back(packet);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let packet = self.incoming.borrow_mut().pop_front()?;
        Some((Received(packet, Rc::clone(&self.spare)), Sending(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

struct Host {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
}

impl Host {
    fn new(last: u8, mut wire: Wire) -> Self {
        let config = Config::new(HardwareAddress::Ip);
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let address = IpCidr::new(IpAddress::v4(10, 0, 0, last), 24);
            addresses.push(address).expect("room for one address");
        });
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(socket);
        Self {
            wire,
            interface,
            sockets,
            socket,
        }
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    fn poll(&mut self, now: Instant) {
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
    }
}

struct Pair {
    a: Host,
    b: Host,
    start: Moment,
}

impl Pair {
    fn new(mtu: usize) -> Self {
        let (there, back, spare) = (Queue::default(), Queue::default(), Queue::default());
        let wire = |incoming: &Queue, outgoing: &Queue| Wire {
            mtu,
            incoming: Rc::clone(incoming),
            outgoing: Rc::clone(outgoing),
            spare: Rc::clone(&spare),
        };
        let mut pair = Self {
            a: Host::new(1, wire(&back, &there)),
            b: Host::new(2, wire(&there, &back)),
            start: Moment::now(),
        };
        pair.b.socket().listen(80).expect("listens");
        let client = pair.a.sockets.get_mut::<Socket<'_>>(pair.a.socket);
        let server = (IpAddress::v4(10, 0, 0, 2), 80);
        client
            .connect(pair.a.interface.context(), server, 50_000)
            .expect("connects");
        for _ in 0..4 {
            pair.turn();
        }
        pair
    }

    fn turn(&mut self) {
        let now = Instant::from_micros(self.start.elapsed().as_micros() as i64);
        self.a.poll(now);
        self.b.poll(now);
    }
}

pub(super) fn bulk(mtu: usize) -> Option<Measure> {
    Some(Box::new(move |seconds| {
        let mut pair = Pair::new(mtu);
        let chunk = vec![7; 65_536];
        let mut buffer = vec![0; 65_536];
        let (mut received, start) = (0_u64, Moment::now());
        while start.elapsed().as_secs_f64() < seconds {
            while pair
                .a
                .socket()
                .send_slice(&chunk)
                .is_ok_and(|taken| taken > 0)
            {}
            pair.turn();
            while let Ok(len @ 1..) = pair.b.socket().recv_slice(&mut buffer) {
                received += len as u64;
            }
        }
        received as f64 * 8.0 / 1e9 / start.elapsed().as_secs_f64()
    }))
}

pub(super) fn exchange() -> Option<Measure> {
    Some(Box::new(|seconds| {
        let mut pair = Pair::new(1_500);
        let (mut count, start) = (0_u64, Moment::now());
        let mut buffer = [0; 16];
        while start.elapsed().as_secs_f64() < seconds {
            for _ in 0..64 {
                pair.a.socket().send_slice(b"q").expect("room");
                pair.turn();
                assert_eq!(pair.b.socket().recv_slice(&mut buffer), Ok(1));
                pair.b.socket().send_slice(b"a").expect("room");
                pair.turn();
                pair.turn();
                assert_eq!(pair.a.socket().recv_slice(&mut buffer), Ok(1));
                count += 1;
            }
        }
        count as f64 / start.elapsed().as_secs_f64()
    }))
}
