//! `postern serve`: the gateway itself.

use std::{process::ExitCode, sync::Arc};

use super::{arguments::ConfigArguments, terminal};
use crate::{
    app::{self, Options, StartError},
    clock::Clock,
    config::ProcessEnvironment,
};

/// Runs the gateway until it is told to stop.
pub(super) fn run(arguments: &ConfigArguments) -> anyhow::Result<ExitCode> {
    let options = Options {
        files: arguments.files.clone(),
        environment: Arc::new(ProcessEnvironment),
        clock: Clock::system(),
        log: true,
    };
    match app::start(options) {
        Ok(running) => {
            running.run_until_signalled()?;
            Ok(ExitCode::SUCCESS)
        }
        Err(StartError::Configuration(rejection)) => {
            // What no line of a file is at fault for has no picture: its summary says it all.
            if rejection.text != rejection.summary {
                eprint!("{}", rejection.text);
            }
            terminal::print_error(&format!("the configuration was not applied: {}", rejection.summary));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}
