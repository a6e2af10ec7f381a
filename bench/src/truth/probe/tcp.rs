//! What a program learns from its connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::super::addresses::{CLOSED_PORT, narrow, server};
use super::super::errno_name;
use super::super::pattern::Pattern;
use super::super::server::hear_urgent;
use super::ready;

/// A connection that stands still for so long has failed.
const PATIENCE: Duration = Duration::from_secs(8);

/// A call that nobody answers is given up after this; the kernel would go on for minutes.
const SILENCE: Duration = Duration::from_secs(2);

fn open(to: SocketAddr, request: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    Ok(stream)
}

fn rest_of(stream: &mut TcpStream) -> io::Result<String> {
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// A name for this process's connection, which the server keeps what it saw under.
fn token(what: &str) -> String {
    format!("{what}-{}", std::process::id())
}

/// What the server saw.
fn ask(v6: bool, token: &str) -> io::Result<String> {
    rest_of(&mut open(server(v6), &format!("ask {token}"))?)
}

pub(super) fn half_close_by_client(v6: bool) -> io::Result<String> {
    let mut stream = open(server(v6), "count")?;
    stream.write_all(&vec![7; 100_000])?;
    stream.shutdown(Shutdown::Write)?;
    rest_of(&mut stream)
}

pub(super) fn half_close_by_server(v6: bool) -> io::Result<String> {
    let token = token("fin-first");
    let mut stream = open(server(v6), &format!("fin-first {token}"))?;
    let said = rest_of(&mut stream)?;
    stream.write_all(&vec![7; 100_000])?;
    drop(stream);
    Ok(format!("{said}, {}", ask(v6, &token)?))
}

/// And whether at once.
pub(super) fn closed_port(v6: bool) -> io::Result<String> {
    let mut address = server(v6);
    address.set_port(CLOSED_PORT);
    let start = Instant::now();
    let answer = refusal(address)?;
    let late = start.elapsed() > Duration::from_millis(500);
    Ok(format!("{answer}{}", if late { ", late" } else { "" }))
}

/// How a call fails.
pub(super) fn refusal(to: SocketAddr) -> io::Result<String> {
    let mut stream = match TcpStream::connect_timeout(&to, SILENCE) {
        Err(error) => return Ok(errno_name(&error)),
        Ok(stream) => stream,
    };
    // A promise that the outside does not know of: what becomes of it?
    stream.set_read_timeout(Some(SILENCE))?;
    match stream.read(&mut [0; 8]) {
        Ok(0) => Ok("connects, then its end".into()),
        Ok(_) => Ok("connects, and hears something".into()),
        Err(error) => Ok(format!("connects, then {}", errno_name(&error))),
    }
}

pub(super) fn reset_by_server(v6: bool) -> io::Result<String> {
    let mut stream = open(server(v6), "reset")?;
    stream.write_all(b"x")?;
    match stream.read(&mut [0; 8]) {
        Ok(0) => Ok("its end".into()),
        Ok(_) => Ok("octets".into()),
        Err(error) => Ok(errno_name(&error)),
    }
}

pub(super) fn reset_by_client(v6: bool) -> io::Result<String> {
    let token = token("watch");
    let mut stream = open(server(v6), &format!("watch {token}"))?;
    stream.write_all(b"hello")?;
    // The server has it before the reset comes.
    thread::sleep(Duration::from_millis(200));
    set_socket_linger(&stream, Some(Duration::ZERO))?;
    drop(stream);
    ask(v6, &token)
}

pub(super) fn urgent_out(v6: bool) -> io::Result<String> {
    let mut stream = open(server(v6), "urgent")?;
    // Apart from the request: the server has read that.
    thread::sleep(Duration::from_millis(100));
    let mut copy = stream.try_clone()?;
    let sender = thread::spawn(move || send_urgent_only(&mut copy));
    let said = rest_of(&mut stream)?;
    sender
        .join()
        .map_err(|_| io::Error::other("the sender broke"))??;
    Ok(said)
}

fn send_urgent_only(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"abc")?;
    rustix::net::send(&*stream, b"!", rustix::net::SendFlags::OOB)?;
    stream.write_all(b"def")
}

pub(super) fn urgent_in(v6: bool) -> io::Result<String> {
    let mut stream = open(server(v6), "send-urgent")?;
    let heard = hear_urgent(&mut stream)?;
    stream.write_all(b"x")?;
    Ok(heard)
}

/// `len` octets there and as many back, each of them checked.
pub(super) fn whole(v6: bool, by_narrow: bool, len: usize) -> io::Result<String> {
    let to = if by_narrow { narrow(v6) } else { server(v6) };
    let mut up = open(to, &format!("up {len}"))?;
    Pattern::default().write_all(&mut up, len)?;
    let there = rest_of(&mut up)?;
    let mut down = open(to, &format!("down {len}"))?;
    let same = Pattern::default().read_all(&mut down, len)?;
    let back = if same { "same" } else { "different" };
    Ok(format!("{there} there, {back} back"))
}

/// Tells two callers who they are, and waits to be told to end.
pub(super) fn listen(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if let Ok(peer) = stream.peer_addr() {
                // A caller who has gone hears nothing.
                let _ = write!(stream, "{}", peer.ip().to_canonical());
            }
        }
    });
    ready()?;
    wait();
    Ok(())
}

/// Writes to a server that does not read for three seconds, says how that went, and waits to
/// be told to end.
pub(super) fn stall() -> io::Result<()> {
    let mut stream = open(server(false), "stall")?;
    ready()?;
    wait();
    stream.set_nonblocking(true)?;
    let chunk = vec![7; 65_536];
    let start = Instant::now();
    let (mut count, mut last) = (0_u64, start);
    while start.elapsed() < Duration::from_secs(3) {
        match stream.write(&chunk) {
            Ok(len) => {
                count += len as u64;
                last = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
    let blocks = last.elapsed() > Duration::from_millis(500);
    println!("{} {count}", if blocks { "blocks" } else { "goes on" });
    io::stdout().flush()?;
    wait();
    Ok(())
}

/// For a line, or the end of all lines.
fn wait() {
    let _ = io::stdin().read_line(&mut String::new());
}
