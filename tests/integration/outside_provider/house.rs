//! The provider with its clients, the gateway, and the upstream behind it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;

use crate::support::{
    client::{Answer, HttpClient},
    forge::SigningKey,
    gateway::{Gateway, GatewayBuilder},
    issuing::token_in,
    real_provider::{RealProvider, with_key, with_secret},
    upstream::RecordedUpstream,
};

/// The secret of `billing`, who authenticates by HTTP Basic: nothing of it may be lost or changed on its way.
pub(super) const BILLING: &str = "canary bill+ing/s:e&c=r%41t?";
/// The secret of `reports`, who authenticates in the body.
pub(super) const REPORTS: &str = "canary+reports&secret=%7Efor the body";
/// The secret under which the gateway introspects.
pub(super) const GATEWAY: &str = "canary-gateway-secret-0123456789";

const CONFIG: &str = r#"
[issuers.corp]
issuer = "${PROVIDER}"
[issuers.corp.key_set]
unknown_key_cooldown = "10s"
[upstreams.orders]
endpoints = ["${UPSTREAM}"]
[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
[routes.orders.require]
audience = "https://api.test/orders"
scopes = ["orders:read"]
[routes.orders.identity]
headers = { "x-client-id" = "client_id" }
[routes.ledger]
path = "/ledger/{*rest}"
upstream = "orders"
[routes.ledger.require]
audience = "https://api.test/ledger"
scopes = ["orders:read"]
[routes.ledger.identity]
headers = { "x-client-id" = "client_id" }
"#;

pub(super) struct House {
    pub(super) provider: RealProvider,
    pub(super) upstream: RecordedUpstream,
    pub(super) gateway: Gateway,
    pub(super) client: HttpClient,
    /// Of the client `signer`.
    pub(super) key: SigningKey,
}

impl House {
    /// With `more` in the configuration, in which `${PROVIDER}` is the provider's name.
    pub(super) async fn open(more: &str) -> Self {
        let key = SigningKey::es256("signer-1");
        let clients = [
            with_secret("billing", "client_secret_basic", BILLING),
            with_secret("reports", "client_secret_post", REPORTS),
            with_secret("gateway", "client_secret_basic", GATEWAY),
            with_key("signer", &key),
        ];
        let provider = RealProvider::start(&clients).await;
        let upstream = RecordedUpstream::start().await;
        let builder = GatewayBuilder::new(CONFIG).also(more).upstream(&upstream);
        let gateway = builder.variable("PROVIDER", &provider.name()).start().await;
        Self { provider, upstream, gateway, client: HttpClient::http1(), key }
    }

    /// A token of the client `reports`, from the provider itself.
    pub(super) async fn ask_provider(&self, resource: &str, scope: &str) -> String {
        let form = reports_asks(resource, scope);
        let answer = post_form(&self.client, &format!("{}/token", self.provider.name()), None, &form).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        token_in(&answer)
    }

    /// Asks one of the gateway's token endpoints.
    pub(super) async fn post(&self, path: &str, basic: Option<(&str, &str)>, form: &[(&str, &str)]) -> Answer {
        post_form(&self.client, &self.gateway.url(path), basic, form).await
    }

    /// Asks one of the gateway's token endpoints in JSON.
    pub(super) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(self.gateway.url(path)).header("content-type", "application/json");
        self.client.send(request.body(Full::from(body.to_string())).expect("a request")).await
    }

    /// Asks for what is behind a route.
    pub(super) async fn get(&self, path: &str, token: &str) -> Answer {
        self.client.get(&self.gateway.url(path), Some(token)).await
    }
}

/// What `reports` says in a form to get a token.
pub(super) fn reports_asks<'a>(resource: &'a str, scope: &'a str) -> [(&'a str, &'a str); 5] {
    let kind = ("grant_type", "client_credentials");
    [kind, ("client_id", "reports"), ("client_secret", REPORTS), ("resource", resource), ("scope", scope)]
}

/// What somebody says in a form who has said elsewhere who it is.
pub(super) fn asks<'a>(resource: &'a str, scope: &'a str) -> [(&'a str, &'a str); 3] {
    [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)]
}

/// Posts a form, with credentials in HTTP Basic (RFC 6749 section 2.3.1) if there are any.
pub(super) async fn post_form(
    client: &HttpClient,
    url: &str,
    basic: Option<(&str, &str)>,
    form: &[(&str, &str)],
) -> Answer {
    let mut request = Request::post(url).header("content-type", "application/x-www-form-urlencoded");
    if let Some((id, secret)) = basic {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = BASE64_STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
        request = request.header("authorization", format!("Basic {pair}"));
    }
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    client.send(request.body(Full::from(Bytes::from(body))).expect("a request")).await
}
