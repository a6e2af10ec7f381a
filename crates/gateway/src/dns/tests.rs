//! The directory against servers of the test's own, on this machine's loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use switchboard_wire::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::config::{DnsRoute, DnsServers, GatewayConfig};
use crate::forward::Forwards;
use crate::holders::Holders;
use crate::observer::{Observer, Observers, Transport};
use crate::policy::{AllowAll, Policy};
use crate::recorder::HandshakeRecorder;
use crate::registry::{Registry, lock};

#[derive(Default)]
struct Heard(Mutex<Vec<Resolution>>);

impl Observer for Heard {
    fn observe(&self, happening: &Happening) {
        if let Happening::Resolved { resolution, .. } = happening {
            lock(&self.0).push(resolution.clone());
        }
    }
}

struct Desk {
    directory: Directory,
    heard: Arc<Heard>,
}

fn desk(servers: Vec<SocketAddr>) -> Desk {
    desk_with(servers, Arc::new(AllowAll))
}

fn desk_with(servers: Vec<SocketAddr>, policy: Arc<dyn Policy>) -> Desk {
    let config = GatewayConfig {
        dns_servers: DnsServers::These(servers),
        ..GatewayConfig::default()
    };
    desk_of(config, policy)
}

fn desk_of(config: GatewayConfig, policy: Arc<dyn Policy>) -> Desk {
    let heard = Arc::new(Heard::default());
    let mut observers = Observers::default();
    observers.push(heard.clone());
    let limits = config.limits;
    let holders = Holders::new(None, Observers::default(), false, &limits);
    let context = Arc::new(Context {
        observers,
        policy,
        registry: Registry::new(limits, holders.clone()),
        holders,
        recorder: HandshakeRecorder::new(&limits),
        names: Names::new(limits.names),
        flows: AtomicU64::new(0),
        forwards: Forwards::default(),
        config,
        loopback_dial: None,
    });
    Desk {
        directory: Directory::new(context),
        heard,
    }
}

impl Desk {
    async fn ask_over(&self, over: Transport, message: &[u8]) -> Option<Message> {
        let client: SocketAddr = "10.0.2.100:40112".parse().unwrap();
        let directory: SocketAddr = "10.0.2.3:53".parse().unwrap();
        let ends = crate::context::Ends {
            from: client,
            to: directory,
        };
        let flow = self.directory.context.flow(over, ends);
        let protocol = over.protocol().unwrap();
        let question = Question {
            message,
            client: Endpoint {
                protocol,
                address: client,
            },
            directory: Endpoint {
                protocol,
                address: directory,
            },
            flow: &flow,
        };
        let answer = self.directory.answer(question).await?;
        Some(Message::from_vec(&answer).unwrap())
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Message {
        let message = question(name, kind);
        let answer = self.ask_over(Transport::Udp, &message).await;
        answer.expect("an answer")
    }

    fn last(&self) -> Resolution {
        lock(&self.heard.0).last().cloned().expect("told of")
    }
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.set_edns(Edns::new());
    message.to_vec().unwrap()
}

fn addresses_of(message: &Message) -> Vec<String> {
    addresses(message).map(|(ip, _)| ip.to_string()).collect()
}

/// A server that answers `good.example` by an alias, `big.example` with too much for UDP, and
/// knows nothing else.
async fn server() -> SocketAddr {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (len, from) = udp.recv_from(&mut buffer).await.unwrap();
            // Somebody forges an answer first: wrong identifier.
            let mut forged = reply(&buffer[..len], true);
            forged[0] ^= 0xff;
            udp.send_to(&forged, from).await.unwrap();
            udp.send_to(&reply(&buffer[..len], true), from)
                .await
                .unwrap();
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let len = usize::from(stream.read_u16().await.unwrap());
            let mut message = vec![0; len];
            stream.read_exact(&mut message).await.unwrap();
            let reply = reply(&message, false);
            stream
                .write_u16(u16::try_from(reply.len()).unwrap())
                .await
                .unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    address
}

fn reply(query: &[u8], over_udp: bool) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let asked = query.queries[0].clone();
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.metadata.recursion_available = true;
    reply.add_query(asked.clone());
    let name = asked.name().clone();
    let a = |name, n| Record::from_rdata(name, 60, RData::A(A(Ipv4Addr::new(192, 0, 2, n))));
    match name.to_ascii().as_str() {
        "good.example." => {
            let alias = Name::from_ascii("cdn.example.net.").unwrap();
            let cname = RData::CNAME(CNAME(alias.clone()));
            reply.add_answer(Record::from_rdata(name, 60, cname));
            reply.add_answer(a(alias, 7));
        }
        "big.example." if over_udp => reply.metadata.truncation = true,
        "big.example." => {
            for n in 0..200 {
                reply.add_answer(a(name.clone(), n));
            }
        }
        "broken.example." => reply.metadata.response_code = ResponseCode::Refused,
        _ => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    reply.to_vec().unwrap()
}

#[tokio::test]
async fn names_of_ours_are_answered_without_any_server() {
    let desk = desk(vec![]);
    let answer = desk.ask("switchboard.internal.", RecordType::A).await;
    assert_eq!(answer.metadata.id, 0x1234);
    assert!(answer.edns.is_some(), "who asks with EDNS is answered so");
    assert_eq!(addresses_of(&answer), ["10.0.2.4"]);
    assert_eq!(
        desk.last(),
        Resolution::Addresses(vec!["10.0.2.4".parse().unwrap()])
    );
    let answer = desk.ask("Switchboard.Internal.", RecordType::AAAA).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty(), "an A record alone");
    assert_eq!(desk.last(), Resolution::NoData);
    let answer = desk.ask("v6.switchboard.internal.", RecordType::AAAA).await;
    assert_eq!(addresses_of(&answer), ["fd5b:2::4"]);
    let answer = desk
        .ask("silent.switchboard.internal.", RecordType::A)
        .await;
    assert_eq!(addresses_of(&answer), ["10.0.2.5"]);
    let answer = desk
        .ask("nobody.switchboard.internal.", RecordType::A)
        .await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    let answer = desk.ask("localhost.", RecordType::A).await;
    assert_eq!(addresses_of(&answer), ["127.0.0.1"]);
    let answer = desk.ask("db.localhost.", RecordType::AAAA).await;
    assert_eq!(addresses_of(&answer), ["::1"]);
    let answer = desk.ask("4.2.0.10.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!(answer.answers.len(), 1, "{answer}");
}

#[tokio::test]
async fn other_names_come_from_the_server_and_label_their_addresses() {
    let desk = desk(vec![server().await]);
    let answer = desk.ask("good.example.", RecordType::A).await;
    assert_eq!(addresses_of(&answer), ["192.0.2.7"]);
    let name = desk
        .directory
        .context
        .names
        .get("192.0.2.7".parse().unwrap());
    assert_eq!(
        name.as_deref(),
        Some("good.example"),
        "the name that was typed"
    );
    let answer = desk.ask("nosuch.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(desk.last(), Resolution::NoSuchName);
    let answer = desk.ask("broken.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn what_does_not_fit_comes_over_tcp() {
    let desk = desk(vec![server().await]);
    let message = question("big.example.", RecordType::A);
    let short = desk.ask_over(Transport::Udp, &message).await.unwrap();
    assert!(short.metadata.truncation);
    assert!(!short.answers.is_empty(), "asked over TCP for the client");
    let whole = desk.ask_over(Transport::Tcp, &message).await.unwrap();
    assert_eq!(whole.answers.len(), 200);
}

#[tokio::test]
async fn servers_out_of_reach_are_told_at_once() {
    let closed = {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.local_addr().unwrap()
    };
    let desk = desk(vec![closed]);
    let started = Instant::now();
    let answer = desk.ask("good.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(desk.last(), Resolution::NoServer);
    assert!(started.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_silent_server_is_passed_over_and_then_asked_last() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let desk = desk(vec![silent.local_addr().unwrap(), server().await]);
    let answer = desk.ask("good.example.", RecordType::A).await;
    assert_eq!(addresses_of(&answer), ["192.0.2.7"]);
    let started = Instant::now();
    // Another name: what is known is not asked for.
    let answer = desk.ask("nosuch.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert!(started.elapsed() < Duration::from_millis(500), "demoted");
}

#[tokio::test]
async fn nonsense_is_a_format_error_and_answers_are_not_answered() {
    let desk = desk(vec![]);
    let mut nonsense = question("good.example.", RecordType::A);
    nonsense.truncate(16);
    let answer = desk.ask_over(Transport::Udp, &nonsense).await.unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    let mut response = question("good.example.", RecordType::A);
    response[2] |= 0x80;
    assert!(desk.ask_over(Transport::Udp, &response).await.is_none());
    assert!(desk.ask_over(Transport::Udp, &[1, 2, 3]).await.is_none());
}

#[tokio::test]
async fn a_name_that_policy_refuses_is_not_looked_up() {
    struct Nobody;
    impl Policy for Nobody {
        fn flow(&self, _: &Flow) -> Verdict {
            Verdict::Pass
        }
        fn name(&self, _: &str, _: SocketAddr, _: Option<&crate::Program>) -> Verdict {
            Verdict::silent("not on the list")
        }
    }
    let desk = desk_with(vec![server().await], Arc::new(Nobody));
    let answer = desk.ask("good.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    let edns = answer.edns.expect("EDNS");
    let said = edns.option(15_u16.into()).expect("an extended error");
    assert_eq!(*said, EdnsOption::Unknown(15, vec![0, 15]));
    assert_eq!(
        desk.last(),
        Resolution::Policy("not on the list".to_owned())
    );
}

/// A server that answers every A with its number and counts the questions.
async fn counting(number: u8) -> (SocketAddr, Arc<AtomicU64>) {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = udp.local_addr().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (len, from) = udp.recv_from(&mut buffer).await.unwrap();
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let query = Message::from_vec(&buffer[..len]).unwrap();
            let asked = query.queries[0].clone();
            let mut reply = Message::response(query.metadata.id, OpCode::Query);
            reply.add_query(asked.clone());
            let data = RData::A(A(Ipv4Addr::new(192, 0, 2, number)));
            reply.add_answer(Record::from_rdata(asked.name().clone(), 60, data));
            reply.set_edns(Edns::new());
            udp.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
        }
    });
    (address, count)
}

fn asked(count: &AtomicU64) -> u64 {
    count.load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn the_same_question_is_asked_outside_once() {
    let (server, count) = counting(9).await;
    let desk = desk(vec![server]);
    for spelling in ["www.example.", "WWW.example.", "www.example."] {
        let answer = desk.ask(spelling, RecordType::A).await;
        assert_eq!(addresses_of(&answer), ["192.0.2.9"]);
        assert_eq!(answer.metadata.id, 0x1234);
        let question = answer.queries[0].name().to_ascii();
        assert_eq!(question, spelling, "letters as they were asked");
        assert!(answer.edns.is_some());
        assert_eq!(
            desk.last(),
            Resolution::Addresses(vec!["192.0.2.9".parse().unwrap()])
        );
    }
    assert_eq!(asked(&count), 1);

    // Without EDNS it is another hop's business; the answer is the same one, without EDNS.
    let mut plain = Message::new(7, MessageType::Query, OpCode::Query);
    plain.metadata.recursion_desired = true;
    let name = Name::from_ascii("www.example.").unwrap();
    plain.add_query(Query::query(name, RecordType::A));
    let answer = desk
        .ask_over(Transport::Udp, &plain.to_vec().unwrap())
        .await;
    assert!(answer.unwrap().edns.is_none());
    assert_eq!(asked(&count), 1);

    // One of a kind: with an option of EDNS.
    let mut cookie = Edns::new();
    let option = EdnsOption::Unknown(10, vec![1; 8]);
    cookie.options_mut().insert(option);
    plain.set_edns(cookie);
    desk.ask_over(Transport::Udp, &plain.to_vec().unwrap())
        .await;
    assert_eq!(asked(&count), 2);
}

#[tokio::test]
async fn a_suffix_has_servers_of_its_own() {
    let ((general, _), (corp, corp_count)) = (counting(1).await, counting(2).await);
    let config = GatewayConfig {
        dns_servers: DnsServers::These(vec![general]),
        dns_routes: vec![DnsRoute {
            suffix: "corp".to_owned(),
            servers: vec![corp],
        }],
        ..GatewayConfig::default()
    };
    let desk = desk_of(config, Arc::new(AllowAll));
    let answer = desk.ask("Db.Corp.", RecordType::A).await;
    assert_eq!(addresses_of(&answer), ["192.0.2.2"]);
    let answer = desk.ask("www.example.", RecordType::A).await;
    assert_eq!(addresses_of(&answer), ["192.0.2.1"]);
    let answer = desk.ask("acorp.", RecordType::A).await;
    assert_eq!(addresses_of(&answer), ["192.0.2.1"]);
    assert_eq!(asked(&corp_count), 1);
}

#[tokio::test]
async fn the_hosts_own_table_comes_before_the_servers() {
    let path = std::env::temp_dir().join(format!("sb-hosts-{}", std::process::id()));
    std::fs::write(&path, "192.0.2.77 db.corp db\n2001:db8::77 six\n").unwrap();
    let (server, count) = counting(1).await;
    let config = GatewayConfig {
        dns_servers: DnsServers::These(vec![server]),
        hosts_file: Some(path.clone()),
        ..GatewayConfig::default()
    };
    let desk = desk_of(config, Arc::new(AllowAll));
    std::fs::remove_file(&path).unwrap();
    let answer = desk.ask("DB.corp.", RecordType::A).await;
    assert_eq!(addresses_of(&answer), ["192.0.2.77"]);
    let answer = desk.ask("db.corp.", RecordType::AAAA).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty());
    let answer = desk.ask("six.", RecordType::AAAA).await;
    assert_eq!(addresses_of(&answer), ["2001:db8::77"]);
    let answer = desk.ask("77.2.0.192.in-addr.arpa.", RecordType::PTR).await;
    assert!(answer.answers[0].to_string().contains("db.corp."));
    assert_eq!(asked(&count), 0);
    desk.ask("db.corp.", RecordType::TXT).await;
    assert_eq!(asked(&count), 1, "the table says nothing of that");
}

/// What does not fit is cut to what the client said, or to 512 octets where it said nothing, and
/// says so with EDNS to whom asked with EDNS.
#[tokio::test]
async fn an_answer_keeps_to_the_clients_size() {
    let path = std::env::temp_dir().join(format!("sb-hosts-big-{}", std::process::id()));
    let lines = (0..60).map(|n| format!("192.0.2.{n} big\n"));
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    let config = GatewayConfig {
        hosts_file: Some(path.clone()),
        ..GatewayConfig::default()
    };
    let desk = desk_of(config, Arc::new(AllowAll));
    std::fs::remove_file(&path).unwrap();
    let ask = async |edns: Option<u16>, over| {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii("big.").unwrap();
        message.add_query(Query::query(name, RecordType::A));
        if let Some(payload) = edns {
            let mut edns = Edns::new();
            edns.set_max_payload(payload);
            message.set_edns(edns);
        }
        let answer = desk
            .ask_over(over, &message.to_vec().unwrap())
            .await
            .unwrap();
        let count = answer.answers.len();
        (answer.metadata.truncation, count, answer.edns.is_some())
    };
    assert_eq!(ask(None, Transport::Udp).await, (true, 30, false));
    assert_eq!(ask(Some(100), Transport::Udp).await, (true, 30, true));
    assert_eq!(ask(Some(900), Transport::Udp).await, (true, 54, true));
    assert_eq!(ask(Some(1_232), Transport::Udp).await, (false, 60, true));
    assert_eq!(ask(None, Transport::Tcp).await, (false, 60, false));
}
