//! Names, found by name servers that stand on our own sockets too, in virtual time.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use common::{host_a, host_b, plain_pipe, run_paused};
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use switchboard::net::{DnsConfig, HappyEyeballs, NameError, ServerFailure};
use switchboard::{Net, NetBuilder, SocketError, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// One question that arrived.
#[derive(Clone, Debug)]
struct Asked {
    /// `www.example. A`, with `tcp` behind it where it came over a connection.
    what: String,
    from: SocketAddr,
    id: u16,
    at: Duration,
}

type Log = Arc<Mutex<Vec<Asked>>>;

/// What a name server does: the question and how many came before it, and what it sends.
type Answers = fn(&Asked, Message) -> Vec<Message>;

/// A name server of `net` on `at`, and what it was asked.
async fn name_server(net: &Net, at: &str, answers: Answers) -> Log {
    let (log, start) = (Log::default(), Instant::now());
    let udp = net.udp_bind(at).await.unwrap();
    let tcp = net.tcp_listen(at).await.unwrap();
    let take = {
        let log = Arc::clone(&log);
        move |octets: &[u8], from, over: &str| {
            let query = Message::from_vec(octets).unwrap();
            assert!(query.metadata.recursion_desired);
            let asked = &query.queries[0];
            let asked = Asked {
                what: format!("{} {}{over}", asked.name, asked.query_type),
                from,
                id: query.metadata.id,
                at: start.elapsed(),
            };
            log.lock().unwrap().push(asked.clone());
            let mut reply = Message::response(asked.id, OpCode::Query);
            reply.metadata.recursion_available = true;
            reply.add_query(query.queries[0].clone());
            answers(&asked, reply)
        }
    };
    let take_udp = take.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = udp.recv_from(&mut buffer).await {
            for reply in take_udp(&buffer[..len], from, "") {
                let _ = udp.send_to(&reply.to_vec().unwrap(), from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, from)) = tcp.accept().await {
            let mut query = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut query).await.unwrap();
            for reply in take(&query, from, " tcp") {
                let reply = reply.to_vec().unwrap();
                stream.write_u16(reply.len() as u16).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        }
    });
    log
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// `reply` with an address for the name that was asked for.
fn with(mut reply: Message, address: &str) -> Message {
    let of = reply.queries[0].name.clone();
    let data = match address.parse().unwrap() {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    reply.add_answer(Record::from_rdata(of, 60, data));
    reply
}

fn says(mut reply: Message, code: ResponseCode) -> Message {
    reply.metadata.response_code = code;
    reply
}

fn is_v4(reply: &Message) -> bool {
    reply.queries[0].query_type == RecordType::A
}

/// Every name is 10.0.0.2 and fd00::2.
fn both(_: &Asked, reply: Message) -> Vec<Message> {
    let address = if is_v4(&reply) { "10.0.0.2" } else { "fd00::2" };
    vec![with(reply, address)]
}

/// Every name has an IPv4 address alone.
fn v4_only(_: &Asked, reply: Message) -> Vec<Message> {
    vec![if is_v4(&reply) {
        with(reply, "10.0.0.2")
    } else {
        reply
    }]
}

fn nothing(_: &Asked, _: Message) -> Vec<Message> {
    Vec::new()
}

/// The two hosts; the first asks 10.0.0.2.
fn hosts(client: impl FnOnce(NetBuilder) -> NetBuilder) -> (Net, Net) {
    let (a, b) = plain_pipe();
    let client = client(host_a().nameserver("10.0.0.2:53".parse().unwrap()));
    (client.build(a).unwrap(), host_b().build(b).unwrap())
}

async fn found(net: &Net, name: &str) -> Result<Vec<String>, (ErrorKind, NameError)> {
    match net.lookup_host((name, 80)).await {
        Ok(found) => Ok(found.map(|found| found.ip().to_string()).collect()),
        Err(error) => match SocketError::of(&error) {
            Some(SocketError::Name { name: of, why }) if of == name => {
                Err((error.kind(), why.clone()))
            }
            other => panic!("{other:?}"),
        },
    }
}

fn asked(log: &Log) -> Vec<String> {
    let mut asked: Vec<String> = log
        .lock()
        .unwrap()
        .iter()
        .map(|one| one.what.clone())
        .collect();
    asked.sort();
    asked
}

#[test]
fn both_families_are_asked_for_at_once_from_ports_and_with_ids_of_their_own() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        let log = name_server(&b, "10.0.0.2:53", both).await;
        assert_eq!(
            found(&a, "WWW.example").await.unwrap(),
            ["fd00::2", "10.0.0.2"]
        );
        assert_eq!(asked(&log), ["www.example. A", "www.example. AAAA"]);
        for number in 0..6 {
            found(&a, &format!("n{number}.example")).await.unwrap();
        }
        let log = log.lock().unwrap();
        assert!(
            log.iter().all(|one| one.at.is_zero()),
            "nobody waits for anybody"
        );
        let mut ports: Vec<u16> = log.iter().map(|one| one.from.port()).collect();
        let mut ids: Vec<u16> = log.iter().map(|one| one.id).collect();
        assert!(!ids.is_sorted() && !ports.is_sorted(), "{ids:?} {ports:?}");
        for numbers in [&mut ports, &mut ids] {
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), 14, "{numbers:?}");
        }
    });
}

#[test]
fn programs_connect_bind_and_send_by_name() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        name_server(&b, "10.0.0.2:53", v4_only).await;
        let listener = b.tcp_listen("10.0.0.2:80").await.unwrap();
        let stream = a.tcp_connect("www.example:80").await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().to_string(), "10.0.0.2:80");
        drop(listener);

        let server = b.udp_bind("10.0.0.2:7").await.unwrap();
        let socket = a.udp_bind("0.0.0.0:0").await.unwrap();
        let mut buffer = [0; 16];
        socket.send_to(b"one", "echo.example:7").await.unwrap();
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 3);
        socket.connect("echo.example:7").await.unwrap();
        socket.send(b"three").await.unwrap();
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 5);
    });
}

#[test]
fn a_socket_of_one_family_sends_to_the_address_of_its_family() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        name_server(&b, "10.0.0.2:53", both).await;
        let server = b.udp_bind("10.0.0.2:7").await.unwrap();
        let socket = a.udp_bind("10.0.0.1:0").await.unwrap();
        socket.send_to(b"one", "echo.example:7").await.unwrap();
        assert_eq!(server.recv(&mut [0; 16]).await.unwrap(), 3);
        socket.connect("echo.example:7").await.unwrap();
        assert_eq!(socket.peer_addr().unwrap().to_string(), "10.0.0.2:7");
    });
}

#[test]
fn what_is_lost_is_asked_for_again() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        // The first question of each family is lost.
        let log = name_server(&b, "10.0.0.2:53", |asked, reply| {
            if asked.at.is_zero() {
                return Vec::new();
            }
            v4_only(asked, reply)
        })
        .await;
        let start = Instant::now();
        assert_eq!(found(&a, "www.example").await.unwrap(), ["10.0.0.2"]);
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(asked(&log).len(), 4);
    });
}

#[test]
fn the_next_server_is_asked_where_one_is_silent_or_cannot_help() {
    run_paused(async {
        let config = DnsConfig {
            servers: vec![
                // Nobody has this address.
                "10.0.0.77:53".parse().unwrap(),
                // Nobody listens on this port.
                "10.0.0.2:5353".parse().unwrap(),
                "10.0.0.2:54".parse().unwrap(),
                "[fd00::2]:53".parse().unwrap(),
            ],
            timeout: Duration::from_secs(1),
            ..DnsConfig::default()
        };
        let (a, b) = hosts(|client| client.dns(config));
        let fails = name_server(&b, "10.0.0.2:54", |_, reply| {
            vec![says(reply, ResponseCode::ServFail)]
        })
        .await;
        let helps = name_server(&b, "[fd00::2]:53", v4_only).await;
        let start = Instant::now();
        assert_eq!(found(&a, "www.example").await.unwrap(), ["10.0.0.2"]);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        assert_eq!((asked(&fails).len(), asked(&helps).len()), (2, 2));
    });
}

#[test]
fn an_error_names_the_servers() {
    run_paused(async {
        let second = "10.0.0.77:53".parse().unwrap();
        let (a, b) = hosts(|client| client.nameserver(second));
        name_server(&b, "10.0.0.2:53", nothing).await;
        let start = Instant::now();
        let (kind, why) = found(&a, "www.example").await.unwrap_err();
        assert_eq!(kind, ErrorKind::TimedOut);
        // Two servers, two attempts, five seconds each.
        let waited = Duration::from_secs(20);
        assert_eq!(start.elapsed(), waited);
        let servers = vec!["10.0.0.2:53".parse().unwrap(), second];
        assert_eq!(why, NameError::TimedOut { servers, waited });
        let error = a.lookup_host("www.example:80").await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "www.example: no answer from 10.0.0.2:53, 10.0.0.77:53 within 20.0s"
        );
    });
}

#[test]
fn a_server_that_refuses_is_not_asked_again() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        let log = name_server(&b, "10.0.0.2:53", |_, reply| {
            vec![says(reply, ResponseCode::Refused)]
        })
        .await;
        let server = "10.0.0.2:53".parse().unwrap();
        let (_, why) = found(&a, "www.example").await.unwrap_err();
        let refused = ServerFailure::Code(5);
        assert_eq!(
            why,
            NameError::Failed {
                server,
                why: refused
            }
        );
        assert_eq!(asked(&log).len(), 2);
    });
}

#[test]
fn what_does_not_fit_a_datagram_comes_over_tcp() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        let log = name_server(&b, "10.0.0.2:53", |asked, mut reply| {
            if asked.what.ends_with("tcp") {
                return both(asked, reply);
            }
            reply.metadata.truncation = true;
            vec![reply]
        })
        .await;
        assert_eq!(
            found(&a, "big.example").await.unwrap(),
            ["fd00::2", "10.0.0.2"]
        );
        let expected = [
            "big.example. A",
            "big.example. A tcp",
            "big.example. AAAA",
            "big.example. AAAA tcp",
        ];
        assert_eq!(asked(&log), expected);
    });
}

#[test]
fn forged_answers_are_passed_over() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        name_server(&b, "10.0.0.2:53", |asked, reply| {
            let mut other_id = with(reply.clone(), "10.6.6.6");
            other_id.metadata.id ^= 1;
            let mut other_name = with(reply.clone(), "10.6.6.6");
            other_name.queries = vec![Query::query(name("wwv.example."), RecordType::A)];
            let mut good = v4_only(asked, reply);
            good.splice(0..0, [other_id, other_name]);
            good
        })
        .await;
        assert_eq!(found(&a, "www.example").await.unwrap(), ["10.0.0.2"]);
    });
}

#[test]
fn an_answer_from_somebody_else_is_not_heard() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        // It knows everything, but not the server's port.
        let server = b.udp_bind("10.0.0.2:53").await.unwrap();
        let forger = b.udp_bind("10.0.0.2:5353").await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let (len, from) = server.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..len]).unwrap();
                let mut reply = Message::response(query.metadata.id, OpCode::Query);
                reply.add_query(query.queries[0].clone());
                let forged = with(reply.clone(), "10.6.6.6").to_vec().unwrap();
                forger.send_to(&forged, from).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
                let good = if is_v4(&reply) {
                    with(reply, "10.0.0.2")
                } else {
                    reply
                };
                server.send_to(&good.to_vec().unwrap(), from).await.unwrap();
            }
        });
        assert_eq!(found(&a, "www.example").await.unwrap(), ["10.0.0.2"]);
    });
}

#[test]
fn a_shower_of_forged_answers_makes_it_ask_over_tcp() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        let log = name_server(&b, "10.0.0.2:53", |asked, reply| {
            if asked.what.ends_with("tcp") {
                return v4_only(asked, reply);
            }
            let guess = |id| {
                let mut guess = reply.clone();
                guess.metadata.id = asked.id.wrapping_add(id);
                guess
            };
            (1..=100).map(guess).collect()
        })
        .await;
        assert_eq!(found(&a, "www.example").await.unwrap(), ["10.0.0.2"]);
        assert_eq!(asked(&log)[1], "www.example. A tcp");
    });
}

#[test]
fn a_name_that_does_not_exist_is_known_not_to_for_a_while() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        let log = name_server(&b, "10.0.0.2:53", |_, reply| {
            let mut never = says(reply, ResponseCode::NXDomain);
            let soa = SOA::new(name("ns.example."), name("root.example."), 1, 2, 3, 4, 30);
            never.add_authority(Record::from_rdata(name("example."), 900, RData::SOA(soa)));
            vec![never]
        })
        .await;
        let server = Some("10.0.0.2:53".parse().unwrap());
        let no = (ErrorKind::NotFound, NameError::NoSuchName { server });
        assert_eq!(found(&a, "nix.example").await, Err(no.clone()));
        assert_eq!(found(&a, "nix.example").await, Err(no.clone()));
        assert_eq!(asked(&log).len(), 2);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(found(&a, "nix.example").await, Err(no));
        assert_eq!(asked(&log).len(), 4);
        let error = a.tcp_connect("nix.example:80").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "nix.example: no such name, says the name server 10.0.0.2:53"
        );
    });
}

#[test]
fn a_circle_of_aliases_ends() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        name_server(&b, "10.0.0.2:53", |_, mut reply| {
            for (of, target) in [("a.example.", "b.example."), ("b.example.", "a.example.")] {
                let alias = RData::CNAME(CNAME(name(target)));
                reply.add_answer(Record::from_rdata(name(of), 60, alias));
            }
            vec![reply]
        })
        .await;
        let (kind, why) = found(&a, "a.example").await.unwrap_err();
        assert_eq!(kind, ErrorKind::InvalidData);
        assert!(matches!(
            why,
            NameError::Failed {
                why: ServerFailure::Nonsense,
                ..
            }
        ));
    });
}

#[test]
fn an_old_server_is_asked_without_edns() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        let server = b.udp_bind("10.0.0.2:53").await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let (len, from) = server.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..len]).unwrap();
                let mut reply = Message::response(query.metadata.id, OpCode::Query);
                if query.edns.is_some() {
                    reply = says(reply, ResponseCode::FormErr);
                } else {
                    reply.add_query(query.queries[0].clone());
                    let address = if is_v4(&reply) { "10.0.0.2" } else { "fd00::2" };
                    reply = with(reply, address);
                }
                server
                    .send_to(&reply.to_vec().unwrap(), from)
                    .await
                    .unwrap();
            }
        });
        assert_eq!(
            found(&a, "www.example").await.unwrap(),
            ["fd00::2", "10.0.0.2"]
        );
    });
}

#[test]
fn short_names_are_found_in_the_domains_of_the_search_list() {
    run_paused(async {
        let (a, b) = hosts(|client| client.search("lab.example").search("corp.example"));
        let log = name_server(&b, "10.0.0.2:53", |asked, reply| {
            if asked.what.starts_with("db.corp.") {
                return v4_only(asked, reply);
            }
            vec![says(reply, ResponseCode::NXDomain)]
        })
        .await;
        assert_eq!(found(&a, "db").await.unwrap(), ["10.0.0.2"]);
        let expected = [
            "db.corp.example. A",
            "db.corp.example. AAAA",
            "db.lab.example. A",
            "db.lab.example. AAAA",
        ];
        assert_eq!(asked(&log), expected);
        assert!(
            found(&a, "db.").await.is_err(),
            "with a dot it means itself"
        );
    });
}

#[test]
fn the_table_comes_first_and_some_names_are_never_asked_for() {
    run_paused(async {
        let (a, b) = hosts(|client| client.host("Db.Corp.", "10.0.0.9".parse().unwrap()));
        let log = name_server(&b, "10.0.0.2:53", both).await;
        assert_eq!(found(&a, "db.corp").await.unwrap(), ["10.0.0.9"]);
        assert_eq!(found(&a, "LOCALHOST.").await.unwrap(), ["127.0.0.1", "::1"]);
        assert_eq!(
            found(&a, "a.localhost").await.unwrap(),
            ["127.0.0.1", "::1"]
        );
        let never = NameError::NoSuchName { server: None };
        for name in ["a.invalid", "secret.onion"] {
            let (_, why) = found(&a, name).await.unwrap_err();
            assert_eq!(why, never, "{name}");
        }
        let (kind, why) = found(&a, "a..b").await.unwrap_err();
        assert_eq!((kind, why), (ErrorKind::InvalidInput, NameError::NotAName));
        assert!(asked(&log).is_empty());
        assert_eq!(
            found(&a, "notlocalhost").await.unwrap(),
            ["fd00::2", "10.0.0.2"]
        );
    });
}

#[test]
fn many_who_ask_for_one_name_are_one_question() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        let log = name_server(&b, "10.0.0.2:53", |asked, reply| {
            if asked.at.is_zero() {
                return Vec::new();
            }
            both(asked, reply)
        })
        .await;
        let asking = || {
            let a = a.clone();
            tokio::spawn(async move { found(&a, "www.example").await })
        };
        let all: Vec<_> = (0..20).map(|_| asking()).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Whoever does the asking may go away.
        all[0].abort();
        for one in all.into_iter().skip(1) {
            assert_eq!(one.await.unwrap().unwrap(), ["fd00::2", "10.0.0.2"]);
        }
        assert!(asked(&log).len() <= 4, "{:?}", asked(&log));
        assert_eq!(a.sockets().len(), 0);
    });
}

#[test]
fn one_who_is_not_polled_holds_nobody_up() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        name_server(&b, "10.0.0.2:53", both).await;
        let mut first = std::pin::pin!(found(&a, "www.example"));
        let once = std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending()));
        assert!(once.await);
        let start = Instant::now();
        let second = found(&a, "www.example").await.unwrap();
        assert_eq!(second, ["fd00::2", "10.0.0.2"]);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(first.await.unwrap(), second);
    });
}

#[test]
fn without_an_address_there_is_no_route_to_any_name() {
    run_paused(async {
        let (a, _b) = plain_pipe();
        let client = Net::builder().nameserver("10.0.0.2:53".parse().unwrap());
        let net = client.build(a).unwrap();
        let error = net.tcp_connect("www.example:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{error}");
    });
}

#[test]
fn a_connection_goes_to_the_family_that_answers() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        // It has an IPv6 address that nobody answers at.
        name_server(&b, "10.0.0.2:53", |_, reply| {
            let address = if is_v4(&reply) {
                "10.0.0.2"
            } else {
                "fd00::77"
            };
            vec![with(reply, address)]
        })
        .await;
        let listener = b.tcp_listen("10.0.0.2:80").await.unwrap();
        let start = Instant::now();
        let stream = a.tcp_connect("www.example:80").await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(250));
        assert_eq!(stream.peer_addr().unwrap().to_string(), "10.0.0.2:80");
        // Nothing is left of the attempt that lost.
        let states: Vec<_> = a.sockets().iter().map(|socket| socket.state).collect();
        assert_eq!(states, [Some(State::Established)]);
        drop(listener);
    });
}

#[test]
fn a_list_of_addresses_is_tried_one_after_the_other() {
    run_paused(async {
        let (a, b) = hosts(|client| client);
        let _listener = b.tcp_listen("10.0.0.2:80").await.unwrap();
        let list: [SocketAddr; 2] = [
            "[fd00::77]:80".parse().unwrap(),
            "10.0.0.2:80".parse().unwrap(),
        ];
        let start = Instant::now();
        a.tcp_connect(&list[..]).await.unwrap();
        // The first one until it has timed out, as tokio does.
        assert!(
            start.elapsed() > Duration::from_secs(60),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn a_caller_who_goes_away_leaves_no_socket() {
    run_paused(async {
        let (a, b) = hosts(|client| {
            client
                .host("none.example", "fd00::77".parse().unwrap())
                .host("none.example", "10.0.0.77".parse().unwrap())
                .happy_eyeballs(HappyEyeballs::default())
        });
        let log = name_server(&b, "10.0.0.2:53", nothing).await;
        let second = Duration::from_secs(1);
        let connecting = a.tcp_connect("none.example:80");
        assert!(tokio::time::timeout(second, connecting).await.is_err());
        let asking = a.lookup_host("www.example:80");
        assert!(tokio::time::timeout(second, asking).await.is_err());
        assert_eq!(asked(&log).len(), 2);
        // The questions' tasks end with their next turn.
        tokio::task::yield_now().await;
        assert!(a.sockets().is_empty(), "{:?}", a.sockets());
    });
}

#[test]
fn the_host_can_be_asked() {
    common::run(async {
        let (a, _) = plain_pipe();
        let net = host_a().host_resolver().build(a).unwrap();
        // What getaddrinfo knows on every machine, numbers; and a name that nobody has.
        let resolved = found(&net, "localhost.").await.unwrap();
        assert_eq!(resolved, ["127.0.0.1", "::1"]);
        let found = net.lookup_host(("0x7f000001", 80)).await.unwrap();
        assert_eq!(found.collect::<Vec<_>>(), ["127.0.0.1:80".parse().unwrap()]);
    });
}

#[test]
fn the_same_seed_asks_the_same_way() {
    let once = || {
        run_paused(async {
            let (a, b) = hosts(|client| client.seed([9; 32]));
            let log = name_server(&b, "10.0.0.2:53", both).await;
            for name in ["a.example", "b.example", "a.example"] {
                found(&a, name).await.unwrap();
            }
            let log = log.lock().unwrap();
            log.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>()
        })
    };
    let first = once();
    assert_eq!(first.len(), 4);
    assert_eq!(first, once());
}
