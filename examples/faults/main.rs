//! The fault run: a gateway under load, everything around it failing in turn, and a ledger at the end that must balance.
//!
//! `cargo run --release --example faults -- --for 10m` is the long one; `docs/reliability.md` says what the lines mean. The
//! gateway is this very program in a process of its own, so that it can be killed, starved and restarted.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a fault run that cannot go on ends")]
#![forbid(unsafe_code)]

mod book;
mod configuration;
mod gateway;
mod issuance;
mod ledger;
mod load;
mod mint;
mod relay;
mod report;
mod stages;
#[expect(dead_code, reason = "the tests use more of it")]
mod support;
mod upstream;
mod world;

use std::{
    io::IsTerminal as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;

use crate::{stages::Fault, world::World};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs a gateway under load while everything around it fails in turn, and prints a ledger; exits with 1 if it does not balance.
#[derive(Parser)]
struct Arguments {
    /// How long, as `40s` or `10m`: shared out among the faults.
    #[arg(long = "for", value_parser = length, default_value = "60s")]
    length: Duration,
    /// What the load's choices follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many callers send requests at a time.
    #[arg(long, default_value_t = 16)]
    callers: usize,
    /// Only these faults, by their names in the report.
    #[arg(long)]
    only: Vec<String>,
    /// Prints the ledger as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        // As the program itself does; where the kernel refuses, more memory is used.
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::disable_transparent_huge_pages(true);
        return postern::cli::run();
    }
    let arguments = Arguments::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> ExitCode {
    let begun = Instant::now();
    let world = World::build(arguments.seed).await;
    let mut working = world.work(arguments.callers, arguments.seed);
    working.push(tokio::spawn(progress(world.clone(), std::io::stderr().is_terminal())));
    let faults: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| arguments.only.is_empty() || arguments.only.iter().any(|name| name == fault.name()))
        .collect();
    let shares: u32 = faults.iter().map(|fault| fault.share()).sum();
    for fault in faults {
        stages::run(&world, fault, arguments.length * fault.share() / shares.max(1)).await;
    }
    world.finish(working).await;
    let ledger = ledger::draw_up(&world, begun.elapsed());
    if arguments.json {
        println!("{:#}", report::json(&ledger, arguments.seed));
    } else {
        print!("{}", report::text(&ledger, arguments.seed));
    }
    if ledger.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says once a second what is going on: on one line of a terminal, or a line for each stage.
async fn progress(world: World, terminal: bool) {
    let (mut before, mut said) = (0, String::new());
    while !world.is_over() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (stage, calls) = (world.book.stage_name(), world.book.calls_so_far());
        if terminal {
            eprint!("\r\x1b[K{stage}: {} requests a second, {calls} in all", calls - before);
        } else if stage != said {
            eprintln!("{stage}: {calls} requests so far");
        }
        (before, said) = (calls, stage);
    }
    if terminal {
        eprintln!();
    }
}

fn length(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} is no length of time: write one like 90s or 10m"))?;
    match unit {
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        _ => Err(format!("{text:?} has no unit: write seconds or minutes, like 90s or 10m")),
    }
}
