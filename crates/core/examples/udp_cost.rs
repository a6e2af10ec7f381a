//! What one datagram costs, with how many sockets: `udp_cost [SOCKETS] [DATAGRAMS]`.
//!
//! Sends a fixed number of datagrams to sockets spread over the table, in and back out, and
//! keeps set-up out of the measured function. Meant for an instruction counter:
//! `valgrind --tool=callgrind --toggle-collect='udp_cost::exchange*' target/release/examples/udp_cost 10`.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use switchboard_core::{Cidr, Config, Entropy, Instant, RxPacket, Stack, UdpOptions};

/// Ports that each address has for servers.
const PORTS: u32 = 50_000;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let sockets = arguments
        .next()
        .map_or(10, |number| number.expect("sockets: a number"));
    let datagrams = arguments.next();
    let datagrams = datagrams.map_or(100_000, |number| number.expect("datagrams: a number"));

    let mut stack = stack();
    for number in 0..sockets {
        bind(&mut stack, number);
    }
    let packets: Vec<Bytes> = (0..1024)
        .map(|number| packet(number * sockets / 1024))
        .collect();
    let echoed = exchange(&mut stack, &packets, datagrams);
    assert_eq!(echoed, datagrams, "every datagram comes back");
    println!("{sockets} sockets: {echoed} datagrams there and back");
}

fn address(number: u32) -> SocketAddr {
    let octets = [
        10,
        0,
        0,
        1 + u8::try_from(number / PORTS).expect("few addresses"),
    ];
    let port = u16::try_from(10_000 + number % PORTS).expect("a port");
    SocketAddr::from((octets, port))
}

fn stack() -> Stack {
    let addresses = (0..4).map(|number| Cidr {
        address: address(number * PORTS).ip(),
        prefix_len: 24,
    });
    let config = Config {
        addresses: addresses.collect(),
        ..Config::default()
    };
    Stack::new(config, Entropy::from_seed([1; 32]))
}

fn bind(stack: &mut Stack, number: u32) {
    let options = UdpOptions::default();
    stack
        .call_udp_bind(address(number), &options)
        .expect("binds");
}

/// A datagram to socket `number`, as a device hands it over.
fn packet(number: u32) -> Bytes {
    use switchboard_wire::ipv4::Ipv4Header;
    use switchboard_wire::udp::UdpHeader;
    let SocketAddr::V4(to) = address(number) else {
        unreachable!("IPv4")
    };
    let from = std::net::Ipv4Addr::new(10, 0, 0, 200);
    let payload = [7; 64];
    let mut packet = Vec::new();
    let protocol = switchboard_wire::IpProtocol::UDP;
    Ipv4Header::new(from, *to.ip(), protocol, 20 + 8 + 64).emit(&mut packet);
    UdpHeader::new(5000, to.port(), payload.len()).emit(&mut packet);
    packet.extend_from_slice(&payload);
    BytesMut::from(&packet[..]).freeze()
}

/// The part to be measured: each datagram in, to its socket, and its answer out.
#[inline(never)]
fn exchange(stack: &mut Stack, packets: &[Bytes], datagrams: u32) -> u32 {
    let mut echoed = 0;
    let now = Instant::ZERO;
    for packet in packets.iter().cycle().take(datagrams as usize) {
        stack.handle_packet(now, RxPacket::new(packet.clone(), now));
        while let Some(event) = stack.poll_event() {
            let switchboard_core::Event::Udp(id, _) = event else {
                continue;
            };
            while let Ok((payload, meta)) = stack.call_udp_receive(id) {
                stack
                    .call_udp_send(now, id, payload, Some(meta))
                    .expect("sends");
            }
        }
        while stack.poll_transmit(now).is_some() {
            echoed += 1;
        }
    }
    echoed
}
