//! One fault at every packet of every scenario. `SCENARIO=datagrams` runs only those whose
//! name contains that.

use switchboard_sim::scenario;
use switchboard_sim::sweep::sweep;

#[test]
fn no_single_fault_breaks_a_promise() {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut failures = Vec::new();
    let chosen = scenario::ALL.iter().filter(|s| s.name.contains(&wanted));
    for scenario in chosen {
        match sweep(scenario) {
            Ok(report) => println!(
                "{:>4} packets, {:>5} runs: {}",
                report.packets, report.runs, scenario.name
            ),
            Err(failure) => {
                println!("{}\n{}", scenario.name, failure.report());
                failures.push(scenario.name);
            }
        }
    }
    assert!(failures.is_empty(), "broken by one fault: {failures:?}");
}
