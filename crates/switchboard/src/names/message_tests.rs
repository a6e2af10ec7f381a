use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};

use super::*;

const ID: u16 = 0x1234;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn question(family: Family) -> Question {
    Question {
        name: name("www.example."),
        family,
    }
}

fn server() -> SocketAddr {
    "10.0.0.53:53".parse().unwrap()
}

fn a(of: &str, ttl: u32, last: u8) -> Record {
    Record::from_rdata(name(of), ttl, RData::A(A::new(192, 0, 2, last)))
}

fn alias(of: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(of), ttl, RData::CNAME(CNAME(name(target))))
}

fn soa(ttl: u32, minimum: u32) -> Record {
    let soa = SOA::new(
        name("ns.example."),
        name("root.example."),
        1,
        2,
        3,
        4,
        minimum,
    );
    Record::from_rdata(name("example."), ttl, RData::SOA(soa))
}

/// An answer to the question for IPv4, as a good server makes it.
fn answer(answers: impl IntoIterator<Item = Record>) -> Message {
    let mut message = Message::response(ID, OpCode::Query);
    message.metadata.recursion_available = true;
    message.add_query(Query::query(name("WWW.Example."), RecordType::A));
    message.add_answers(answers);
    message
}

fn read(message: &Message) -> Reply {
    let octets = message.to_vec().unwrap();
    question(Family::V4).read(&octets, ID, server(), true)
}

fn read_answer(message: &Message) -> Answer {
    match read(message) {
        Reply::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn seconds(ttl: u64) -> Option<Duration> {
    Some(Duration::from_secs(ttl))
}

#[test]
fn a_question_is_what_a_server_expects() {
    let octets = question(Family::V6).message(ID, true).unwrap();
    let message = Message::from_vec(&octets).unwrap();
    assert_eq!(message.metadata.id, ID);
    assert!(message.metadata.recursion_desired);
    let asked = Query::query(name("www.example."), RecordType::AAAA);
    assert_eq!(message.queries, [asked]);
    assert_eq!(message.edns.unwrap().max_payload(), UDP_PAYLOAD);
    let plain = question(Family::V4).message(ID, false).unwrap();
    assert!(Message::from_vec(&plain).unwrap().edns.is_none());
}

#[test]
fn addresses_are_read_with_the_shortest_lifetime() {
    let records = [
        a("www.example.", 300, 1),
        a("www.example.", 200, 2),
        a("other.example.", 1, 66),
        a("www.example.", 200, 2),
    ];
    let answer = read_answer(&answer(records));
    let expected: Vec<IpAddr> = vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
    assert_eq!(answer.addresses, expected);
    assert_eq!((answer.ttl, answer.exists), (seconds(200), true));
}

#[test]
fn aliases_are_followed_in_any_order() {
    let records = [
        a("c.example.", 300, 1),
        alias("b.example.", 100, "c.example."),
        alias("www.example.", 400, "b.example."),
    ];
    let answer = read_answer(&answer(records));
    assert_eq!(answer.addresses, [IpAddr::from([192, 0, 2, 1])]);
    assert_eq!(answer.ttl, seconds(100));
}

#[test]
fn aliases_in_a_circle_are_nonsense_and_so_are_too_many() {
    let circle = [
        alias("www.example.", 60, "b.example."),
        alias("b.example.", 60, "www.example."),
    ];
    assert_eq!(read(&answer(circle)), Reply::Nonsense);

    let chain = |len: usize| {
        let of = |place: usize| match place {
            0 => "www.example.".to_owned(),
            place => format!("n{place}.example."),
        };
        let aliases = (0..len).map(move |place| alias(&of(place), 60, &of(place + 1)));
        answer(aliases.chain([a(&of(len), 60, 1)]))
    };
    assert_eq!(read_answer(&chain(ALIASES_MAX)).addresses.len(), 1);
    assert_eq!(read(&chain(ALIASES_MAX + 1)), Reply::Nonsense);
}

#[test]
fn what_does_not_answer_this_question_is_not_ours() {
    let mut other_id = answer([a("www.example.", 60, 66)]);
    other_id.metadata.id = ID + 1;
    assert_eq!(read(&other_id), Reply::NotOurs);

    let mut query = answer([]);
    query.metadata.message_type = MessageType::Query;
    assert_eq!(read(&query), Reply::NotOurs);

    let mut other_name = answer([a("www.example.", 60, 66)]);
    other_name.queries[0].name = name("wwv.example.");
    assert_eq!(read(&other_name), Reply::NotOurs);

    let mut other_type = answer([a("www.example.", 60, 66)]);
    other_type.queries[0].query_type = RecordType::AAAA;
    assert_eq!(read(&other_type), Reply::NotOurs);

    let mut nothing_asked = answer([a("www.example.", 60, 66)]);
    nothing_asked.queries.clear();
    assert_eq!(read(&nothing_asked), Reply::NotOurs);

    assert_eq!(
        question(Family::V4).read(&[0x12, 0x34, 0x80], ID, server(), true),
        Reply::NotOurs
    );
}

#[test]
fn a_server_that_understands_nothing_need_not_repeat_the_question() {
    let mut message = answer([]);
    message.queries.clear();
    message.metadata.response_code = ResponseCode::FormErr;
    assert_eq!(read(&message), Reply::Code(ResponseCode::FormErr));
}

#[test]
fn truncation_counts_in_datagrams_alone() {
    let mut message = answer([a("www.example.", 60, 1)]);
    message.metadata.truncation = true;
    assert_eq!(read(&message), Reply::Truncated);
    let octets = message.to_vec().unwrap();
    // Cut in the middle of a record, as some servers do.
    let cut = &octets[..octets.len() - 3];
    let question = question(Family::V4);
    assert_eq!(question.read(cut, ID, server(), true), Reply::Truncated);
    assert_eq!(question.read(cut, ID, server(), false), Reply::Nonsense);
    let whole = question.read(&octets, ID, server(), false);
    assert!(matches!(whole, Reply::Answer(_)));
}

#[test]
fn no_is_kept_for_as_long_as_the_soa_says() {
    let mut never = answer([]);
    never.metadata.response_code = ResponseCode::NXDomain;
    assert_eq!(read_answer(&never).ttl, None);
    never.add_authority(soa(900, 300));
    let answer = read_answer(&never);
    assert_eq!((answer.ttl, answer.exists), (seconds(300), false));
    never.authorities = vec![soa(60, 300)];
    assert_eq!(read_answer(&never).ttl, seconds(60));
}

#[test]
fn no_behind_an_alias_is_kept_no_longer_than_the_alias() {
    let mut message = answer([alias("www.example.", 20, "b.example.")]);
    message.add_authority(soa(900, 300));
    assert_eq!(read_answer(&message).ttl, seconds(20));
    message.authorities = vec![soa(10, 300)];
    assert_eq!(read_answer(&message).ttl, seconds(10));
    message.authorities.clear();
    assert_eq!(read_answer(&message).ttl, None);
}

#[test]
fn a_server_that_only_points_elsewhere_has_not_answered() {
    let mut message = answer([]);
    message.metadata.recursion_available = false;
    assert_eq!(read(&message), Reply::Nonsense);
    message.metadata.authoritative = true;
    assert!(matches!(read(&message), Reply::Answer(_)));
    message.metadata.authoritative = false;
    message.add_authority(soa(60, 60));
    assert!(matches!(read(&message), Reply::Answer(_)));
}

#[test]
fn a_lifetime_of_zero_or_below_is_none() {
    assert_eq!(read_answer(&answer([a("www.example.", 0, 1)])).ttl, None);
    let negative = answer([a("www.example.", 1 << 31, 1)]);
    assert_eq!(read_answer(&negative).ttl, None);
}

#[test]
fn each_family_has_its_own_records() {
    let mut message = answer([
        a("www.example.", 60, 1),
        Record::from_rdata(
            name("www.example."),
            60,
            RData::AAAA(AAAA("fd00::1".parse().unwrap())),
        ),
    ]);
    message.queries[0].query_type = RecordType::AAAA;
    let octets = message.to_vec().unwrap();
    let reply = question(Family::V6).read(&octets, ID, server(), true);
    let Reply::Answer(answer) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(answer.addresses, ["fd00::1".parse::<IpAddr>().unwrap()]);
}

/// What a stranger may send: any octets, and an answer of ours with any of them changed.
#[test]
fn nothing_that_arrives_can_panic() {
    let good = answer([
        alias("www.example.", 60, "b.example."),
        a("b.example.", 60, 1),
    ]);
    let good = good.to_vec().unwrap();
    for place in 0..good.len() {
        for value in [0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff] {
            let mut octets = good.clone();
            octets[place] = value;
            question(Family::V4).read(&octets, ID, server(), true);
        }
        question(Family::V4).read(&good[..place], ID, server(), false);
    }
}
