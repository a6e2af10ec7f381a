use super::*;

#[test]
fn what_is_no_line_is_refused_with_its_number() {
    for (text, words) in [
        ("0ms app fly", "cannot"),
        ("0ms app connect\n0ms => SYN", "none of"),
        ("0ms -> SYM", "flags"),
        ("5ms app connect\n4ms app close", "earlier"),
        ("0ms app connect\nset mtu=1500", "first"),
        ("set mtu=x", "number"),
        ("set colour=blue", "colour"),
        ("0ms <- icmp nonsense from 10.0.0.1", "nonsense"),
        ("0ms <- udp 1 > 2 long", "len"),
    ] {
        let error = Script::parse("here", text).expect_err(text);
        assert!(error.contains(words), "{error}");
        let number = text.lines().count();
        assert!(error.starts_with(&format!("here:{number}: ")), "{error}");
    }
}

#[test]
fn a_line_without_time_happens_with_the_one_above() {
    let script = Script::parse("here", "5ms app connect\n app close\n +3ms end").expect("a script");
    let times: Vec<u64> = script.items.iter().map(|i| i.at.as_millis()).collect();
    assert_eq!(times, [5, 5, 8]);
}

#[test]
fn a_mismatch_shows_both_ladders_and_can_be_rewritten() {
    let text = "# Why.\n\
                set nodelay=on\n   \
                0ms  app  connect\n   \
                0ms  ->   SYN      seq=5\n\
                # Nothing else.\n  \
                10ms  end\n";
    let script = Script::parse("here", text).expect("a script");
    let mismatch = script.run().expect_err("our SYN has number 0");
    let shown = mismatch.to_string();
    assert!(shown.contains(">>    0ms  ->   SYN      seq=5"), "{shown}");
    let rewritten = mismatch.rewritten();
    assert!(
        rewritten.starts_with("# Why.\nset nodelay=on\n"),
        "{rewritten}"
    );
    assert!(rewritten.contains("# Nothing else.\n"), "{rewritten}");
    let again = Script::parse("here", &rewritten).expect("a script");
    assert!(again.run().is_ok(), "{rewritten}");
}

#[test]
fn silence_is_a_claim() {
    let script = Script::parse("here", "0ms app connect\n10ms end").expect("a script");
    assert!(script.run().is_err());
}
