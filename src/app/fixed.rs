//! Owns: what is read at the start only, and what a reload that wants it otherwise is told.
//! Refuses: a configuration that would be safe, or would work, only with what it cannot have before a restart.
//! Always holds: what was fixed at the start is what is compared with, not what the last reload said.

use std::{net::SocketAddr, path::PathBuf, sync::OnceLock};

use tracing::warn;

use crate::{
    authorization_server::Settings,
    config::{Config, StoreConfig},
    secret::Secret,
};

/// What is read at the start only.
#[derive(Debug)]
pub(super) struct Fixed {
    workers: Option<u16>,
    data_directory: Option<PathBuf>,
    admin_address: Option<SocketAddr>,
    /// Where the embedded issuer keeps what must survive, since it was first configured.
    store: OnceLock<(StoreConfig, Option<Secret>)>,
}

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            workers: config.process.workers,
            data_directory: config.process.data_directory.as_ref().map(|directory| directory.0.clone()),
            admin_address: config.admin.as_ref().map(|admin| admin.address),
            store: OnceLock::new(),
        }
    }

    /// Notes where the embedded issuer keeps what must survive, the first time that there is one.
    pub(super) fn note_store(&self, settings: &Settings) {
        let wanted = || (settings.store().clone(), settings.encryption_key().cloned());
        let (store, encryption_key) = self.store.get_or_init(wanted);
        if store != settings.store() {
            warn!("`authorization_server.store` is read at start only: restart for the new value");
        }
        let same = match (encryption_key, settings.encryption_key()) {
            (Some(fixed), Some(wanted)) => fixed.matches(wanted.expose()),
            (fixed, wanted) => fixed.is_none() && wanted.is_none(),
        };
        if !same {
            warn!(
                "`authorization_server.encryption_key` is read at start only; a start with another key than the one that keys \
                 were encrypted under fails"
            );
        }
    }

    /// Whether `next` can be applied beside what is fixed.
    ///
    /// # Errors
    /// A sentence that says what stands in the way.
    pub(super) fn admit(&self, next: &Config) -> Result<(), String> {
        let token = next.admin.as_ref().and_then(|admin| admin.token.as_ref());
        if let Some(address) = self.admin_address.filter(|address| !address.ip().is_loopback())
            && token.is_none()
        {
            return Err(format!(
                "the admin listener stays on {address} until a restart and can be reached from outside there, so \
                 `admin.token` cannot be taken away"
            ));
        }
        Ok(())
    }

    /// Warns of each key that `next` has otherwise.
    pub(super) fn warn_of_differences(&self, next: &Config) {
        let wanted = Self::of(next);
        let keys = [
            ("process.workers", self.workers != wanted.workers),
            ("process.data_directory", self.data_directory != wanted.data_directory),
            ("admin.address", self.admin_address != wanted.admin_address),
        ];
        for (key, _) in keys.iter().filter(|(_, differs)| *differs) {
            warn!("`{key}` is read at start only: restart for the new value");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn config(text: &str) -> std::sync::Arc<Config> {
        // An empty file is an error of its own.
        let text = format!("{text}\n[telemetry]\n");
        let (loaded, diagnostics) = load_text("postern.toml", &text, &std::collections::BTreeMap::new());
        loaded.config().cloned().unwrap_or_else(|| panic!("{diagnostics:?}"))
    }

    #[test]
    fn a_token_stays_where_the_listener_can_be_reached_from_outside() {
        let fixed = Fixed::of(&config("[admin]\naddress = \"0.0.0.0:1\"\ntoken = \"0123456789abcdef\""));
        assert!(fixed.admit(&config("[admin]\naddress = \"127.0.0.1:1\"\ntoken = \"another\"")).is_ok());
        assert!(fixed.admit(&config("[admin]\naddress = \"127.0.0.1:1\"")).is_err());
        assert!(fixed.admit(&config("[process]")).is_err());
        let on_loopback = Fixed::of(&config("[admin]\naddress = \"127.0.0.1:1\"\ntoken = \"0123456789abcdef\""));
        assert!(on_loopback.admit(&config("[process]")).is_ok());
        assert!(Fixed::of(&config("[process]")).admit(&config("[process]")).is_ok());
    }
}
