//! Counts the instructions of what a request goes through, one case after the other under callgrind, and compares them with those
//! of `benches/instructions.toml`. A count does not depend on what else the machine does, so a change of a few in a hundred shows.
//!
//! `cargo bench --bench instructions [-- [--bless] [PART OF A NAME]...]`; benches/README.md says how to read it.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has to stop")]

mod baseline;
mod callgrind;
mod cases;
mod conditions;
mod counter;
mod table;

use std::{collections::BTreeMap, env, process::ExitCode};

use self::{
    baseline::Baseline,
    cases::{CASES, EMPTY},
    conditions::Conditions,
    counter::Counter,
};

/// As in the program: what allocating costs is counted, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tells the program that callgrind runs it, for the case whose name comes next.
const ONE_CASE: &str = "--one-case";
/// Tells the program that valgrind runs it, to see the processor that valgrind shows.
const PROCESSOR: &str = "--processor";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        [ONE_CASE, name] => {
            let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
            let mut counter = Counter::default();
            (case.run)(&mut counter);
            println!("{}", counter.iterations());
            ExitCode::SUCCESS
        }
        [PROCESSOR] => {
            println!("{}", conditions::processor());
            ExitCode::SUCCESS
        }
        // Cargo adds this one for `cargo bench` alone.
        _ if !arguments.contains(&"--bench") => {
            println!("this is a benchmark: cargo bench --bench instructions");
            ExitCode::SUCCESS
        }
        _ => {
            let (options, wanted): (Vec<&str>, Vec<&str>) =
                arguments.into_iter().filter(|argument| *argument != "--bench").partition(|word| word.starts_with('-'));
            let outcome = match *options {
                [] => compare(&wanted),
                ["--bless"] if wanted.is_empty() => bless(),
                // `cargo bench -- --save-baseline main` is for the others.
                _ => {
                    println!("instructions: left out; its arguments are [--bless | PART OF A NAME...]");
                    Ok(ExitCode::SUCCESS)
                }
            };
            outcome.unwrap_or_else(|message| {
                eprintln!("instructions: {message}");
                ExitCode::FAILURE
            })
        }
    }
}

/// Counts the cases whose names contain one of `wanted`, or all, and says what became of them.
fn compare(wanted: &[&str]) -> Result<ExitCode, String> {
    let baseline = Baseline::read()?;
    let conditions = Conditions::find()?;
    let counted = count(wanted)?;
    if counted.is_empty() {
        println!("instructions: no case has such a name");
        return Ok(ExitCode::SUCCESS);
    }
    let is_wanted = |name: &str| is_wanted(wanted, name);
    let differences = baseline.conditions.differences(&conditions);
    let is_comparable = differences.is_empty();
    let rows = table::rows(&counted, &baseline.instructions, is_wanted);
    println!("{}", table::show(&rows, is_comparable));
    if !is_comparable {
        differences.iter().for_each(|difference| println!("NOT COMPARED with benches/instructions.toml: {difference}"));
        println!("To renew it under the conditions that shall hold from now on: {}", baseline::RENEW);
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if table::judge(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Counts everything and writes it down as what is compared with from now on.
fn bless() -> Result<ExitCode, String> {
    let conditions = Conditions::find()?;
    if let Some(reason) = conditions.reason_not_to_keep() {
        return Err(reason);
    }
    let before = Baseline::read().map(|baseline| baseline.instructions).unwrap_or_default();
    let instructions = count(&[])?;
    println!("{}", table::show(&table::rows(&instructions, &before, |_| true), true));
    Baseline { conditions, instructions }.write()?;
    println!("written: {}", baseline::PATH);
    Ok(ExitCode::SUCCESS)
}

fn is_wanted(wanted: &[&str], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|part| name.contains(part))
}

/// The instructions of one iteration of each wanted case, and of those that are the difference of two.
fn count(wanted: &[&str]) -> Result<BTreeMap<String, u64>, String> {
    let is_needed = |name: &str| {
        let derived = cases::DERIVED.iter().filter(|derived| derived.whole == name || derived.less == name);
        is_wanted(wanted, name) || derived.into_iter().any(|derived| is_wanted(wanted, derived.name))
    };
    let names: Vec<&str> =
        CASES.iter().map(|case| case.name).filter(|name| *name != EMPTY && is_needed(name)).collect();
    let loop_alone = callgrind::instructions_of(EMPTY)?;
    let mut exact: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, counted) in callgrind::instructions_of_all(&names)? {
        exact.insert(name, (counted - loop_alone).max(0.0));
    }
    for derived in cases::DERIVED {
        if let (Some(whole), Some(less)) = (exact.get(derived.whole), exact.get(derived.less)) {
            exact.insert(derived.name, ((whole - less) / f64::from(derived.parts)).max(0.0));
        }
    }
    let wanted = exact.into_iter().filter(|(name, _)| is_wanted(wanted, name));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count that was bounded below by zero"
    )]
    let rounded = |count: f64| count.round() as u64;
    Ok(wanted.map(|(name, count)| (name.to_owned(), rounded(count))).collect())
}
