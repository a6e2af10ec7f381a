use std::future::pending;

use super::*;
use crate::errors::SocketError;

fn part(family: Family, found: Result<&[&str], NameError>) -> Part<'static> {
    let found = found
        .map(|found| found.iter().map(|text| text.parse().unwrap()).collect())
        .map_err(Failure::Name);
    Part {
        family: Some(family),
        finding: Box::pin(ready(found)),
    }
}

fn no_such_name() -> NameError {
    NameError::NoSuchName { server: None }
}

fn no_address() -> NameError {
    NameError::NoAddress { server: None }
}

fn timed_out() -> NameError {
    NameError::TimedOut {
        servers: Vec::new(),
        waited: std::time::Duration::from_secs(20),
    }
}

/// What one lookup brings, each candidate having an answer for IPv6 and one for IPv4.
async fn all<'a>(
    candidates: impl IntoIterator<Item = [Result<&'a [&'a str], NameError>; 2]>,
) -> Result<Vec<String>, NameError> {
    let parts: Vec<_> = candidates
        .into_iter()
        .map(|[v6, v4]| vec![part(Family::V6, v6), part(Family::V4, v4)])
        .collect();
    let lookup = Lookup::each_of("a.test", parts.into_iter());
    match lookup.all(Family::V4).await {
        Ok(found) => Ok(found.iter().map(IpAddr::to_string).collect()),
        Err(error) => match SocketError::of(&error) {
            Some(SocketError::Name { name, why }) if name == "a.test" => Err(why.clone()),
            other => panic!("{other:?}"),
        },
    }
}

#[tokio::test]
async fn both_families_are_found_and_the_first_goes_first() {
    let found = all([[Ok(&["fd00::1"][..]), Ok(&["10.0.0.1", "10.0.0.2"])]]).await;
    assert_eq!(found.unwrap(), ["10.0.0.1", "10.0.0.2", "fd00::1"]);
}

#[tokio::test]
async fn one_family_is_enough() {
    let found = all([[Err(timed_out()), Ok(&["10.0.0.1"][..])]]).await;
    assert_eq!(found.unwrap(), ["10.0.0.1"]);
    let found = all([[Ok(&[][..]), Ok(&["10.0.0.1"])]]).await;
    assert_eq!(found.unwrap(), ["10.0.0.1"]);
}

#[tokio::test]
async fn the_next_full_name_is_asked_for_where_one_does_not_exist() {
    let no = || Err(no_such_name());
    let found = all([
        [no(), no()],
        [Err(no_address()), Err(no_address())],
        [Ok(&["fd00::1"][..]), Err(no_address())],
        [Ok(&["fd00::bad"][..]), no()],
    ]);
    assert_eq!(found.await.unwrap(), ["fd00::1"]);
}

#[tokio::test]
async fn no_other_name_is_asked_for_while_one_may_exist() {
    let found = all([
        [Err(no_address()), Err(timed_out())],
        [Ok(&["fd00::bad"][..]), Ok(&["10.0.0.66"])],
    ]);
    assert_eq!(found.await, Err(timed_out()));
}

#[tokio::test]
async fn the_error_is_the_one_that_says_most() {
    let of = |v6, v4| async { all([[Err(v6), Err(v4)]]).await.unwrap_err() };
    // That a name does not exist holds for the other family too.
    assert_eq!(of(timed_out(), no_such_name()).await, no_such_name());
    // That it has no IPv6 address does not.
    assert_eq!(of(no_address(), timed_out()).await, timed_out());
    let no = || Err(no_such_name());
    let found = all([[no(), no()], [Err(no_address()), Err(no_address())]]);
    assert_eq!(found.await, Err(no_address()));
}

#[tokio::test]
async fn what_cannot_be_a_name_is_said_so() {
    let none: [[Result<&[&str], NameError>; 2]; 0] = [];
    assert_eq!(all(none).await, Err(NameError::NotAName));
}

#[tokio::test]
async fn what_is_known_comes_before_the_rest() {
    let v6 = Part {
        family: Some(Family::V6),
        finding: Box::pin(pending()),
    };
    let parts = vec![v6, part(Family::V4, Ok(&["10.0.0.1"]))];
    let mut lookup = Lookup::each_of("a.test", [parts].into_iter());
    let first = poll_fn(|cx| lookup.poll_next(cx)).await.unwrap().unwrap();
    assert_eq!(first, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert!(lookup.awaits(Family::V6) && !lookup.awaits(Family::V4));
}
