//! Owns: `[token_endpoints.*.reuse]`, compiled.
//! Refuses: handing out tokens to their very end, and a room in which hardly any token fits.

use std::{sync::Arc, time::Duration};

use super::{Reuse, Settings};
use crate::{
    config::{ReuseConfig, TokenEndpointConfig},
    diagnostic::{Diagnostics, KeyPath},
    token_endpoint::Lasting,
};

const LONGEST_REMAINING: Duration = Duration::from_hours(24);
const FEWEST_BYTES: u64 = 64 * 1024;

/// Compiles the reuse of the endpoint `name` at `path`. None if it has none, or if `diagnostics` now says why it cannot be used.
pub(in crate::token_endpoint) fn compile(
    name: &str,
    raw: &TokenEndpointConfig,
    path: &KeyPath,
    lasting: &Lasting,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Reuse>> {
    let (Some(ReuseConfig { min_remaining, max_bytes, drop_on_upstream_401 }), Some(provider)) =
        (&raw.reuse, &raw.forward)
    else {
        // Without a provider that is told where the provider is missing.
        return None;
    };
    let at = path.key("reuse");
    let errors_before = diagnostics.error_count();
    if min_remaining.0 < Duration::from_secs(1) || min_remaining.0 > LONGEST_REMAINING {
        let message = "a token would be handed out to its very end, or never";
        diagnostics.error(&at.key("min_remaining"), message, "write a duration from \"1s\" to \"24h\"");
    }
    if max_bytes.0 < FEWEST_BYTES {
        let message = "hardly any token fits in so little";
        diagnostics.error(&at.key("max_bytes"), message, "write \"64KiB\" or more");
    }
    if diagnostics.error_count() > errors_before {
        return None;
    }
    let settings = Settings {
        min_remaining: min_remaining.0,
        most_bytes: max_bytes.0,
        drop_on_upstream_401: *drop_on_upstream_401,
    };
    let Some(memory) = lasting.reuse.of(name, provider) else {
        diagnostics.error(&at, "the system has no randomness, without which nothing is kept", "take the table out");
        return None;
    };
    let control = lasting.outbound.control().cloned();
    Some(Arc::new(Reuse { endpoint: Arc::from(name), settings, memory, control }))
}
