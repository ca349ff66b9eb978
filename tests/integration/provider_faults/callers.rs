//! Clients of every dialect, with proofs that are good and proofs that are not.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;

use super::ward::PROVIDER_SECRET;
use crate::support::{forge::base64url, provider::Asked};

/// What a caller presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// What proves who it is.
    Right,
    /// What does not, as the gateway itself can tell.
    WrongHere,
    /// What does not, as the provider can tell.
    WrongThere,
}

/// How a caller says what it has to say.
#[derive(Clone, Copy, Debug)]
pub(super) enum Speech {
    /// A form, credentials in HTTP Basic.
    Basic,
    /// A form, credentials in it.
    Form,
    /// JSON.
    Json,
    /// JSON, the exchange of API credentials.
    Exchange,
    /// A form with an assertion, signed by whomever.
    Assertion,
}

/// One of many who ask at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a str,
    pub(super) speech: Speech,
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) proof: Proof,
    /// As whom the provider knows it.
    pub(super) at_provider: &'a str,
}

/// The secret of every client that presents it to the provider itself.
const SECRET: &str = "canary-secret:of/a+client&its=own%41";

impl Caller<'static> {
    pub(super) const BILLING: Self = Self {
        name: "billing",
        path: "/corp/token",
        speech: Speech::Basic,
        id: "billing",
        secret: SECRET,
        proof: Proof::Right,
        at_provider: "billing",
    };
    pub(super) const REPORTS: Self =
        Self { name: "reports", speech: Speech::Form, id: "reports", at_provider: "reports", ..Self::BILLING };
    pub(super) const SIGNER: Self =
        Self { name: "signer", speech: Speech::Assertion, id: "signer", at_provider: "signer", ..Self::BILLING };
    pub(super) const GUESSING: Self = Self {
        name: "guessing",
        id: "guessed-at",
        secret: "canary-guess",
        proof: Proof::WrongThere,
        at_provider: "guessed-at",
        ..Self::BILLING
    };
    pub(super) const HOSTED: Self = Self {
        name: "hosted",
        path: "/hosted/oauth/token",
        speech: Speech::Json,
        id: "hosted",
        at_provider: "hosted",
        ..Self::BILLING
    };
    pub(super) const DEVICE: Self = Self {
        name: "device",
        path: "/hub/oauth/token",
        speech: Speech::Json,
        id: "device",
        at_provider: "device",
        ..Self::BILLING
    };
    pub(super) const TENANT: Self = Self {
        name: "tenant",
        path: "/vendor/auth/v1/api-token",
        speech: Speech::Exchange,
        id: "tenant",
        at_provider: "tenant",
        ..Self::BILLING
    };
    pub(super) const GUESSING_TENANT: Self = Self {
        name: "guessing tenant",
        id: "guessed-at-tenant",
        secret: "canary-guess",
        proof: Proof::WrongThere,
        at_provider: "guessed-at-tenant",
        ..Self::TENANT
    };
    pub(super) const NIGHTLY: Self = Self {
        name: "nightly",
        path: "/mapped/token",
        id: "nightly",
        secret: "canary-nightly-secret-of-its-own",
        at_provider: "nightly-at-provider",
        ..Self::BILLING
    };
    pub(super) const NIGHTLY_IN_BODY: Self =
        Self { name: "nightly, in the body", speech: Speech::Form, ..Self::NIGHTLY };
    pub(super) const GUESSING_NIGHTLY: Self = Self {
        name: "guessing nightly",
        // The provider's own, which is no secret here.
        secret: PROVIDER_SECRET,
        proof: Proof::WrongHere,
        at_provider: "nobody",
        ..Self::NIGHTLY
    };
    pub(super) const STRANGER: Self =
        Self { name: "stranger", id: "stranger", at_provider: "stranger", ..Self::GUESSING_NIGHTLY };
}

impl Caller<'_> {
    /// One request for a token, which can be told from all others by its scope where the dialect has one.
    pub(super) fn request(&self, url: &str, tag: &str) -> Request<Full<Bytes>> {
        let scope = format!("orders:read {tag}");
        let form =
            |pairs: &[(&str, &str)]| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let kind = ("grant_type", "client_credentials");
        let request = Request::post(url);
        let (request, body) = match self.speech {
            Speech::Basic => {
                let request = request.header("authorization", format!("Basic {}", pair(self.id, self.secret)));
                (request.header("content-type", FORM), form(&[kind, ("scope", &scope)]))
            }
            Speech::Form => {
                let proof = [("client_id", self.id), ("client_secret", self.secret)];
                (request.header("content-type", FORM), form(&[kind, ("scope", &scope), proof[0], proof[1]]))
            }
            Speech::Json => {
                let body = json!({
                    "grant_type": "client_credentials", "client_id": self.id, "client_secret": self.secret,
                    "audience": "https://api.test/orders", "scope": scope,
                });
                (request.header("content-type", JSON), body.to_string())
            }
            Speech::Assertion => {
                let proof = [("client_assertion_type", JWT_BEARER), ("client_assertion", &*self.assertion())];
                (request.header("content-type", FORM), form(&[kind, ("scope", &scope), proof[0], proof[1]]))
            }
            Speech::Exchange => {
                let body = json!({ "clientId": self.id, "secret": self.secret });
                (request.header("content-type", JSON), body.to_string())
            }
        };
        request.body(Full::from(body)).expect("a request")
    }

    /// Its assertion, which is the same each time: this provider takes one as often as it comes.
    fn assertion(&self) -> String {
        let claims =
            json!({ "iss": self.id, "sub": self.id, "aud": "https://provider.test", "jti": "canary-assertion" });
        format!("{}.{}.{}", base64url(r#"{"alg":"ES256"}"#), base64url(claims.to_string()), base64url([7; 64]))
    }

    /// What it presents, in every form in which that could come out somewhere.
    pub(super) fn canaries(&self) -> Vec<String> {
        let assertion = self.assertion();
        let parts = assertion.split('.').skip(1).map(str::to_owned);
        let encoded = form_urlencoded::byte_serialize(self.secret.as_bytes()).collect();
        let at_provider = [pair(self.at_provider, self.secret), pair(self.at_provider, PROVIDER_SECRET)];
        parts.chain([self.secret.to_owned(), encoded, pair(self.id, self.secret)]).chain(at_provider).collect()
    }

    /// Whether it is what the provider was asked for.
    pub(super) fn is_behind(&self, asked: &Asked) -> bool {
        asked.client_id().as_deref() == Some(self.at_provider)
    }
}

/// Id and secret as HTTP Basic has them (RFC 6749 section 2.3.1).
fn pair(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    BASE64_STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)))
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
