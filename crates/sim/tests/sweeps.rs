//! One fault at every packet of every scenario.

use switchboard_sim::scenario;
use switchboard_sim::sweep::sweep;

#[test]
fn no_single_fault_breaks_a_promise() {
    let mut failures = Vec::new();
    for scenario in scenario::ALL {
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
