//! Owns: where the embedded issuer is that a command works on: in the store of a configuration, or in a running gateway.
//! Refuses: both at once, and neither.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::{actor, gateway::Gateway, open_issuer::OpenIssuer};
use crate::{
    app::Offline,
    cli::{arguments::Format, check, terminal},
    secret::Secret,
};

/// The environment variable with the admin token.
const ADMIN_TOKEN_VARIABLE: &str = "POSTERN_ADMIN_TOKEN";
/// The longest file with an admin token that is believed to be one, in bytes.
const LONGEST_TOKEN_BYTES: u64 = 16 * 1024;

/// Where the embedded issuer is, and how it is answered.
#[derive(Debug, Args)]
pub(in crate::cli) struct TargetArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// The file with the gateway's admin token; default: $POSTERN_ADMIN_TOKEN
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    admin_token_file: Option<PathBuf>,
    /// Speak to another machine without TLS: whoever listens on the way gets the admin token and every new secret
    #[arg(long, conflicts_with = "files")]
    danger_plain_http: bool,
    /// How to print; json: what the management API answers
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// One of both.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PlaceArguments {
    /// Work on the store of this configuration; several files, each with its own `-c`, are laid over each other
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Work on a running gateway, by its admin listener
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
}

impl TargetArguments {
    /// Gets ready to ask.
    ///
    /// # Errors
    /// If the store cannot be opened, or the URL or the token is not one.
    pub(super) fn open(&self) -> anyhow::Result<OpenIssuer> {
        match &self.place.admin {
            Some(url) => {
                Ok(OpenIssuer::gateway(Gateway::new(url, self.token()?, self.danger_plain_http)?, self.format))
            }
            None => Ok(OpenIssuer::store(self.open_store()?, self.format)),
        }
    }

    fn open_store(&self) -> anyhow::Result<Offline> {
        let files = &self.place.files;
        let judged = check::judge(files);
        let Some(snapshot) = judged.snapshot else {
            eprint!("{}", judged.sources.render(&judged.diagnostics, terminal::colour_on_stderr()));
            bail!("the configuration does not compile, so its store is not opened");
        };
        Ok(Offline::open(snapshot, files.clone(), actor::of_this_process())?)
    }

    fn token(&self) -> anyhow::Result<Option<Secret>> {
        let Some(file) = &self.admin_token_file else {
            let given = std::env::var(ADMIN_TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
            return Ok(given.map(Secret::new));
        };
        let read = || -> std::io::Result<String> {
            use std::io::Read as _;
            let mut text = String::new();
            std::fs::File::open(file)?.take(LONGEST_TOKEN_BYTES).read_to_string(&mut text)?;
            Ok(text)
        };
        let token = read().with_context(|| format!("the admin token cannot be read from {}", file.display()))?;
        match token.trim() {
            "" => bail!("there is no admin token in {}", file.display()),
            token => Ok(Some(Secret::new(token.to_owned()))),
        }
    }
}
