//! The usual scene: an issuer `corp`, one route `orders` that wants its tokens, and an upstream `orders`.

use serde_json::Value;

use super::{
    forge::{SigningKey, claims},
    gateway::GatewayBuilder,
    issuer::ScriptedIssuer,
};

/// The issuer, for configurations that bring routes and upstreams of their own.
pub(crate) const ISSUER: &str = r#"
[issuers.corp]
issuer = "${ISSUER}"
audience = "https://api.test/orders"
"#;

/// The route: every path, `orders:read` needed.
pub(crate) const ROUTE: &str = r#"
[routes.orders]
path = "/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
"#;

/// An issuer with one key.
pub(crate) struct Corp {
    key: SigningKey,
    pub(crate) issuer: ScriptedIssuer,
}

impl Corp {
    pub(crate) async fn start() -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        Self { key, issuer }
    }

    /// A token that the route accepts.
    pub(crate) fn token(&self) -> String {
        self.key.token(&claims(&self.issuer.name()))
    }

    /// A token whose claims were changed.
    pub(crate) fn token_with(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims(&self.issuer.name());
        change(&mut claims);
        self.key.token(&claims)
    }

    /// A gateway with this issuer, and what `config` says beside it.
    pub(crate) fn gateway(&self, config: &str) -> GatewayBuilder {
        GatewayBuilder::new(&format!("{ISSUER}\n{config}")).issuer(&self.issuer)
    }

    /// A gateway with this issuer, the route `orders`, its upstream at `url`, and what `config` says beside them.
    pub(crate) fn before(&self, url: &str, config: &str) -> GatewayBuilder {
        let upstream = format!("[upstreams.orders]\nendpoints = [\"{url}\"]\n");
        self.gateway(&format!("{ROUTE}\n{upstream}\n{config}"))
    }
}
