//! Requests and their answers in every dialect, against an issuer that follows a script.

mod arbitrary;
mod auth0;
mod bodies;
mod frontegg;
mod lockout;
mod management_page;
mod oauth2;
mod page;
mod plgd;

use std::{future::ready, pin::Pin, sync::Mutex, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, header, request::Parts};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    clock::UnixTime,
    config::Config,
    diagnostic::Diagnostics,
    id::TokenId,
    oauth::{AccessTokenType, ExchangedToken, IssueRefusal, IssuedToken},
    secret::Secret,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const ARRIVAL: Arrival =
    Arrival { peer: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), at: NOW, with_certificate: false };
/// The name of every token that the script issues.
const TOKEN_ID: TokenId = TokenId::from_bytes([7; 16]);

/// Knows the client `billing` with the secret `canary-secret` or the assertion `canary.good.assertion`, and keeps what it was
/// asked for.
#[derive(Debug, Default)]
struct ScriptedIssuer {
    refusal: Option<IssueRefusal>,
    locked_out: Option<Duration>,
    broken: bool,
    api_tokens_off: bool,
    unlimited: bool,
    asked: Mutex<Vec<String>>,
}

impl ScriptedIssuer {
    fn refusing(refusal: IssueRefusal) -> Self {
        Self { refusal: Some(refusal), ..Self::default() }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, words: String) {
        self.asked.lock().unwrap().push(words);
    }

    fn judge(&self, client_id: &str, secret: Option<&Secret>, assertion: Option<&Secret>) -> Result<(), IssueError> {
        if self.broken {
            return Err(IssueError::Unavailable { client_id: None, source: "the disk is full".into() });
        }
        if let Some(retry_after) = self.locked_out {
            return Err(IssueError::LockedOut { retry_after });
        }
        if self.api_tokens_off {
            return Err(IssueError::ApiTokensDisabled { client_id: None });
        }
        if assertion.is_some_and(|assertion| assertion.expose() != "canary.good.assertion") {
            return Err(IssueError::InvalidAssertion { what: "its signature does not verify" });
        }
        if client_id != "billing" {
            return Err(IssueError::UnknownClient);
        }
        if secret.is_some_and(|secret| secret.expose() != "canary-secret") {
            return Err(IssueError::WrongSecret);
        }
        match self.refusal {
            Some(refusal) => Err(IssueError::Refused { client_id: "billing".into(), refusal }),
            None => Ok(()),
        }
    }

    fn judge_authentication(&self, authentication: &ClientAuthentication) -> Result<(), IssueError> {
        let client_id = authentication.client_id().unwrap_or("billing");
        self.judge(client_id, authentication.secret(), authentication.client_assertion())
    }

    fn lifetime(&self) -> Option<Duration> {
        (!self.unlimited).then_some(Duration::from_secs(600))
    }

    fn exchanged(&self) -> ExchangedToken {
        ExchangedToken {
            access_token: Secret::new("the.access.token".to_owned()),
            refresh_token: Some(Secret::new("the-refresh-token".to_owned())),
            lifetime: self.lifetime(),
            expires_at: self.lifetime().map(|lifetime| NOW.plus(lifetime)),
            client_id: "billing".into(),
            token_id: TOKEN_ID,
        }
    }
}

/// Who authenticates and how, as one text.
fn shown(authentication: &ClientAuthentication) -> String {
    let or_nothing = |secret: Option<&Secret>| secret.map_or("-", Secret::expose).to_owned();
    format!(
        "{:?}|{}|{}|{}",
        authentication.method(),
        authentication.client_id().unwrap_or("-"),
        or_nothing(authentication.secret()),
        or_nothing(authentication.client_assertion())
    )
}

impl TokenIssuer for ScriptedIssuer {
    fn issue<'a>(
        &'a self,
        request: &'a TokenRequest,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<IssuedToken, IssueError>> + Send + 'a>> {
        let or_nothing = |text: &Option<String>| text.as_deref().unwrap_or("-").to_owned();
        self.note(format!(
            "{} aud={} scope={} org={} name={} exp={:?}",
            shown(&request.authentication),
            or_nothing(&request.audience),
            or_nothing(&request.scope),
            or_nothing(&request.organization),
            or_nothing(&request.token_name),
            request.expires_at
        ));
        let issued = self.judge_authentication(&request.authentication).map(|()| IssuedToken {
            access_token: Secret::new("the.access.token".to_owned()),
            token_type: AccessTokenType::Bearer,
            lifetime: self.lifetime(),
            expires_at: self.lifetime().map(|lifetime| NOW.plus(lifetime)),
            scope: request.scope.clone(),
            client_id: "billing".into(),
            token_id: TOKEN_ID,
            beside: Map::new(),
        });
        Box::pin(ready(issued))
    }

    fn exchange<'a>(
        &'a self,
        request: &'a ExchangeRequest,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        self.note(format!("exchange {}|{}", request.client_id, request.secret.expose()));
        Box::pin(ready(self.judge(&request.client_id, Some(&request.secret), None).map(|()| self.exchanged())))
    }

    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        self.note(format!("refresh {}", refresh_token.expose()));
        let judged = self.judge("billing", None, None);
        Box::pin(ready(judged.and_then(|()| match refresh_token.expose() {
            "canary-refresh" => Ok(self.exchanged()),
            _ => Err(IssueError::InvalidRefreshToken),
        })))
    }

    fn revoke<'a>(
        &'a self,
        request: &'a RevocationRequest,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<(), IssueError>> + Send + 'a>> {
        self.note(format!("revoke {} {}", shown(&request.authentication), request.token.expose()));
        Box::pin(ready(self.judge_authentication(&request.authentication)))
    }

    fn introspect<'a>(
        &'a self,
        request: &'a IntrospectionRequest,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<Introspected, IssueError>> + Send + 'a>> {
        self.note(format!("introspect {} {}", shown(&request.authentication), request.token.expose()));
        let judged = self.judge_authentication(&request.authentication);
        Box::pin(ready(judged.map(|()| match request.token.expose() {
            "canary.good.token" => Introspected::Active(Map::from_iter([
                ("active".to_owned(), Value::Bool(false)),
                ("client_id".to_owned(), Value::from("billing")),
            ])),
            _ => Introspected::Inactive,
        })))
    }
}

/// One endpoint of each dialect, at its usual path.
const ENDPOINTS: &str = r#"
[token_endpoints.auth0]
dialect = "auth0"
path = "/auth0/oauth/token"
serve = "embedded"
[token_endpoints.frontegg]
dialect = "frontegg"
path = "/identity/resources/auth/v1/api-token"
serve = "embedded"
[token_endpoints.oauth2]
path = "/oauth/token"
serve = "embedded"
[token_endpoints.plgd]
dialect = "plgd"
path = "/m2m-oauth-server/oauth/token"
serve = "embedded"
[authorization_server]
issuer = "https://id.example/"
"#;

/// Every place of every dialect.
fn places() -> Vec<(std::sync::Arc<TokenEndpoint>, Place)> {
    let config: Config = toml::from_str(ENDPOINTS).unwrap();
    let endpoints = compile(&config, None, &Lasting::offline(), None, &mut Diagnostics::new()).unwrap();
    let with_endpoint = |endpoint: std::sync::Arc<TokenEndpoint>| {
        let places = endpoint.places().to_vec();
        places.into_iter().map(move |place| (std::sync::Arc::clone(&endpoint), place))
    };
    endpoints.into_iter().flat_map(with_endpoint).collect()
}

fn endpoint_of(operation: Operation) -> std::sync::Arc<TokenEndpoint> {
    places().into_iter().find(|(_, place)| place.operation == operation).unwrap().0
}

fn head(method: &str, headers: &[(header::HeaderName, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri("/");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn post(content_type: &str) -> Parts {
    head("POST", &[(header::CONTENT_TYPE, content_type)])
}

/// The answer and its body; what holds of every answer is held here.
fn bytes_of(operation: Operation, issuer: &ScriptedIssuer, parts: &Parts, body: &[u8]) -> (Answer, Bytes) {
    let endpoint = endpoint_of(operation);
    let responding = endpoint.respond_to_whole(operation, parts, body, issuer, ARRIVAL);
    let mut answer = responding.now_or_never().unwrap();
    let body = std::mem::take(answer.response.body_mut());
    let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
    let headers = answer.response.headers();
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::PRAGMA], "no-cache");
    assert_eq!(headers.get(header::ALLOW).is_some_and(|allow| allow == "POST"), answer.response.status() == 405);
    assert!(
        !format!("{answer:?}").contains("canary") && !String::from_utf8_lossy(&body).contains("canary"),
        "{body:?}"
    );
    (answer, body)
}

/// The answer and its body as JSON.
fn answer_of(operation: Operation, issuer: &ScriptedIssuer, parts: &Parts, body: &[u8]) -> (Answer, Value) {
    let (answer, body) = bytes_of(operation, issuer, parts, body);
    assert_eq!(answer.response.headers()[header::CONTENT_TYPE], JSON);
    let json = serde_json::from_slice(&body).unwrap();
    (answer, json)
}

/// Status, body and reason of the answer to a request of one of the two media types.
fn answered(operation: Operation, issuer: &ScriptedIssuer, body: &str) -> (u16, Value, &'static str) {
    let parts = post(if body.starts_with('{') { JSON } else { FORM });
    let (answer, json) = answer_of(operation, issuer, &parts, body.as_bytes());
    (answer.response.status().as_u16(), json, answer.outcome.reason())
}

fn basic(id_and_secret: &str) -> String {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, id_and_secret);
    format!("Basic {encoded}")
}
