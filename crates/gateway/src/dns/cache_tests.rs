use std::net::Ipv4Addr;

use hickory_proto::op::{MessageType, OpCode, Query};
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::{A, CNAME, SOA};

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn key(text: &str) -> Key {
    Key {
        name: text.to_owned(),
        record_type: RecordType::A,
        flags: [false; 4],
    }
}

fn response(code: ResponseCode) -> Message {
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.metadata.response_code = code;
    message.add_query(Query::query(name("a.example."), RecordType::A));
    message
}

fn a(ttl: u32) -> Record {
    let data = RData::A(A(Ipv4Addr::new(192, 0, 2, 7)));
    Record::from_rdata(name("a.example."), ttl, data)
}

fn soa(ttl: u32, minimum: u32) -> Record {
    let soa = SOA::new(name("example."), name("x.example."), 1, 1, 1, 1, minimum);
    Record::from_rdata(name("example."), ttl, RData::SOA(soa))
}

fn answer(ttl: u32) -> Message {
    let mut message = response(ResponseCode::NoError);
    message.add_answer(a(ttl));
    message
}

fn no(code: ResponseCode, ttl: u32, minimum: u32) -> Message {
    let mut message = response(code);
    message.authorities.push(soa(ttl, minimum));
    message
}

fn server() -> SocketAddr {
    "192.0.2.53:53".parse().unwrap()
}

struct Desk {
    cache: Cache,
    begin: Instant,
}

impl Desk {
    fn new(max: usize) -> Self {
        let desk = Self {
            cache: Cache::new(max),
            begin: Instant::now(),
        };
        desk.get("first question", 0);
        desk
    }

    fn at(&self, seconds: u64) -> Instant {
        self.begin + Duration::from_secs(seconds)
    }

    fn put(&self, text: &str, message: &Message, seconds: u64) {
        let octets = message.to_vec().unwrap();
        self.cache
            .put(key(text), &octets, server(), self.at(seconds));
    }

    fn get(&self, text: &str, seconds: u64) -> Option<Message> {
        let found = self.cache.get(&key(text), &[server()], self.at(seconds));
        found.map(|(message, _)| message)
    }
}

#[test]
fn an_answer_is_good_for_its_time_to_live_and_says_what_is_left() {
    let desk = Desk::new(10);
    desk.put("a", &answer(60), 0);
    assert_eq!(desk.get("a", 0).unwrap().answers[0].ttl, 60);
    assert_eq!(desk.get("a", 59).unwrap().answers[0].ttl, 1);
    assert_eq!(desk.get("a", 60), None);
}

#[test]
fn the_shortest_record_decides() {
    let desk = Desk::new(10);
    let mut message = answer(60);
    let alias = RData::CNAME(CNAME(name("b.example.")));
    message.add_answer(Record::from_rdata(name("c.example."), 5, alias));
    desk.put("a", &message, 0);
    assert!(desk.get("a", 4).is_some());
    assert_eq!(desk.get("a", 5), None);
}

#[test]
fn a_no_lives_as_its_soa_says() {
    let desk = Desk::new(10);
    for code in [ResponseCode::NXDomain, ResponseCode::NoError] {
        desk.put("minimum", &no(code, 600, 30), 0);
        assert_eq!(
            desk.get("minimum", 29).unwrap().metadata.response_code,
            code
        );
        assert_eq!(desk.get("minimum", 30), None);
        desk.put("own", &no(code, 20, 300), 0);
        assert!(desk.get("own", 19).is_some());
        assert_eq!(desk.get("own", 20), None);
        desk.put("long", &no(code, 86_400, 86_400), 0);
        assert!(desk.get("long", 3_599).is_some());
        assert_eq!(desk.get("long", 3_600), None);
    }
}

#[test]
fn what_is_no_answer_is_not_kept() {
    let desk = Desk::new(10);
    let mut truncated = answer(60);
    truncated.metadata.truncation = true;
    let table = [
        ("no SOA", response(ResponseCode::NXDomain)),
        ("failure", no(ResponseCode::ServFail, 60, 60)),
        ("refusal", no(ResponseCode::Refused, 60, 60)),
        ("no time", answer(0)),
        ("a time with the first bit set", answer(0x8000_0001)),
        ("truncated", truncated),
    ];
    for (what, message) in table {
        desk.put(what, &message, 0);
        assert_eq!(desk.get(what, 0), None, "{what}");
    }
}

#[test]
fn no_more_than_its_bound_and_the_least_time_goes_first() {
    let desk = Desk::new(2);
    desk.put("long", &answer(60), 0);
    desk.put("short", &answer(10), 0);
    desk.put("longer", &answer(90), 0);
    assert_eq!(desk.get("short", 1), None);
    assert!(desk.get("long", 1).is_some());
    assert!(desk.get("longer", 1).is_some());
    // Learned again: the old end of it is forgotten.
    desk.put("long", &answer(600), 1);
    desk.put("new", &answer(100), 1);
    assert_eq!(desk.get("longer", 2), None);
    assert!(desk.get("long", 500).is_some());
    let table = lock(&desk.cache.table);
    assert_eq!((table.kept.len(), table.by_end.len()), (2, 2));
}

#[test]
fn other_servers_may_know_other_names() {
    let desk = Desk::new(10);
    desk.put("a", &answer(60), 0);
    let other = "198.51.100.53:53".parse().unwrap();
    assert_eq!(desk.cache.get(&key("a"), &[other], desk.at(1)), None);
    assert_eq!(desk.get("a", 1), None);
}
