//! Owns: the difference between a terminal and a file: colours and where messages go.
//! Always holds: colours appear only on a terminal, and not when `NO_COLOR` is set.

use std::io::{self, IsTerminal as _, Write as _};

/// Whether to colour what goes to standard output.
pub(super) fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && colour_wanted()
}

/// Whether to colour what goes to standard error.
pub(super) fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && colour_wanted()
}

fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints `error: message` to standard error.
pub(super) fn print_error(message: &str) {
    let (red, reset) = if colour_on_stderr() { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
    // Nothing can be done about a standard error that cannot be written to.
    let _ = writeln!(io::stderr(), "{red}error{reset}: {message}");
}

/// Prints `message` to standard error, beside what a command gives on standard output.
pub(super) fn print_note(message: &str) {
    // Nothing can be done about a standard error that cannot be written to.
    let _ = writeln!(io::stderr(), "{message}");
}

/// Prints `text` to standard output as it is. A closed pipe, as after `| head`, is not an error.
pub(super) fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
