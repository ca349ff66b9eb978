//! Owns: asking the embedded issuer, wherever it is, and printing what it says.
//! Always holds: a refusal is an error in words, and for machines the API's own document on standard output beside it.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;

use super::{Call, answer::Answer, gateway::Gateway, shown};
use crate::{
    app::Offline,
    cli::{arguments::Format, terminal},
};

/// The host that requests are for which never leave this process.
const THIS_PROCESS: &str = "localhost";

/// The embedded issuer, ready to be asked.
pub(super) struct OpenIssuer {
    place: Place,
    format: Format,
}

enum Place {
    Store(Box<Offline>),
    Gateway(Gateway),
}

impl OpenIssuer {
    /// The one whose store was opened.
    pub(super) fn store(offline: Offline, format: Format) -> Self {
        Self { place: Place::Store(Box::new(offline)), format }
    }

    /// The one of a running gateway.
    pub(super) const fn gateway(gateway: Gateway, format: Format) -> Self {
        Self { place: Place::Gateway(gateway), format }
    }

    /// Asks, and gives what was done.
    ///
    /// # Errors
    /// What was refused, or why there is no answer.
    pub(super) fn ask(&self, call: &Call) -> anyhow::Result<Value> {
        let response = match &self.place {
            Place::Store(offline) => in_process(offline, call)?,
            Place::Gateway(gateway) => gateway.answer(call)?,
        };
        match Answer::read(&response)? {
            Answer::Done(document) => Ok(document),
            Answer::Refused { document, words } => {
                if self.format == Format::Json {
                    shown::print_json(&document)?;
                }
                anyhow::bail!("{}", shown::harmless(&words))
            }
        }
    }

    /// Prints `document` to machines, or what `words` says of it to people.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn print(&self, document: &Value, words: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        match self.format {
            Format::Json => shown::print_json(document)?,
            Format::Text => terminal::print(&words(document))?,
        }
        Ok(())
    }
}

fn in_process(offline: &Offline, call: &Call) -> anyhow::Result<Response<Bytes>> {
    let request: Request<Bytes> = call.request(THIS_PROCESS, "")?;
    Ok(offline.answer(request)?)
}
