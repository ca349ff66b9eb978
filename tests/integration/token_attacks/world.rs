//! A gateway that trusts two issuers, and how it is attacked.

use serde_json::{Value, json};

use crate::support::{
    client::HttpClient,
    forge::{SigningKey, changed, claims},
    gateway::{Gateway, GatewayBuilder},
    issuer::ScriptedIssuer,
    upstream::RecordedUpstream,
};

pub(super) const CORP: &str = "https://id.corp.example/";
pub(super) const PARTNER: &str = "https://id.partner.example/";

pub(super) const CONFIG: &str = r#"
[listeners.public.limits]
header_bytes = "4MiB"     # so that the long tokens get as far as the code that reads tokens
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "${CORP_KEYS}"
algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
audience = "https://api.test/orders"
[issuers.partner]
issuer = "https://id.partner.example/"
jwks_uri = "${PARTNER_KEYS}"
audience = "https://api.test/orders"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
"#;

/// One token that must not get through.
pub(super) struct Attack {
    pub(super) what: String,
    pub(super) token: String,
    pub(super) status: u16,
    pub(super) reason: &'static str,
}

impl Attack {
    pub(super) fn new(what: impl Into<String>, token: impl Into<String>, reason: &'static str) -> Self {
        Self { what: what.into(), token: token.into(), status: 401, reason }
    }
}

/// Two issuers, of which each has a key called `ec`, and a gateway before an upstream that records.
pub(super) struct World {
    pub(super) ec: SigningKey,
    pub(super) rsa: SigningKey,
    pub(super) ed: SigningKey,
    pub(super) es384: SigningKey,
    pub(super) partner_ec: SigningKey,
    pub(super) partner: ScriptedIssuer,
    pub(super) upstream: RecordedUpstream,
    pub(super) gateway: Gateway,
    pub(super) client: HttpClient,
    _corp: ScriptedIssuer,
}

impl World {
    pub(super) async fn new() -> Self {
        let (ec, partner_ec) = (SigningKey::es256("ec"), SigningKey::es256("ec"));
        let (rsa, ed, es384) = (SigningKey::rsa("rsa"), SigningKey::ed25519("ed"), SigningKey::es384("es384"));
        let corp = ScriptedIssuer::start(&[&ec, &rsa, &ed, &es384]).await;
        let partner = ScriptedIssuer::start(&[&partner_ec]).await;
        let upstream = RecordedUpstream::start().await;
        let gateway = GatewayBuilder::new(CONFIG)
            .variable("CORP_KEYS", &corp.jwks_uri())
            .variable("PARTNER_KEYS", &partner.jwks_uri())
            .upstream(&upstream)
            .start()
            .await;
        let client = HttpClient::http1();
        Self { ec, rsa, ed, es384, partner_ec, partner, upstream, gateway, client, _corp: corp }
    }

    /// A token of corp's P-256 key with these changes to an ordinary header and to ordinary claims.
    pub(super) fn token(&self, header: &Value, payload: &Value) -> String {
        let header = changed(json!({ "alg": "ES256", "kid": "ec", "typ": "at+jwt" }), header);
        self.ec.token_of("ES256", &header.to_string(), &changed(claims(CORP), payload).to_string())
    }

    /// A token with exactly this payload, but for its end, which is `,"exp":...}`.
    pub(super) fn token_of_text(&self, header: &str, payload: &str) -> String {
        self.ec.token_of("ES256", header, payload)
    }

    pub(super) async fn status_of(&self, token: &str) -> u16 {
        self.client.get(&self.gateway.url("/orders/control"), Some(token)).await.status.as_u16()
    }

    /// Sends every attack, each with a control behind it.
    pub(super) async fn suffer(&self, attacks: Vec<Attack>) {
        let control = self.token(&json!({}), &json!({}));
        let before = self.upstream.count();
        for (done, attack) in attacks.iter().enumerate() {
            let Attack { what, token, status, reason } = attack;
            let answer = self.client.get(&self.gateway.url("/orders/attack"), Some(token)).await;
            assert_eq!(answer.status.as_u16(), *status, "{what}: {}", answer.text());
            assert_eq!(answer.reason(), *reason, "{what}");
            let challenge = answer.header("www-authenticate");
            assert!(challenge.starts_with(r#"Bearer realm="postern", error="invalid_token""#), "{what}: {challenge}");
            assert_eq!(self.upstream.count(), before + done, "{what} got through");
            assert_eq!(self.status_of(&control).await, 200, "the control behind {what}");
            assert_eq!(self.upstream.last().target, "/orders/control");
        }
        assert_eq!(self.upstream.count(), before + attacks.len());
    }
}
