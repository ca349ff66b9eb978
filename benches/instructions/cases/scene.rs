//! What cases have in common: an issuer with a key, a token that it signed, a request that brings it.

use std::{
    collections::BTreeMap,
    future::{Future, ready},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::Request;
use postern::{
    auth::{Issuers, Keeper, KeySource, TrustedKey, TrustedKeySet, UnknownKeyFetch, compile_issuers},
    clock::UnixTime,
    config::{self, Config},
    diagnostic::Diagnostics,
    http::RequestHead,
    jose::KeyDocument,
};
use serde::Deserialize;

/// When everything happens: the tokens are good.
pub(crate) const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
/// The issuer that signed the tokens, and who gets in with them.
pub(crate) const ISSUER_AND_RULES: &str = r#"
[issuers.corp]
issuer = "https://id.corp.example/"
jwks_uri = "https://id.corp.example/jwks"
audience = "https://api.corp.example/orders"
[routes.orders]
path = "/v1/tenants/{tenant}/{*rest}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
path_claims = { tenant = "tenant_id" }
[routes.orders.identity]
headers = { "x-client-id" = "client_id", "x-tenant" = "tenant_id" }
"#;

/// A key, and a token that it signed.
#[derive(Deserialize)]
pub(crate) struct Signed {
    pub(crate) key: String,
    pub(crate) token: String,
}

/// Of this algorithm.
pub(crate) fn signed(algorithm: &str) -> Signed {
    let mut all: BTreeMap<String, Signed> = toml::from_str(include_str!("../tokens.toml")).expect("tokens");
    all.remove(algorithm).expect("a token of this algorithm")
}

/// The configuration that a text says.
pub(crate) fn config(text: &str) -> Arc<Config> {
    let (loaded, diagnostics) = config::load_text("case.toml", text, &BTreeMap::new());
    assert!(!diagnostics.has_errors(), "{diagnostics:?}");
    loaded.into_config().expect("configuration").config
}

/// An issuer whose keys are known.
pub(crate) fn issuers(config: &Config, key: &str) -> Issuers {
    let keeper = |_: &str, _: &_, _: &mut Diagnostics| {
        let document = KeyDocument::parse(format!("{{\"keys\":[{key}]}}").as_bytes()).expect("a key");
        let keys: Vec<_> = document.keys.into_iter().map(|key| Arc::new(TrustedKey::new(key, NOW))).collect();
        let keys = Arc::new(KnownKeys(keys.into()));
        Some(Keeper { keys, standing: None, introspection: None, revocation: None })
    };
    compile_issuers(config, None, keeper, &mut Diagnostics::new()).expect("an issuer")
}

/// Keys that are never fetched.
#[derive(Debug)]
struct KnownKeys(Arc<[Arc<TrustedKey>]>);

impl KeySource for KnownKeys {
    fn current(&self, _now: UnixTime) -> TrustedKeySet {
        TrustedKeySet::Usable(Arc::clone(&self.0))
    }

    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>> {
        Box::pin(ready(UnknownKeyFetch::Current))
    }
}

/// What a future gives that waits for nothing.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable_wait(),
    }
}

#[expect(clippy::panic, reason = "a benchmark that would wait for ever has to stop")]
fn unreachable_wait() -> ! {
    panic!("what waits for nothing has waited")
}

/// The fields of a usual request, beside its host and its token.
pub(crate) const USUAL_FIELDS: [(&str, &str); 6] = [
    ("user-agent", "billing/1.7 (linux; x86_64)"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, br"),
    ("content-type", "application/json"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x-request-id", "0190a3c4-7b1e-7cc0-8000-0123456789ab"),
];

/// A usual request's head.
pub(crate) fn request(token: &str) -> RequestHead {
    let request = Request::builder()
        .uri("/v1/tenants/acme/orders/17?expand=lines")
        .header("host", "api.example.com")
        .header("authorization", format!("Bearer {token}"));
    let request = USUAL_FIELDS.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(()).expect("request").into_parts().0.into()
}
