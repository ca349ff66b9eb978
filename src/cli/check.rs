//! `postern check`: every problem of a configuration at once.

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use super::{
    arguments::{CheckArguments, Format},
    terminal,
};
use crate::{
    app,
    config::ProcessEnvironment,
    snapshot::{Judged, load_and_compile},
};

/// Compiles the configuration without touching anything that lives, and prints what is wrong with it.
pub(super) fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let judged = judge(&arguments.config.files);
    match arguments.format {
        Format::Text => print_text(arguments, &judged)?,
        Format::Json => print_json(arguments, &judged)?,
    }
    Ok(if judged.snapshot.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Loads and compiles what the command line names, for commands that contact nobody.
pub(super) fn judge(files: &[PathBuf]) -> Judged {
    load_and_compile(files, &ProcessEnvironment, None, &app::offline_surroundings())
}

fn print_text(arguments: &CheckArguments, judged: &Judged) -> anyhow::Result<()> {
    let found = judged.sources.render(&judged.diagnostics, terminal::colour_on_stderr());
    if !found.is_empty() {
        eprint!("{found}");
    }
    let Some(snapshot) = &judged.snapshot else {
        terminal::print_error(&match judged.diagnostics.error_count() {
            1 => "the configuration has 1 error".to_owned(),
            many => format!("the configuration has {many} errors"),
        });
        return Ok(());
    };
    if arguments.print {
        terminal::print(&toml::to_string_pretty(&*snapshot.config)?)?;
        return Ok(());
    }
    let mut text = format!(
        "The configuration is good: {} listeners, {} issuers, {} upstreams, {} routes.\n",
        snapshot.config.listeners.len(),
        snapshot.config.issuers.len(),
        snapshot.config.upstreams.len(),
        snapshot.config.routes.len(),
    );
    for (route, exposure) in snapshot.exposed_routes() {
        text.push_str(&format!("note: route {} {}\n", route.name(), exposure.in_words()));
    }
    terminal::print(&text)?;
    Ok(())
}

fn print_json(arguments: &CheckArguments, judged: &Judged) -> anyhow::Result<()> {
    let mut document = json!({
        "good": judged.snapshot.is_some(),
        "diagnostics": judged.sources.to_json(&judged.diagnostics),
    });
    if let (true, Some(snapshot)) = (arguments.print, &judged.snapshot)
        && let Some(document) = document.as_object_mut()
    {
        document.insert("configuration".to_owned(), serde_json::to_value(&*snapshot.config)?);
        document.insert("hash".to_owned(), json!(snapshot.hash));
    }
    terminal::print(&format!("{document:#}\n"))?;
    Ok(())
}
