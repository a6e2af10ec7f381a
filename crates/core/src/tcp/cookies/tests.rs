//! Cookies kept, replaced, forgotten; failures remembered.

use core::net::Ipv4Addr;

use super::*;

const US: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn server(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

fn cookie(octet: u8) -> FastOpenCookie {
    FastOpenCookie::new(&[octet; 8]).unwrap()
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

const GRANTED: fn(u8) -> Learned = |octet| Learned {
    cookie: Some(cookie(octet)),
    mss: 1460,
    failed: false,
};
const SILENT: Learned = Learned {
    cookie: None,
    mss: 0,
    failed: true,
};
const PLAIN: Learned = Learned {
    cookie: None,
    mss: 1400,
    failed: false,
};

#[test]
fn a_cookie_is_for_the_pair_of_addresses_that_it_was_given_to() {
    let mut cookies = Cookies::new(8);
    cookies.learn(US, server(1), GRANTED(7), at(0));
    let known = Known::Cookie {
        cookie: cookie(7),
        mss: 1460,
    };
    assert_eq!(cookies.known(US, server(1), at(9)), known);
    assert_eq!(cookies.known(server(9), server(1), at(9)), Known::Nothing);
    assert_eq!(cookies.known(US, server(2), at(9)), Known::Nothing);
}

#[test]
fn the_latest_cookie_counts_and_an_answer_without_one_keeps_it() {
    let mut cookies = Cookies::new(8);
    cookies.learn(US, server(1), GRANTED(1), at(0));
    cookies.learn(US, server(1), GRANTED(2), at(1));
    cookies.learn(US, server(1), PLAIN, at(2));
    let known = Known::Cookie {
        cookie: cookie(2),
        mss: 1400,
    };
    assert_eq!(cookies.known(US, server(1), at(3)), known);
}

#[test]
fn a_server_that_does_not_know_the_option_costs_nothing() {
    let mut cookies = Cookies::new(8);
    cookies.learn(US, server(1), PLAIN, at(0));
    assert!(cookies.entries.is_empty() && cookies.order.is_empty());
}

/// RFC 7413 section 4.1.3.1: negative responses are remembered.
#[test]
fn failures_in_a_row_make_longer_pauses_and_a_success_ends_them() {
    let mut cookies = Cookies::new(8);
    cookies.learn(US, server(1), GRANTED(7), at(0));
    let mut now = 0;
    for minutes in [1, 2, 4, 8, 16, 32, 64, 64, 64] {
        cookies.learn(US, server(1), SILENT, at(now));
        let end = now + 60 * minutes;
        assert_eq!(cookies.known(US, server(1), at(end - 1)), Known::Failed);
        assert!(
            matches!(
                cookies.known(US, server(1), at(end)),
                Known::Cookie { mss: 1460, .. }
            ),
            "the cookie is still there after {minutes} minutes"
        );
        now = end;
    }
    cookies.learn(US, server(1), PLAIN, at(now));
    cookies.learn(US, server(1), SILENT, at(now));
    assert_eq!(cookies.known(US, server(1), at(now + 59)), Known::Failed);
    assert_ne!(cookies.known(US, server(1), at(now + 60)), Known::Failed);
}

#[test]
fn the_oldest_makes_room() {
    let mut cookies = Cookies::new(4);
    for number in 0..=255 {
        cookies.learn(US, server(number), GRANTED(number), at(0));
        assert!(cookies.entries.len() <= 4);
        assert_eq!(cookies.entries.len(), cookies.order.len());
    }
    assert_eq!(cookies.known(US, server(251), at(0)), Known::Nothing);
    assert_ne!(cookies.known(US, server(252), at(0)), Known::Nothing);
}
