use hickory_proto::rr::Name;

use super::*;
use crate::names::Family;

fn question(name: &str) -> Question {
    Question {
        name: Name::from_ascii(name).unwrap(),
        family: Family::V4,
    }
}

fn answer(last: u8, ttl: u64) -> Answer {
    Answer {
        addresses: vec![[192, 0, 2, last].into()],
        exists: true,
        ttl: Some(Duration::from_secs(ttl)),
        server: "10.0.0.53:53".parse().unwrap(),
    }
}

fn cache(max: usize) -> Cache {
    Cache::new(&DnsConfig {
        cache: max,
        ..DnsConfig::default()
    })
}

#[test]
fn an_answer_is_kept_for_its_lifetime_and_no_longer() {
    let (start, mut cache) = (Instant::now(), cache(10));
    cache.put(start, question("a."), answer(1, 60));
    let just_before = start + Duration::from_millis(59_999);
    assert_eq!(cache.get(just_before, &question("a.")), Some(answer(1, 60)));
    let due = start + Duration::from_secs(60);
    assert_eq!(cache.get(due, &question("a.")), None);
}

#[test]
fn lifetimes_are_bounded_and_no_is_kept_for_less() {
    let (start, mut cache) = (Instant::now(), cache(10));
    let never = Answer {
        addresses: Vec::new(),
        ..answer(0, u64::from(u32::MAX))
    };
    cache.put(start, question("yes."), answer(1, u64::from(u32::MAX)));
    cache.put(start, question("no."), never);
    let hour = start + Duration::from_secs(3600);
    assert!(cache.get(hour, &question("yes.")).is_some());
    assert!(cache.get(hour, &question("no.")).is_none());
    let day = start + Duration::from_secs(24 * 3600);
    assert!(cache.get(day, &question("yes.")).is_none());
}

#[test]
fn the_number_of_answers_is_bounded() {
    let (start, mut cache) = (Instant::now(), cache(2));
    cache.put(start, question("short."), answer(1, 10));
    cache.put(start, question("long."), answer(2, 100));
    // The same question again takes no room.
    cache.put(start, question("long."), answer(3, 100));
    cache.put(start, question("middle."), answer(4, 50));
    assert_eq!(cache.get(start, &question("short.")), None);
    assert_eq!(cache.get(start, &question("long.")), Some(answer(3, 100)));
    assert_eq!(cache.get(start, &question("middle.")), Some(answer(4, 50)));
    assert_eq!((cache.answers.len(), cache.by_expiry.len()), (2, 2));
}

#[test]
fn what_may_not_be_kept_is_not() {
    let (start, mut cache) = (Instant::now(), cache(2));
    let answer = Answer {
        ttl: None,
        ..answer(1, 0)
    };
    cache.put(start, question("a."), answer);
    assert_eq!(cache.get(start, &question("a.")), None);
}
