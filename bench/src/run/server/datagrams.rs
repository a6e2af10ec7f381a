//! Datagrams: a sink that counts them, a source for whoever asks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::Counts;
use crate::load::datagrams::{paced, roomy};

pub(super) fn start_sink(counts: Arc<Counts>) -> io::Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    roomy(&socket)?;
    let port = socket.local_addr()?.port();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while socket.recv(&mut buffer).is_ok() {
            Counts::add(&counts.datagrams, 1);
        }
    });
    Ok(port)
}

pub(super) fn start_source(counts: Arc<Counts>) -> io::Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = socket.local_addr()?.port();
    thread::spawn(move || {
        let mut request = [0; 12];
        // An error is that of a receiver who has gone.
        loop {
            if let Ok((12, caller)) = socket.recv_from(&mut request) {
                let sent = answer(&socket, &request, caller).unwrap_or(0);
                counts.datagrams_sent.store(sent, Ordering::Relaxed);
            }
        }
    });
    Ok(port)
}

fn answer(socket: &UdpSocket, request: &[u8; 12], caller: SocketAddr) -> io::Result<u64> {
    let (numbers, _) = request.as_chunks::<4>();
    let [size, pace, millis] = [0, 1, 2].map(|at| u32::from_be_bytes(numbers[at]));
    let time = Duration::from_millis(millis.into());
    let octets = vec![0x5a; size as usize];
    paced(&octets, pace, time, |octets| socket.send_to(octets, caller))
}
