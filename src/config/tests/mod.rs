//! The loader as a whole.

mod files;
mod mistakes;
mod secrets;
mod soundness;

use std::{collections::BTreeMap, path::PathBuf};

use super::*;
use crate::diagnostic::{Diagnostics, KeyPath, Mark};

fn environment() -> BTreeMap<String, String> {
    [
        ("POSTERN_ADMIN_TOKEN", "canary-admin"),
        ("POSTERN_ENCRYPTION_KEY", "canary-encryption-key-of-enough-characters"),
        ("BILLING_SECRET", "canary-billing"),
        ("BILLING_SECRET_NEXT", "canary-billing-next"),
        ("CORP_SECRET", "canary-corp"),
        ("REPORTS_SECRET", "canary-reports"),
        ("REPORTS_PROVIDER_SECRET", "canary-reports-at-its-provider"),
        ("EMPTY", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn loaded(text: &str) -> (Loaded, Diagnostics) {
    load_text("/etc/postern/postern.toml", text, &environment())
}

#[test]
fn the_reference_is_right() {
    let text = include_str!("../../../config/reference.toml");
    let (loaded, diagnostics) = loaded(text);
    assert_eq!(loaded.sources.render(&diagnostics, false), "");
    let config = loaded.config().expect("nothing is wrong with it");
    let expected = PathBuf::from("/etc/postern/tls/server.pem");
    assert_eq!(config.listeners["public"].tls.as_ref().map(|tls| tls.certificate.0.clone()), Some(expected));
    assert_eq!(config.telemetry.access_log_to, AccessLogTarget::Stdout);
    assert_eq!(
        config.authorization_server.as_ref().unwrap().clients["billing"].secret.as_ref().unwrap().secret().expose(),
        "canary-billing"
    );
}
