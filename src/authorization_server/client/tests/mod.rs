//! Clients: what they may be, how they prove who they are, how the store keeps them.

mod assertions;
mod authentication;
mod configuration;
mod definitions;
mod records;

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;
use crate::{
    authorization_server::sealing::Sealing,
    config::Config,
    diagnostic::{Diagnostics, KeyPath},
    secret::Secret,
};

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

static HASHING: LazyLock<SecretHashing> = LazyLock::new(|| SecretHashing::new(&[9; 32]));

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn definition(members: Value) -> ClientDefinition {
    serde_json::from_value(members).unwrap()
}

fn unsealed() -> Sealing {
    Sealing::of(None).unwrap()
}

fn later(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

/// Clients of a configuration with the API `orders`, which never ends, `users`, and the issuers `corp` and `own`.
fn configured(clients: Value) -> (Clients, Vec<String>) {
    let config: Config = serde_json::from_value(json!({
        "issuers": { "corp": { "issuer": "https://corp.example/" }, "own": { "embedded": true } },
        "authorization_server": {
            "issuer": "https://id.example/",
            "apis": {
                "orders": {
                    "scopes": ["orders:read", "orders:write"], "token_lifetime": "1h", "danger_allow_unlimited": true
                },
                "users": { "scopes": ["users:read"], "token_lifetime": "10m" },
            },
            "clients": clients,
        },
    }))
    .unwrap();
    let mut diagnostics = Diagnostics::new();
    let server = config.authorization_server.as_ref().unwrap();
    let path = KeyPath::of(&["authorization_server"]);
    let apis = crate::authorization_server::api::compile(server, &path, &mut diagnostics);
    let clients = compile(&config, server, &apis, &KeyPath::root(), &mut diagnostics);
    let told =
        diagnostics.iter().map(|one| format!("{:?} {}: {}; {}", one.severity, one.path, one.message, one.remedy));
    (clients, told.collect())
}

/// One client of a configuration without a fault.
fn sound(client: Value) -> Arc<Client> {
    let (clients, told) = configured(json!({ "billing": client }));
    assert_eq!(told, [""; 0]);
    Arc::clone(clients.find("billing").unwrap())
}
