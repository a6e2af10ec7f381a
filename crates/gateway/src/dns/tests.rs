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
use crate::config::{DnsServers, GatewayConfig};
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
    desk.ask("good.example.", RecordType::A).await;
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
