//! Random worlds: a few hundred on each change, ten thousand by the example `seeds`.

use switchboard_sim::scenario::{self, notes::Notes};
use switchboard_sim::trace::Keep;
use switchboard_sim::{Seed, World, swarm};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 200;

#[test]
fn two_hundred_random_worlds_keep_every_promise() {
    for seed in 0..SEEDS {
        if let Err(failure) = swarm::run(Seed(seed)) {
            panic!("{}", failure.report());
        }
    }
}

/// Seeds that once broke a promise: a window counted from a new SND.UNA (87, 98, 220),
/// identifications that came again (5971), an outage longer than any user timeout (1045), a
/// congestion window below one segment with nothing under way and no timer (29536).
const ONCE_BROKEN: [u64; 6] = [87, 98, 220, 1_045, 5_971, 29_536];

#[test]
fn what_was_broken_once_stays_whole() {
    for seed in ONCE_BROKEN {
        if let Err(failure) = swarm::run(Seed(seed)) {
            panic!("{}", failure.report());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_ladder_octet_for_octet() {
    let run = |seed| {
        let mut world = World::new(Seed(seed));
        world.trace_mut().keep(Keep::All);
        swarm::populate(&mut world);
        world.run_until_idle().expect("every promise is kept");
        (world.trace().ladder(), world.trace().pcapng())
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}

#[test]
fn udp_loses_notes_and_tcp_does_not() {
    let notes = Notes::default();
    let udp = notes.over_udp(Seed(1)).expect("every promise is kept");
    let tcp = notes.over_tcp(Seed(1)).expect("every promise is kept");
    println!(
        "udp {} arrived, in order {}, {} packets, last at {}",
        udp.arrived, udp.in_order, udp.packets, udp.last_at
    );
    println!(
        "tcp {} arrived, {} packets, {} sent again, last at {}",
        tcp.arrived, tcp.packets, tcp.sent_again, tcp.last_at
    );
    assert!((850..950).contains(&udp.arrived));
    assert_eq!(tcp.arrived, 1000);
    assert!(tcp.sent_again > 0);
    let story = tcp.a_note_sent_again().expect("one of a thousand is lost");
    for rung in &story {
        println!("{rung}");
    }
    assert!(story.len() >= 2);
}

#[test]
fn every_scenario_has_a_name_of_its_own() {
    for scenario in scenario::ALL {
        assert_eq!(scenario::named(scenario.name).name, scenario.name);
        let same = scenario::ALL.iter().filter(|s| s.name == scenario.name);
        assert_eq!(same.count(), 1, "{}", scenario.name);
    }
}
