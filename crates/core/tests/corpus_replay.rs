//! The fuzz targets on stable Rust: the committed corpora once, then inputs made from a seed
//! for as long as `SWITCHBOARD_FUZZ_SECONDS` says (1 s where it says nothing).
//!
//! `SWITCHBOARD_FUZZ_SEED` chooses the seed. An input that fails is written to a file, which
//! goes into the corpus together with the fix.

#[path = "../../../fuzz/bodies/mod.rs"]
#[allow(unreachable_pub, reason = "a crate of its own under cargo-fuzz")]
mod bodies;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 3] = [
    ("wire_parse", bodies::wire_parse),
    ("stack_random", bodies::stack_random),
    ("stack_mutated", bodies::stack_mutated),
];

/// Growth of the process that many inputs may cause: the allocator's own, and no leak.
const GROWTH_MAX_OCTETS: usize = 64 << 20;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut inputs: Vec<_> = fs::read_dir(folder)
        .expect("the corpus is committed")
        .map(|entry| entry.expect("a readable folder").path())
        .map(|path| (path.clone(), fs::read(path).expect("a readable file")))
        .collect();
    inputs.sort();
    inputs
}

/// Runs one input; a panic says which.
fn run(target: &str, body: Body, input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| body(input))).is_err() {
        let path = std::env::temp_dir().join(format!("switchboard-{target}-failed"));
        fs::write(&path, input).expect("a writable folder for temporary files");
        panic!(
            "{target} failed on {origin}; the input is in {}",
            path.display()
        );
    }
}

#[test]
fn corpora_replay() {
    for (target, body) in TARGETS {
        let inputs = corpus(target);
        assert!(!inputs.is_empty(), "{target} has no corpus");
        for (path, input) in inputs {
            run(target, body, &input, &path.display().to_string());
        }
    }
    let reached = bodies::reached();
    // RFC 9293 section 3.3.2 has eleven states, CLOSED among them.
    assert_eq!(reached.states, [true; 11], "states that the corpora reach");
    for (what, count) in &reached.counts {
        assert!(*count > 0, "the corpora reach no {what}");
    }
}

/// One input, for looking at: `SWITCHBOARD_FUZZ_INPUT` is its file; with
/// `SWITCHBOARD_FUZZ_TRACE` set every packet and call is printed.
#[test]
fn one_input() {
    let Some(path) = std::env::var_os("SWITCHBOARD_FUZZ_INPUT") else {
        return;
    };
    let input = fs::read(path).expect("a readable file");
    for (_, body) in TARGETS {
        body(&input);
    }
}

/// A small generator of its own: the inputs of a seed are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // Weyl sequence through a finaliser with good avalanche (xor-shift-multiply).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// New octets, or an input of the corpus with some of its octets changed, cut out,
    /// repeated, or continued.
    fn input(&mut self, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
        if corpus.is_empty() || self.below(3) == 0 {
            let len = 1 << self.below(12);
            return self.octets(len);
        }
        let at = self.below(corpus.len());
        let mut input = corpus
            .get(at)
            .map(|(_, input)| input.clone())
            .unwrap_or_default();
        for _ in 0..=self.below(8) {
            let (from, len) = (self.below(input.len()), 1 + self.below(16));
            let to = (from + len).min(input.len());
            match self.below(5) {
                0 => drop(input.drain(from..to)),
                1 => input.extend_from_within(from..to),
                2 => {
                    let fresh = self.octets(len);
                    input.splice(from..from, fresh);
                }
                3 => input.extend(self.octets(len)),
                _ => {
                    if let Some(octet) = input.get_mut(from) {
                        *octet = self.next() as u8;
                    }
                }
            }
        }
        input
    }
}

/// Octets of memory that the process holds, where the system says so.
fn resident() -> Option<usize> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn inputs_from_a_seed() {
    let seconds = setting("SWITCHBOARD_FUZZ_SECONDS").unwrap_or(1);
    let seed = setting("SWITCHBOARD_FUZZ_SEED").unwrap_or(1);
    for (target, body) in TARGETS {
        let corpus = corpus(target);
        let mut random = Random(seed);
        let began = Instant::now();
        let share = Duration::from_secs(seconds) / TARGETS.len() as u32;
        let (mut count, mut settled) = (0u64, None);
        while began.elapsed() < share {
            let input = random.input(&corpus);
            run(
                target,
                body,
                &input,
                &format!("input {count} of seed {seed}"),
            );
            count += 1;
            if settled.is_none() && began.elapsed() > share / 4 {
                settled = resident();
            }
        }
        let (before, after) = (settled.unwrap_or(0), resident().unwrap_or(0));
        eprintln!("{target}: {count} inputs, {} MiB resident", after >> 20);
        if settled.is_some() {
            assert!(
                after < before + GROWTH_MAX_OCTETS,
                "{target}: memory grows from {before} to {after} octets"
            );
        }
    }
}
