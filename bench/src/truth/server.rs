//! The server of the outside: each connection says with its first line what is to be done.

use std::collections::HashMap;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, SendFlags};

use super::addresses::{NARROW4, NARROW6, PORT, SERVER4, SERVER6};
use super::pattern::Pattern;
use super::{dns, errno_name};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of connections that could not be answered on themselves, by name.
#[derive(Default)]
struct Outcomes {
    told: Mutex<HashMap<String, String>>,
    changed: Condvar,
}

/// Waits until the namespace has its addresses, then serves until standard input ends.
pub(crate) fn run() -> io::Result<()> {
    println!("there");
    io::stdout().flush()?;
    let mut commands = io::stdin().lock().lines();
    let _ = commands.next();
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))?;
    for address in [
        SERVER4.into(),
        SERVER6.into(),
        NARROW4.into(),
        NARROW6.into(),
    ] {
        let socket = UdpSocket::bind(SocketAddr::new(address, PORT))?;
        thread::spawn(move || echo_datagrams(&socket));
    }
    dns::start()?;
    thread::spawn(move || accept(&listener));
    println!("serving");
    io::stdout().flush()?;
    let _ = commands.next();
    Ok(())
}

fn echo_datagrams(socket: &UdpSocket) {
    let mut buffer = vec![0; 65_536];
    loop {
        // Errors are those of callers who have gone.
        if let Ok((len, caller)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..len], caller);
        }
    }
}

fn accept(listener: &TcpListener) {
    let outcomes = Arc::new(Outcomes::default());
    for stream in listener.incoming().flatten() {
        let outcomes = Arc::clone(&outcomes);
        // What breaks is the caller's to tell.
        thread::spawn(move || serve(stream, &outcomes));
    }
}

fn serve(mut stream: TcpStream, outcomes: &Outcomes) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let line = read_line(&mut stream)?;
    let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
    match verb {
        "count" => {
            let count = count(&mut stream)?;
            write!(stream, "got {count}")
        }
        "fin-first" => {
            stream.write_all(b"hello")?;
            stream.shutdown(Shutdown::Write)?;
            outcomes.tell(rest, watch(&mut stream));
            Ok(())
        }
        "reset" => {
            stream.read_exact(&mut [0])?;
            set_socket_linger(&stream, Some(Duration::ZERO))?;
            Ok(())
        }
        "watch" => {
            outcomes.tell(rest, watch(&mut stream));
            Ok(())
        }
        "urgent" => {
            let heard = hear_urgent(&mut stream)?;
            write!(stream, "{heard}")
        }
        "send-urgent" => send_urgent(&mut stream),
        "up" => {
            let mut pattern = Pattern::default();
            let same = pattern.read_all(&mut stream, rest.parse().unwrap_or(0))?;
            write!(stream, "{}", if same { "same" } else { "different" })
        }
        "down" => Pattern::default().write_all(&mut stream, rest.parse().unwrap_or(0)),
        "stall" => {
            thread::sleep(PATIENCE);
            Ok(())
        }
        "ask" => write!(stream, "{}", outcomes.ask(rest)),
        "call" => write!(stream, "{}", call(rest)),
        _ => Ok(()),
    }
}

/// Without reading beyond it.
fn read_line(stream: &mut TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut octet = [0];
    loop {
        stream.read_exact(&mut octet)?;
        match octet {
            [b'\n'] => return Ok(String::from_utf8_lossy(&line).into_owned()),
            [octet] => line.push(octet),
        }
    }
}

fn count(stream: &mut TcpStream) -> io::Result<usize> {
    let mut buffer = vec![0; 65_536];
    let mut count = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(count),
            len => count += len,
        }
    }
}

/// How a connection that is read ends.
fn watch(stream: &mut TcpStream) -> String {
    match count(stream) {
        Ok(count) => format!("end after {count}"),
        Err(error) => errno_name(&error),
    }
}

/// Reads what is urgent, then the rest up to the end.
pub(crate) fn hear_urgent(stream: &mut TcpStream) -> io::Result<String> {
    let mut urgent = [0_u8];
    let deadline = Instant::now() + Duration::from_secs(1);
    let heard = loop {
        match rustix::net::recv(&*stream, &mut urgent, RecvFlags::OOB | RecvFlags::DONTWAIT) {
            Ok((_, 1)) => break format!("urgent {}", urgent[0] as char),
            _ if Instant::now() > deadline => break "nothing urgent".to_owned(),
            _ => thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut line = Vec::new();
    let mut octets = [0; 64];
    // A read stops at the mark.
    while line.len() < 6 {
        match stream.read(&mut octets)? {
            0 => break,
            len => line.extend(&octets[..len]),
        }
    }
    Ok(format!(
        "{heard}, in line {}",
        String::from_utf8_lossy(&line)
    ))
}

pub(crate) fn send_urgent(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"abc")?;
    rustix::net::send(&*stream, b"!", SendFlags::OOB)?;
    stream.write_all(b"def")?;
    // Until the other side has seen it.
    match stream.read(&mut [0; 64]) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(()),
    }
}

/// Calls an address from here; what whoever is there says.
fn call(address: &str) -> String {
    let Ok(address) = address.parse() else {
        return "no address".into();
    };
    let called = TcpStream::connect_timeout(&address, Duration::from_secs(3));
    let said = called.and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(3)))?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    });
    said.unwrap_or_else(|error| errno_name(&error))
}

impl Outcomes {
    fn tell(&self, name: &str, outcome: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(name.to_owned(), outcome);
        self.changed.notify_all();
    }

    /// What became of it; waits a while if it is not known yet.
    fn ask(&self, name: &str) -> String {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self
            .changed
            .wait_timeout_while(told, Duration::from_secs(3), |told| {
                !told.contains_key(name)
            });
        let (told, _) = wait.unwrap_or_else(PoisonError::into_inner);
        let outcome = told.get(name).cloned();
        outcome.unwrap_or_else(|| "nothing".into())
    }
}
