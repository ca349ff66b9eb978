//! Owns: asking before doing what cannot be taken back.
//! Refuses: going on where nobody can be asked and nobody has said yes before.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::bail;

use crate::cli::usage::UsageError;

/// Asks whether to do what `effect` says, unless `yes` was said before.
///
/// # Errors
/// If the answer is no, or nobody is there to give one.
pub(super) fn confirm(effect: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(UsageError::new(&format!("{effect} Nobody is there to be asked: say --yes")).into());
    }
    let mut asked = io::stderr();
    write!(asked, "{effect} Go on? [y/N] ")?;
    asked.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("nothing was done"),
    }
}
