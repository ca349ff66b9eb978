//! One function for each parser that reads what strangers send. Each takes any bytes, and panics if what must hold does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, ready},
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use http_body::Body as _;
use percent_encoding::percent_decode_str;
use postern::{
    auth::{
        Access, Issuers, Keeper, KeySource, SharedTokenCache, TrustedKey, TrustedKeySet, UnknownKeyFetch,
        UnverifiedToken, VerifiedToken, VerifyError, WorkerTokenCache, claims_of_answer, compile_issuers,
        credential_field, extract, verify, verify_at_once,
    },
    authorization_server,
    clock::UnixTime,
    config,
    diagnostic::{Diagnostics, KeyPath},
    http::{NormalPath, PathParameters, PathPrefix, headers::X_API_KEY},
    id::TokenId,
    jose::{CompactJws, KeyDocument, LONGEST_TOKEN_BYTES},
    oauth::{AccessTokenType, ExchangedToken, IssuedToken, ScopeSet},
    outbound::OutboundAnswer,
    routing::{RoutePattern, RouteTableBuilder},
    secret::Secret,
    token_endpoint::{
        self, Answer, Arrival, ClientAuthentication, ExchangeRequest, Introspected, IntrospectionRequest, IssueError,
        Lasting, Operation, Outcome, RevocationRequest, Terms, TokenEndpoint, TokenIssuer, TokenRequest,
    },
};

/// A request target: what is decided is what is forwarded, normalising it again changes nothing, and however often an upstream
/// decodes it, it finds the same segments.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(path) = NormalPath::parse(text) {
        normal(&path);
    }
    let Ok(uri) = text.parse::<Uri>() else { return };
    let Ok(decided) = NormalPath::parse(uri.path()) else { return };
    normal(&decided);
    let forwarded = decided.path_and_query(&uri, None).expect("a request target stays one");
    assert_eq!(forwarded.path(), decided.as_str(), "the path decided is the path forwarded");
    assert_eq!(forwarded.query(), uri.query(), "the query is passed on as it came");
    for prefix in ["/a", "/v1/orders"] {
        let prefix = PathPrefix::parse(prefix).expect("prefix");
        let Some(stripped) = decided.strip_prefix(&prefix) else { continue };
        normal(&stripped);
        let forwarded = decided.path_and_query(&uri, Some(&prefix)).expect("a request target stays one");
        assert_eq!(forwarded.path(), stripped.as_str(), "the path left over is the path forwarded");
    }
}

fn normal(path: &NormalPath<'_>) {
    let text = path.as_str();
    assert_eq!(NormalPath::parse(text).as_ref(), Ok(path), "normalising is idempotent");
    let decoded = percent_decode_str(text).decode_utf8().expect("UTF-8");
    assert!(text.starts_with('/') && !decoded.contains("//") && !decoded.contains(['\\', '\0']), "{text:?}");
    assert!(!decoded.split('/').any(|segment| matches!(segment, "." | "..")), "{text:?}");
    assert_eq!(decoded.matches('/').count(), text.matches('/').count(), "no segment hides in another: {text:?}");
    assert_eq!(
        percent_decode_str(&decoded).decode_utf8().expect("UTF-8"),
        decoded,
        "nothing is escaped twice: {text:?}"
    );
    let seen = path.for_matching();
    assert_eq!(percent_decode_str(&seen).decode_utf8().expect("UTF-8"), decoded, "routes see the same path: {text:?}");
}

/// An `Authorization` field, and the token in it: one credential or none, and of a token exactly one spelling.
pub fn credential(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        token(text);
    }
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let mut headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.clone())]);
    let api_key = HeaderMap::from_iter([(X_API_KEY, value.clone())]);
    for headers in [&headers, &api_key] {
        if let Ok(found) = extract(headers, None, true) {
            let found = found.expect("a field that is there brings a credential, or is refused").token().as_str();
            assert!(found.len() <= LONGEST_TOKEN_BYTES && !found.contains([' ', ',', '\t', '"']), "{found:?}");
            assert!(data.ends_with(found.as_bytes()), "nothing follows the one credential");
            token(found);
        }
        let beside_query = extract(headers, Some("x=1&access_token=a"), true);
        assert!(beside_query.is_err(), "a token in the query beside the field is one too many");
    }
    assert!(matches!(extract(&api_key, None, false), Ok(None)), "an API key where there are none says nothing");
    let mut both = headers.clone();
    both.insert(X_API_KEY, value.clone());
    assert!(extract(&both, None, true).is_err(), "both fields are one too many");
    headers.append(header::AUTHORIZATION, value);
    assert!(extract(&headers, None, false).is_err(), "a second field is one too many");
}

fn token(text: &str) {
    let parsed = CompactJws::parse(text);
    assert_eq!(parsed.is_ok(), UnverifiedToken::parse(text).is_ok(), "one reading of a token");
    let Ok(parsed) = parsed else { return };
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts: {text:?}") };
    for part in [header, payload, signature] {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
        assert_eq!(URL_SAFE_NO_PAD.encode(bytes), part, "one spelling of a part");
    }
    assert_eq!(parsed.signing_input(), format!("{header}.{payload}").as_bytes(), "what is signed is what came");
    assert!(!parsed.signature().is_empty(), "a signature is there");
    let name = parsed.header().algorithm().to_string();
    assert!(!name.starts_with("HS") && !name.eq_ignore_ascii_case("none"), "{name} is no signature");
}

/// The key of the one issuer that [`decision`] and [`introspection`] know, and the one token of it that the one route wants.
const ISSUER_KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","x":"jz6dNGyBHc9q7WzYHBaD5v68Y2CM9-Cu2JS24-qF5Vw","y":"KNq6Nuv3eCRhU2zTIXpOez5rZbf91kts7lmIR83X9FU"}"#;
const GOOD_TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJiaWxsaW5nIiwiYXVkIjoiYXBpIiwiZXhwIjoxNzAwMDAwNjAwLCJpYXQiOjE3MDAwMDAwMDAsInNjb3BlIjoicmVhZCJ9.uO8FD6ybNOF4v0KlFg2HLGNxwEXphhTZ_O3LaJPpM_mOgi_Tjyc-eehAg1zRVAmwdIOZwLjb2_enjcp5jSP0ug";

/// An `Authorization` field, all the way to the decision: nobody is let through but who sends the one token that the issuer has
/// signed for this route, byte for byte; however it is asked, and also when it is remembered.
pub fn decision(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
    let Ok(Some(field)) = credential_field(&headers, None, false) else { return };
    let route = &*ROUTE;
    let Access::Protected(requirement) = &route.access else { panic!("the route asks for a token") };
    let is_let_through = |verified: Result<Arc<VerifiedToken>, VerifyError>| {
        verified.is_ok_and(|token| requirement.authorize(&token, &PathParameters::default()).is_ok())
    };
    CACHE.with(|cache| {
        let at_once = verify_at_once(field, &route.issuers, cache, NOW);
        let Ok(credential) = field.read() else {
            assert!(at_once.is_none(), "what is no token was judged: {data:?}");
            return;
        };
        let text = credential.token().as_str();
        assert_eq!(at_once.is_some_and(is_let_through), text == GOOD_TOKEN, "at once: {text:?}");
        for turn in 0..2 {
            let verifying = verify(credential, &route.issuers, None, cache, NOW);
            let Poll::Ready(verified) = pin!(verifying).poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("keys that are never fetched were waited for")
            };
            assert_eq!(is_let_through(verified), text == GOOD_TOKEN, "turn {turn}: {text:?}");
        }
    });
}

/// What an issuer answers about an opaque token (RFC 7662): good is what it calls active by the boolean `true`, and what does not
/// contradict that.
pub fn introspection(data: &[u8]) {
    let issuer = ROUTE.issuers.by_name("corp").expect("the issuer");
    let answer = |status| OutboundAnswer { status, headers: HeaderMap::new(), body: data.to_vec().into() };
    for status in [201, 204, 302, 401, 500] {
        assert!(claims_of_answer(&answer(status), issuer, NOW).is_none(), "{status} says nothing of a token");
    }
    if claims_of_answer(&answer(200), issuer, NOW).is_none() {
        return;
    }
    let said: serde_json::Value = serde_json::from_slice(data).expect("what is read is JSON");
    assert_eq!(said["active"], true, "only `true` is active");
    let seconds = |name: &str| said.get(name).map(|moment| moment.as_f64().expect("a moment is a number"));
    let (now, leeway) = (NOW.as_seconds() as f64, 60.0);
    assert!(seconds("exp").is_none_or(|exp| exp + leeway > now - 1.0), "it has expired");
    assert!(seconds("nbf").is_none_or(|nbf| nbf - leeway < now + 1.0), "it is not good yet");
    assert!(said.get("iss").is_none_or(|iss| iss == "https://id.example"), "another issuer's");
    let is_text = |value: &serde_json::Value| value.is_string();
    let audience = said.get("aud");
    assert!(audience.is_none_or(|aud| is_text(aud) || aud.as_array().is_some_and(|list| list.iter().all(is_text))));
    assert!(said.get("cnf").is_none(), "bound to a key, of which there is no proof");
}

/// When every request of [`decision`] comes.
const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

/// One route, and the issuer whose tokens it takes.
struct OneRoute {
    issuers: Issuers,
    access: Access,
}

static ROUTE: LazyLock<OneRoute> = LazyLock::new(|| {
    let text = r#"
[issuers.corp]
issuer = "https://id.example"
jwks_uri = "https://id.example/jwks"
audience = "api"
[upstreams.u]
endpoints = ["http://127.0.0.1:1"]
[routes.r]
path = "/r"
upstream = "u"
[routes.r.require]
scopes = ["read"]
"#;
    let loaded = config::load_text("route.toml", text, &BTreeMap::new()).0;
    let config = loaded.draft().expect("configuration");
    let mut diagnostics = Diagnostics::new();
    let keeper = |_: &str, _: &_, _: &mut Diagnostics| {
        let document = KeyDocument::parse(format!("{{\"keys\":[{ISSUER_KEY}]}}").as_bytes()).expect("a key");
        let keys: Vec<_> = document.keys.into_iter().map(|key| Arc::new(TrustedKey::new(key, NOW))).collect();
        let keys = Arc::new(KnownKeys(keys.into()));
        Some(Keeper { keys, standing: None, introspection: None, revocation: None })
    };
    let issuers = compile_issuers(config, None, keeper, &mut diagnostics).expect("an issuer");
    let access = Access::compile("r", &config.routes["r"], Some(&issuers), &[], &mut diagnostics).expect("a route");
    OneRoute { issuers, access }
});

thread_local! {
    static CACHE: WorkerTokenCache = WorkerTokenCache::new(Arc::new(SharedTokenCache::new()));
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

/// A configuration's text: read the same twice, every problem with a remedy and a place, and no secret in what is shown.
///
/// Texts that name files are passed over, so that nothing on this machine is read.
pub fn configuration(data: &[u8]) {
    const CANARY: &str = "canary-of-the-environment";
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains("file") || text.contains('\\') {
        return;
    }
    let environment = BTreeMap::from([("SECRET".to_owned(), CANARY.to_owned())]);
    let load = || config::load_text("fuzz.toml", text, &environment);
    let (loaded, mut diagnostics) = load();
    let (again, diagnostics_again) = load();
    let shown = loaded.sources.render(&diagnostics, false);
    assert_eq!((&loaded.hash, &shown), (&again.hash, &again.sources.render(&diagnostics_again, false)), "read alike");
    assert_eq!(loaded.config().is_some(), !diagnostics.has_errors(), "what has errors is not applied");

    // The parts that are compiled from the text alone, without files and network.
    if let Some(draft) = loaded.draft() {
        let mut found = Diagnostics::new();
        let server = authorization_server::compile(draft, &mut found);
        assert!(server.is_none() || draft.authorization_server.is_some(), "no issuer out of nothing");
        let _ = token_endpoint::compile(draft, None, &Lasting::offline(), None, &mut found);
        let mut table = RouteTableBuilder::new();
        for (name, raw) in &draft.routes {
            let at = KeyPath::of(&["routes", name]);
            let (host, methods) = (raw.host.as_deref(), raw.methods.as_deref());
            if let Some(pattern) = RoutePattern::compile(&at, host, &raw.path, methods, &mut found) {
                table.insert(at, pattern, (), &mut found);
            }
        }
        let _ = table.build();
        loaded.drop_consequences(&mut found);
        diagnostics.extend(found);
    }
    for one in diagnostics.iter() {
        assert!(!one.message.is_empty() && !one.remedy.is_empty(), "{one:?}");
        if let Some(place) = loaded.sources.place_of(one) {
            assert!(
                place.line >= 1 && place.line <= text.lines().count() + 1,
                "{one:?} is shown at line {}",
                place.line
            );
        }
    }
    let shown = loaded.sources.render(&diagnostics, false) + &loaded.sources.to_json(&diagnostics).to_string();
    let config = loaded.config().map(|config| format!("{config:?}")).unwrap_or_default();
    // Only where a secret belongs is it concealed; a text may ask for the variable anywhere.
    if !text.contains("${") {
        assert!(!shown.contains(CANARY) && !config.contains(CANARY), "a secret is shown");
    }
}

/// A key document: no two usable keys of one id, every key accounted for, nothing symmetric.
pub fn key_document(data: &[u8]) {
    let Ok(document) = KeyDocument::parse(data) else { return };
    assert!(!document.keys.is_empty() && document.keys.len() + document.skipped.len() <= 100, "1 to 100 keys");
    let mut ids = BTreeSet::new();
    for key in &document.keys {
        assert!(key.key_id().is_none_or(|id| !id.is_empty() && ids.insert(id)), "{:?} is used twice", key.key_id());
        assert_eq!(key.thumbprint().len(), 43, "SHA-256 in base64url");
        let mut algorithms = key.algorithms().peekable();
        assert!(algorithms.peek().is_some(), "a usable key is of use");
        for algorithm in algorithms {
            assert!(key.fits(algorithm));
            assert!(key.verify(algorithm, b"signed by nobody", &[0; 64]).is_err(), "zeros are no signature");
        }
    }
}

/// A request to a token endpoint, as `Content-Type`, a line break, `Authorization` (may be empty), a line break, and the body; it is
/// sent to every place of every dialect. A token only for the one client with its secret, and an answer that is never stored and
/// repeats nothing.
pub fn token_request(data: &[u8]) {
    static ENDPOINTS: LazyLock<Vec<Arc<TokenEndpoint>>> = LazyLock::new(|| {
        let endpoint = |dialect: &str, path: &str| {
            // Nobody is locked out, so that one input says nothing about the next.
            format!(
                "[token_endpoints.{dialect}]\ndialect = {dialect:?}\npath = {path:?}\nserve = \"embedded\"\nlockout = {{ failures = 0 }}\n"
            )
        };
        let text = [
            endpoint("oauth2", "/oauth/token"),
            endpoint("auth0", "/auth0/oauth/token"),
            endpoint("plgd", "/m2m-oauth-server/oauth/token"),
            endpoint("frontegg", "/identity/resources/auth/v1/api-token"),
            "[authorization_server]\nissuer = \"https://id.example\"\n".to_owned(),
        ]
        .concat();
        let config =
            config::load_text("endpoint.toml", &text, &BTreeMap::new()).0.into_config().expect("configuration");
        let compiled =
            token_endpoint::compile(&config.config, None, &Lasting::offline(), None, &mut Diagnostics::new());
        compiled.expect("endpoints")
    });
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (content_type, authorization) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let body = lines.next().unwrap_or_default();
    let mut request = Request::post("/").header(header::CONTENT_TYPE, content_type);
    if !authorization.is_empty() {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let Ok(request) = request.body(()) else { return };
    let (parts, ()) = request.into_parts();
    for endpoint in ENDPOINTS.iter() {
        for place in endpoint.places() {
            let responding = endpoint.respond_to_whole(place.operation, &parts, body, &OneClient, ARRIVAL);
            let Poll::Ready(answer) = pin!(responding).poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("an issuer that never waits was waited for")
            };
            judge_answer(place.operation, answer, &[authorization, body].concat());
        }
    }
}

/// When and from where every request comes.
const ARRIVAL: Arrival = Arrival {
    peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    at: UnixTime::from_seconds(1_700_000_000),
    with_certificate: false,
};

fn judge_answer(operation: Operation, answer: Answer, request: &[u8]) {
    let (head, mut answered) = answer.response.into_parts();
    assert_eq!(head.headers[header::CACHE_CONTROL], "no-store");
    assert!(!answer.outcome.reason().is_empty());
    let answered = match Pin::new(&mut answered).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().expect("data").to_vec(),
        Poll::Ready(None) => Vec::new(),
        other => panic!("an answer that is not there at once: {other:?}"),
    };
    let answered = std::str::from_utf8(&answered).expect("UTF-8");
    // What that dialect repeats is the audience and the grant type, whatever a caller writes there.
    let repeats = matches!(operation, Operation::Auth0);
    assert!(repeats || !answered.contains(OneClient::SECRET), "a secret is repeated");
    match answer.outcome {
        Outcome::Issued { .. } => {
            assert!(head.status == 200 && answered.contains(":\"the.access.token\""), "{operation:?} {answered}");
            // However it was written, the proof has been in the request.
            assert!(request.len() >= OneClient::SECRET.len(), "a token for nothing");
        }
        Outcome::Revoked => assert!(head.status == 200 && answered.is_empty(), "{answered}"),
        Outcome::Introspected => assert!(head.status == 200 && answered.contains("\"active\":"), "{answered}"),
        Outcome::Refused(_) => {
            assert!(head.status.is_client_error() || head.status.is_server_error(), "{}", head.status);
            let error = match operation {
                Operation::Oauth2(_) | Operation::Auth0 => "{\"error\":\"",
                Operation::Plgd(_) => "{\"code\":",
                Operation::Frontegg(_) => "{\"errors\":[\"",
            };
            assert!(answered.starts_with(error) && !answered.contains("the.access.token"), "{operation:?} {answered}");
        }
    }
}

/// Issues to `billing` with its secret, and to nobody else.
#[derive(Debug)]
struct OneClient;

impl OneClient {
    const SECRET: &str = "canary-secret";

    fn judge(client_id: Option<&str>, secret: Option<&Secret>) -> Result<(), IssueError> {
        match (client_id, secret.map(Secret::expose)) {
            (Some("billing"), Some(Self::SECRET)) => Ok(()),
            (Some("billing"), Some(_)) => Err(IssueError::WrongSecret),
            (_, None) => Err(IssueError::InvalidAssertion { what: "nobody's assertions are accepted" }),
            _ => Err(IssueError::UnknownClient),
        }
    }

    fn judge_authentication(authentication: &ClientAuthentication) -> Result<(), IssueError> {
        Self::judge(authentication.client_id(), authentication.secret())
    }

    fn exchanged() -> ExchangedToken {
        ExchangedToken {
            access_token: Secret::new("the.access.token".to_owned()),
            refresh_token: Some(Secret::new("the-refresh-token".to_owned())),
            lifetime: Some(Duration::from_secs(600)),
            expires_at: Some(ARRIVAL.at.plus(Duration::from_secs(600))),
            client_id: "billing".into(),
            token_id: TokenId::from_bytes([0; 16]),
        }
    }
}

impl TokenIssuer for OneClient {
    fn issue<'a>(
        &'a self,
        request: &'a TokenRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<IssuedToken, IssueError>> + Send + 'a>> {
        let issued = Self::judge_authentication(&request.authentication).map(|()| IssuedToken {
            access_token: Secret::new("the.access.token".to_owned()),
            token_type: AccessTokenType::Bearer,
            lifetime: Some(Duration::from_secs(600)),
            expires_at: Some(terms.arrival.at.plus(Duration::from_secs(600))),
            // As the embedded issuer does, which answers with scopes that it granted, and none that a caller made up.
            scope: request
                .scope
                .as_deref()
                .filter(|scope| *scope == "orders:read")
                .and_then(|scope| ScopeSet::parse(scope).ok())
                .map(|scope| scope.to_string()),
            client_id: "billing".into(),
            token_id: TokenId::from_bytes([0; 16]),
            beside: serde_json::Map::new(),
        });
        Box::pin(ready(issued))
    }

    fn exchange<'a>(
        &'a self,
        request: &'a ExchangeRequest,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        let judged = Self::judge(Some(&request.client_id), Some(&request.secret));
        Box::pin(ready(judged.map(|()| Self::exchanged())))
    }

    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        let good = refresh_token.expose() == Self::SECRET;
        Box::pin(ready(if good { Ok(Self::exchanged()) } else { Err(IssueError::InvalidRefreshToken) }))
    }

    fn revoke<'a>(
        &'a self,
        request: &'a RevocationRequest,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<(), IssueError>> + Send + 'a>> {
        Box::pin(ready(Self::judge_authentication(&request.authentication)))
    }

    fn introspect<'a>(
        &'a self,
        request: &'a IntrospectionRequest,
        _terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<Introspected, IssueError>> + Send + 'a>> {
        Box::pin(ready(Self::judge_authentication(&request.authentication).map(|()| Introspected::Inactive)))
    }
}
