//! Runs this program under callgrind, once for each case, and reads what was counted.

use std::{
    env, fs,
    process::{Command, Output},
    sync::Mutex,
    thread,
};

/// Matches the name of the function in `counter.rs`, mangled or not.
const WATCHED: &str = "*counted_by_callgrind*";

/// Instructions of one iteration of each case, in their order; as many cases at a time as there are processors, since counting takes
/// no notice of its neighbours.
pub(crate) fn instructions_of_all<'a>(names: &[&'a str]) -> Result<Vec<(&'a str, f64)>, String> {
    let waiting = Mutex::new(names.iter().rev().copied().collect::<Vec<_>>());
    let counted = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some(name) = waiting.lock().expect("names").pop() else { break };
            let outcome = instructions_of(name);
            counted.lock().expect("counts").push((name, outcome));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let counted = counted.into_inner().expect("counts");
    counted.into_iter().map(|(name, outcome)| outcome.map(|count| (name, count))).collect()
}

/// Instructions of one iteration of a case, the loop around it included.
pub(crate) fn instructions_of(name: &str) -> Result<f64, String> {
    let file = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
    let told = valgrind(
        &[
            "--tool=callgrind".to_owned(),
            format!("--callgrind-out-file={}", file.path().display()),
            format!("--toggle-collect={WATCHED}"),
        ],
        &[super::ONE_CASE, name],
    )
    .map_err(|error| format!("{name}: {error}"))?;
    let iterations: u32 = told.trim().parse().map_err(|_| format!("{name}: no number of iterations: {told:?}"))?;
    let profile =
        fs::read_to_string(file.path()).map_err(|error| format!("{name}: callgrind wrote nothing: {error}"))?;
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u32 = totals
        .and_then(|totals| totals.trim().parse().ok())
        .ok_or_else(|| format!("{name}: callgrind's file has no total"))?;
    if total == 0 || iterations == 0 {
        return Err(format!("{name}: callgrind saw nothing; is the program stripped of its symbols?"));
    }
    Ok(f64::from(total) / f64::from(iterations))
}

/// What this program prints under valgrind.
pub(crate) fn valgrind(options: &[String], arguments: &[&str]) -> Result<String, String> {
    let program = env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let output = Command::new("valgrind").arg("--quiet").args(options).arg(program).args(arguments).output();
    let Output { status, stdout, stderr } =
        output.map_err(|error| format!("valgrind cannot be started (apt-get install valgrind): {error}"))?;
    if !status.success() {
        return Err(format!("valgrind: {status}\n{}", String::from_utf8_lossy(&stderr)));
    }
    String::from_utf8(stdout).map_err(|error| error.to_string())
}
