//! What a program learns about names: from the server, and from its C library.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use super::super::dns;

const PATIENCE: Duration = Duration::from_secs(3);

fn ask(server: SocketAddr, question: &[u8]) -> io::Result<String> {
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(question)?;
    let mut answer = vec![0; 8_192];
    let len = socket.recv(&mut answer)?;
    Ok(dns::describe(question, &answer[..len]))
}

pub(super) fn udp(server: SocketAddr) -> io::Result<String> {
    ask(server, &dns::known(1))
}

pub(super) fn edns(server: SocketAddr) -> io::Result<String> {
    ask(server, &dns::large(2, Some(4_096)))
}

pub(super) fn truncated(server: SocketAddr) -> io::Result<String> {
    ask(server, &dns::large(3, None))
}

pub(super) fn tcp(server: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let question = dns::large(4, None);
    let mut message = (question.len() as u16).to_be_bytes().to_vec();
    message.extend(&question);
    stream.write_all(&message)?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut answer = vec![0; u16::from_be_bytes(len).into()];
    stream.read_exact(&mut answer)?;
    Ok(dns::describe(&question, &answer))
}

/// By the C library, as most programs do.
pub(super) fn resolve(name: &str) -> String {
    let found = (name, 80).to_socket_addrs();
    match found {
        Ok(addresses) => {
            let mut addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
            addresses.sort();
            addresses.dedup();
            let words: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            words.join(" ")
        }
        Err(error) => {
            let said = error.to_string();
            said.rsplit(": ").next().unwrap_or(&said).to_owned()
        }
    }
}
