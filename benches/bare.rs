//! Verifications by the library alone, in turns: what `benches/compare` holds the cost of a new token to. Its arguments are
//! `turns` and an algorithm; for each line that it reads, a number of milliseconds, it verifies for so long and says how often.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has to stop")]

#[path = "bare/signatures.rs"]
mod signatures;

use std::{
    env,
    hint::black_box,
    io,
    time::{Duration, Instant},
};

use jsonwebtoken::Algorithm;

use self::signatures::key_and_signatures;

/// So often without looking at the clock.
const AT_ONCE: usize = 16;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let algorithm = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["turns", "RS256"] => Algorithm::RS256,
        ["turns", "ES256"] => Algorithm::ES256,
        ["turns", "EdDSA"] => Algorithm::EdDSA,
        _ => return println!("bare: nothing to measure by itself; benches/compare/run asks it to take turns"),
    };
    let (key, signed) = key_and_signatures(algorithm);
    let mut in_turn = signed.iter().cycle();
    say(0);
    for line in io::stdin().lines() {
        let milliseconds = line.expect("a line").trim().parse().expect("milliseconds");
        let (begun, mut verified) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_millis(milliseconds) {
            for signed in in_turn.by_ref().take(AT_ONCE) {
                let signed = black_box(signed);
                key.verify_sig(&signed.message, &signed.signature).expect("its signature");
            }
            verified += AT_ONCE;
        }
        say(verified);
    }
}

fn say(verified: usize) {
    println!("{{\"verified\": {verified}}}");
}
