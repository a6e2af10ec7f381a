use std::sync::Mutex;

use tokio::time::sleep;

use super::*;
use crate::names::{Failure, NameError, Part};

const SECOND: u64 = 1000;

/// What an attempt comes to, after so many milliseconds.
#[derive(Clone, Copy)]
enum Ends {
    Connected(u64),
    Refused(u64),
    NoRoute,
    Never,
}
use Ends::*;

/// When each attempt began and, if it was given up, when: in milliseconds.
#[derive(Default)]
struct Log(Mutex<Vec<(String, u64, Option<u64>)>>);

struct Running<'a> {
    log: &'a Log,
    place: usize,
    start: Instant,
    is_done: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let at = self.start.elapsed().as_millis() as u64;
            self.log.0.lock().unwrap()[self.place].2 = Some(at);
        }
    }
}

/// One race on paused time: the lookup's parts, and how each address's attempt ends.
async fn run(
    settings: HappyEyeballs,
    lookup: Lookup<'_>,
    ends: &[(&str, Ends)],
) -> (io::Result<String>, Vec<(String, u64, Option<u64>)>, u64) {
    let (log, start) = (Log::default(), Instant::now());
    let result = race(lookup, 80, settings.within_bounds(), |remote| {
        let address = remote.ip().to_string();
        let (_, ends) = *ends.iter().find(|(of, _)| *of == address).unwrap();
        let mut began = log.0.lock().unwrap();
        began.push((address.clone(), start.elapsed().as_millis() as u64, None));
        let running = Running {
            log: &log,
            place: began.len() - 1,
            start,
            is_done: false,
        };
        drop(began);
        Box::pin(async move {
            // All of it, not its one field that is used below.
            let mut running = running;
            let result = match ends {
                Connected(after) => {
                    sleep(Duration::from_millis(after)).await;
                    Ok(address)
                }
                Refused(after) => {
                    sleep(Duration::from_millis(after)).await;
                    Err(failure(remote, ConnectError::Refused))
                }
                NoRoute => Err(failure(remote, ConnectError::NoRoute)),
                Never => std::future::pending().await,
            };
            running.is_done = true;
            result
        })
    })
    .await;
    let took = start.elapsed().as_millis() as u64;
    (result, log.0.into_inner().unwrap(), took)
}

fn failure(remote: SocketAddr, why: ConnectError) -> io::Error {
    SocketError::Connect { remote, why }.into()
}

/// A name whose addresses are all known.
fn known(addresses: &[&str]) -> Lookup<'static> {
    let addresses = addresses.iter().map(|text| text.parse().unwrap());
    Lookup::known("a.test", addresses.collect())
}

/// A name whose families answer after so many milliseconds each.
fn asked(v6: (u64, &[&str]), v4: (u64, &[&str])) -> Lookup<'static> {
    let part = |family, (after, found): (u64, &[&str])| {
        let found: Vec<IpAddr> = found.iter().map(|text| text.parse().unwrap()).collect();
        Part {
            family: Some(family),
            finding: Box::pin(async move {
                sleep(Duration::from_millis(after)).await;
                if found.is_empty() {
                    return Err(Failure::Name(NameError::NoAddress { server: None }));
                }
                Ok(found)
            }),
        }
    };
    let parts = vec![part(Family::V6, v6), part(Family::V4, v4)];
    Lookup::each_of("a.test", [parts].into_iter())
}

fn began(log: &[(String, u64, Option<u64>)]) -> Vec<(&str, u64)> {
    log.iter().map(|(of, at, _)| (of.as_str(), *at)).collect()
}

#[tokio::test(start_paused = true)]
async fn families_take_turns_a_quarter_of_a_second_apart() {
    let addresses = ["fd00::1", "fd00::2", "fd00::3", "10.0.0.1", "10.0.0.2"];
    let ends = addresses.map(|address| (address, Never));
    let mut ends = ends;
    ends[2].1 = Connected(70);
    let (result, log, took) = run(HappyEyeballs::default(), known(&addresses), &ends).await;
    assert_eq!(result.unwrap(), "fd00::3");
    let expected = [
        ("fd00::1", 0),
        ("10.0.0.1", 250),
        ("fd00::2", 500),
        ("10.0.0.2", 750),
        ("fd00::3", 1000),
    ];
    assert_eq!(began(&log), expected);
    assert_eq!(took, 1070);
    // The losers are given up at that very moment.
    let given_up: Vec<Option<u64>> = log.iter().map(|(.., given_up)| *given_up).collect();
    assert_eq!(
        given_up,
        [Some(1070), Some(1070), Some(1070), Some(1070), None]
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_both_families_says_which_is_first() {
    let ends = [("10.0.0.1", Never), ("fd00::1", Connected(5))];
    let lookup = known(&["10.0.0.1", "fd00::1"]);
    let (result, log, _) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!(result.unwrap(), "fd00::1");
    assert_eq!(began(&log), [("10.0.0.1", 0), ("fd00::1", 250)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_address_can_still_win() {
    let ends = [("fd00::1", Connected(300)), ("10.0.0.1", Connected(100))];
    let lookup = known(&["fd00::1", "10.0.0.1"]);
    let (result, log, took) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!((result.unwrap().as_str(), took), ("fd00::1", 300));
    assert_eq!(log[1], ("10.0.0.1".into(), 250, Some(300)));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_makes_room_at_once() {
    let ends = [("fd00::1", Refused(10)), ("10.0.0.1", Connected(20))];
    let lookup = known(&["fd00::1", "10.0.0.1"]);
    let (result, log, took) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!((result.unwrap().as_str(), took), ("10.0.0.1", 30));
    assert_eq!(began(&log), [("fd00::1", 0), ("10.0.0.1", 10)]);
}

#[tokio::test(start_paused = true)]
async fn ipv4_waits_a_moment_for_ipv6() {
    let ends = [("fd00::1", Connected(1)), ("10.0.0.1", Connected(1))];
    // In time: nothing is begun before.
    let lookup = asked((49, &["fd00::1"]), (0, &["10.0.0.1"]));
    let (result, log, took) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!((result.unwrap().as_str(), took), ("fd00::1", 50));
    assert_eq!(began(&log), [("fd00::1", 49)]);
    // Too late.
    let lookup = asked((80, &["fd00::1"]), (10, &["10.0.0.1"]));
    let (result, log, took) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!((result.unwrap().as_str(), took), ("10.0.0.1", 61));
    assert_eq!(began(&log), [("10.0.0.1", 60)]);
    // There is none, as is known then.
    let lookup = asked((20, &[]), (0, &["10.0.0.1"]));
    let (result, _, took) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!((result.unwrap().as_str(), took), ("10.0.0.1", 21));
    // IPv6 waits for nobody.
    let lookup = asked((0, &["fd00::1"]), (10 * SECOND, &["10.0.0.1"]));
    let (result, _, took) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!((result.unwrap().as_str(), took), ("fd00::1", 1));
}

#[tokio::test(start_paused = true)]
async fn addresses_that_come_late_join_in() {
    let ends = [
        ("fd00::1", Connected(1)),
        ("10.0.0.1", Never),
        ("10.0.0.2", Never),
    ];
    let lookup = asked((400, &["fd00::1"]), (0, &["10.0.0.1", "10.0.0.2"]));
    let (result, log, took) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!((result.unwrap().as_str(), took), ("fd00::1", 551));
    let expected = [("10.0.0.1", 50), ("10.0.0.2", 300), ("fd00::1", 550)];
    assert_eq!(began(&log), expected);
}

#[tokio::test(start_paused = true)]
async fn one_after_the_other_where_no_delay_is_set() {
    let settings = HappyEyeballs {
        attempt_delay: None,
        ..HappyEyeballs::default()
    };
    let ends = [
        ("fd00::1", Refused(75 * SECOND)),
        ("10.0.0.1", Connected(1)),
    ];
    let lookup = known(&["fd00::1", "10.0.0.1"]);
    let (result, log, took) = run(settings, lookup, &ends).await;
    assert_eq!((result.unwrap().as_str(), took), ("10.0.0.1", 75_001));
    assert_eq!(began(&log), [("fd00::1", 0), ("10.0.0.1", 75_000)]);
}

#[tokio::test(start_paused = true)]
async fn delays_are_kept_in_their_range() {
    let settings = HappyEyeballs {
        attempt_delay: Some(Duration::ZERO),
        resolution_delay: Duration::MAX,
    };
    let bounded = settings.within_bounds();
    assert_eq!(bounded.attempt_delay, Some(Duration::from_millis(10)));
    assert_eq!(bounded.resolution_delay, Duration::from_secs(2));
}

fn connect_error(result: io::Result<String>) -> (String, ConnectError) {
    match SocketError::of(&result.unwrap_err()) {
        Some(SocketError::Connect { remote, why }) => (remote.ip().to_string(), *why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_is_that_of_the_first_address_that_could_be_tried() {
    // The first one, although it fails last.
    let ends = [("fd00::1", Refused(900)), ("10.0.0.1", Refused(1))];
    let lookup = known(&["fd00::1", "10.0.0.1"]);
    let (result, ..) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!(
        connect_error(result),
        ("fd00::1".into(), ConnectError::Refused)
    );
    // Where there is no way to it, the next.
    let ends = [("fd00::1", NoRoute), ("10.0.0.1", Refused(1))];
    let lookup = known(&["fd00::1", "10.0.0.1"]);
    let (result, _, took) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!(
        connect_error(result),
        ("10.0.0.1".into(), ConnectError::Refused)
    );
    assert_eq!(took, 1);
    // Where there is none at all, the first.
    let lookup = known(&["fd00::1"]);
    let (result, ..) = run(HappyEyeballs::default(), lookup, &ends).await;
    assert_eq!(
        connect_error(result),
        ("fd00::1".into(), ConnectError::NoRoute)
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_without_addresses_says_why() {
    let lookup = asked((30, &[]), (10, &[]));
    let (result, log, took) = run(HappyEyeballs::default(), lookup, &[]).await;
    let error = result.unwrap_err();
    assert!(matches!(
        SocketError::of(&error),
        Some(SocketError::Name {
            why: NameError::NoAddress { .. },
            ..
        })
    ));
    assert_eq!((log.len(), took), (0, 30));
}
