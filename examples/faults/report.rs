//! The ledger in words, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::ledger::{Growth, Ledger};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// For people.
pub(crate) fn text(ledger: &Ledger, seed: u64) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_text(&mut text, ledger, seed);
    text
}

fn write_text(text: &mut String, ledger: &Ledger, seed: u64) -> std::fmt::Result {
    let Ledger { requests, arrived, issued, revoked, .. } = ledger;
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    writeln!(text, "fault run of {:.0} s, seed {seed}, {profile} build\n", ledger.took.as_secs_f64())?;
    writeln!(
        text,
        "{:24}{:>7}{:>10}{:>10}{:>10}{:>8}{:>8}{:>10}{:>8}",
        "stage", "s", "requests", "passed", "refused", "5xx", "lost", "p99 ms", "MiB"
    )?;
    for stage in &ledger.stages {
        writeln!(
            text,
            "{:24}{:>7.1}{:>10}{:>10}{:>10}{:>8}{:>8}{:>10.1}{:>8.1}",
            stage.name,
            stage.took.as_secs_f64(),
            stage.requests,
            stage.passed,
            stage.refused,
            stage.failed,
            stage.lost,
            stage.p99.as_secs_f64() * 1000.0,
            stage.resident_bytes as f64 / MEBIBYTE,
        )?;
    }
    writeln!(text, "\n{requests} requests sent, {arrived} reached an upstream")?;
    writeln!(text, "{issued} tokens and {revoked} revocations acknowledged")?;
    let Growth { half, last, per_minute } = ledger.memory;
    writeln!(
        text,
        "memory {:.1} MiB half-way, {:.1} MiB in the end: {:+.2} MiB a minute",
        half / MEBIBYTE,
        last / MEBIBYTE,
        per_minute / MEBIBYTE
    )?;
    let Growth { half, last, per_minute } = ledger.descriptors;
    writeln!(text, "descriptors {half} half-way, {last} in the end: {per_minute:+.1} a minute\n")?;
    for line in &ledger.lines {
        writeln!(text, "{:52}{:>8}", line.name, line.count)?;
        for example in &line.examples {
            writeln!(text, "    {example}")?;
        }
    }
    let verdict = if ledger.balances() { "it balances" } else { "IT DOES NOT BALANCE" };
    writeln!(text, "\n{verdict}")
}

/// For machines.
pub(crate) fn json(ledger: &Ledger, seed: u64) -> Value {
    let stages: Vec<Value> = ledger
        .stages
        .iter()
        .map(|stage| {
            json!({
                "name": stage.name, "seconds": stage.took.as_secs_f64(), "requests": stage.requests,
                "passed": stage.passed, "refused": stage.refused, "failed": stage.failed, "lost": stage.lost,
                "p99_seconds": stage.p99.as_secs_f64(), "resident_bytes": stage.resident_bytes,
            })
        })
        .collect();
    let lines: Vec<Value> = ledger
        .lines
        .iter()
        .map(|line| json!({ "name": line.name, "count": line.count, "examples": line.examples }))
        .collect();
    let growth =
        |growth: Growth| json!({ "half_way": growth.half, "last": growth.last, "per_minute": growth.per_minute });
    json!({
        "seconds": ledger.took.as_secs_f64(), "seed": seed, "balances": ledger.balances(), "stages": stages,
        "lines": lines, "requests": ledger.requests, "arrived": ledger.arrived, "issued": ledger.issued,
        "revoked": ledger.revoked, "memory_bytes": growth(ledger.memory), "descriptors": growth(ledger.descriptors),
    })
}
