//! "A simulated 20-host cluster of real tokio code, 1 hour of virtual time with crashes and
//! partitions, same seed twice: identical traces."

use std::time::Duration;

use switchboard::sim::Builder;

#[path = "../../examples/cluster.rs"]
mod example;

#[test]
fn an_hour_of_a_cluster_with_faults_is_the_same_twice() {
    let limit = Duration::from_secs(3700);
    let report = Builder::new()
        .seed(1)
        .time_limit(limit)
        .twice(example::scenario(3600));
    let report = report.unwrap();
    println!("{report}");
    assert!(report.packets > 100_000, "{report}");
}

#[test]
fn a_cluster_holds_for_other_seeds_too() {
    for seed in 2..6 {
        Builder::new()
            .seed(seed)
            .run(example::scenario(600))
            .unwrap();
    }
}
