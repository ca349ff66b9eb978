//! A route `/x` that asks for one scope, an issuer and an upstream for it: the smallest thing whose rules can change.

use serde_json::json;

use super::{
    client::HttpClient,
    forge::{SigningKey, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    launch::{Launch, PREAMBLE},
    upstream::RecordedUpstream,
    wait::until,
};

/// What stands around a gateway with one changing rule.
pub(crate) struct Scoped {
    pub(crate) key: SigningKey,
    pub(crate) issuer: ScriptedIssuer,
    pub(crate) upstream: RecordedUpstream,
}

/// Rules under which `/x` asks for `scope`. To be laid on a preamble.
pub(crate) fn rules(scope: &str) -> String {
    format!(
        r#"
[issuers.corp]
issuer = "${{ISSUER}}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${{UPSTREAM}}"]
[routes.x]
path = "/x"
upstream = "orders"
[routes.x.require]
scopes = ["{scope}"]
"#
    )
}

/// Rules with the preamble for a spawned gateway.
pub(crate) fn whole(scope: &str) -> String {
    format!("{PREAMBLE}{}", rules(scope))
}

/// The same with `more` at its end.
pub(crate) fn whole_with(scope: &str, more: &str) -> String {
    format!("{}{more}", whole(scope))
}

impl Scoped {
    /// Starts issuer and upstream.
    pub(crate) async fn start() -> Self {
        let key = SigningKey::es256("k1");
        let issuer = ScriptedIssuer::start(&[&key]).await;
        Self { issuer, upstream: RecordedUpstream::start().await, key }
    }

    /// A gateway under [`rules`], which ask for `scope`.
    pub(crate) fn builder(&self, scope: &str) -> GatewayBuilder {
        GatewayBuilder::new(&rules(scope)).issuer(&self.issuer).upstream(&self.upstream)
    }

    /// Gives a spawned gateway the variables that [`rules`] need.
    pub(crate) fn variables(&self, launch: Launch) -> Launch {
        launch.variable("ISSUER", &self.issuer.name()).variable("UPSTREAM", &self.upstream.url())
    }

    /// A token with these scopes.
    pub(crate) fn token(&self, scopes: &str) -> String {
        let mut claims = claims(&self.issuer.name());
        claims["scope"] = json!(scopes);
        self.key.token(&claims)
    }

    /// Waits until `url` lets through who has `scope` and nobody who has `other`: the rules that ask for it are in force.
    pub(crate) async fn asks_for(&self, url: &str, scope: &str, other: &str) {
        let (good, bad, client) = (self.token(scope), self.token(other), HttpClient::http1());
        until(&format!("the rules that ask for {scope}"), async || {
            let status = client.get(url, Some(&good)).await.status.as_u16();
            (status == 200).then_some(())
        })
        .await;
        let refused = client.get(url, Some(&bad)).await;
        assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (403, "scope_missing"));
    }
}

/// The value of a metric without labels, or with labels as they stand in the text.
pub(crate) async fn metric(gateway: &Gateway, name: &str) -> f64 {
    let text = HttpClient::http1().get(&gateway.admin_url("/metrics"), None).await.text();
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}
