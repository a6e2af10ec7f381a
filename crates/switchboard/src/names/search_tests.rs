use super::*;

fn tried(name: &str, ndots: u8) -> Vec<String> {
    let config = DnsConfig {
        search: vec!["corp.example".into(), "lab.example.".into()],
        ndots,
        ..DnsConfig::default()
    };
    let names = candidates(name, &config);
    names.iter().map(Name::to_ascii).collect()
}

#[test]
fn a_name_with_enough_dots_is_tried_as_it_is_first() {
    assert_eq!(
        tried("db.east", 1),
        ["db.east.", "db.east.corp.example.", "db.east.lab.example."]
    );
    assert_eq!(
        tried("db.east", 2),
        ["db.east.corp.example.", "db.east.lab.example.", "db.east."]
    );
    assert_eq!(
        tried("DB", 1),
        ["db.corp.example.", "db.lab.example.", "db."]
    );
}

#[test]
fn a_dot_at_the_end_means_this_name_alone() {
    assert_eq!(tried("db.", 1), ["db."]);
}

#[test]
fn what_is_no_name_gives_none() {
    let long = "a".repeat(64);
    for no in ["", ".", "a..b", "b\u{fc}cher.example", &long] {
        assert!(tried(no, 1).is_empty(), "{no}");
    }
}
