//! Little exchanges: how many a second, and how long each takes beside a bulk load.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::bulk::{open, receive, send};
use super::{Kind, PATIENCE, Report};

pub(super) fn exchange(server: SocketAddr, time: Duration) -> io::Result<Report> {
    let mut stream = open(server, Kind::Exchange, time)?;
    let start = Instant::now();
    let mut count = 0;
    let mut octet = [1];
    while start.elapsed() < time {
        stream.write_all(&octet)?;
        stream.read_exact(&mut octet)?;
        count += 1;
    }
    Ok(Report::new(count, start.elapsed()))
}

pub(super) fn connect_often(server: SocketAddr, time: Duration) -> io::Result<Report> {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < time {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&[Kind::Connect.code()])?;
        stream.read_exact(&mut [0])?;
        count += 1;
    }
    Ok(Report::new(count, start.elapsed()))
}

/// Exchanges with the second server while a thread loads the first.
pub(super) fn under_load(servers: &[SocketAddr], kind: Kind, time: Duration) -> io::Result<Report> {
    let [bulk, small] = *servers else {
        return Err(io::Error::other("needs two servers"));
    };
    let mut stream = open(small, Kind::Exchange, time)?;
    let load = thread::spawn(move || match kind {
        Kind::LatencyOut => send(bulk, 1, time),
        _ => receive(bulk, 1, time),
    });
    let mut octet = [1];
    let mut took = Vec::new();
    // The first tenth lets the load come up to its speed.
    thread::sleep(time / 10);
    let start = Instant::now();
    while start.elapsed() < time * 8 / 10 {
        let asked = Instant::now();
        stream.write_all(&octet)?;
        stream.read_exact(&mut octet)?;
        took.push(asked.elapsed());
        // Not back to back: a user's keystroke does not follow the last one's echo.
        thread::sleep(Duration::from_micros(500));
    }
    let mut report = Report::new(took.len() as u64, start.elapsed());
    report.percentiles = percentiles(took);
    load.join()
        .map_err(|_| io::Error::other("the load broke"))??;
    Ok(report)
}

/// 50, 90 and 99 of a hundred, microseconds.
fn percentiles(mut took: Vec<Duration>) -> Option<[f64; 3]> {
    took.sort_unstable();
    let last = took.len().checked_sub(1)?;
    Some([50, 90, 99].map(|percent| took[last * percent / 100].as_secs_f64() * 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred() {
        let took = (1..=101).rev().map(Duration::from_micros).collect();
        let [a, b, c] = percentiles(took).expect("some");
        assert_eq!([a.round(), b.round(), c.round()], [51.0, 91.0, 100.0]);
        assert_eq!(percentiles(Vec::new()), None);
    }
}
