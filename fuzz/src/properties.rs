//! One function for each parser that reads what strangers send. Each takes any bytes, and panics if what must hold does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use http_body::Body as _;
use percent_encoding::percent_decode_str;
use postern::{
    auth::{UnverifiedToken, extract},
    authorization_server,
    clock::UnixTime,
    config,
    diagnostic::{Diagnostics, KeyPath},
    http::{NormalPath, PathPrefix, headers::X_API_KEY},
    jose::{CompactJws, KeyDocument, LONGEST_TOKEN_BYTES},
    oauth::{IssuedToken, ScopeSet},
    routing::{RoutePattern, RouteTableBuilder},
    secret::Secret,
    token_endpoint::{self, IssueError, Outcome, TokenEndpoint, TokenIssuer, TokenRequest},
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
        let _ = token_endpoint::compile(draft, &mut found);
        let mut table = RouteTableBuilder::new();
        for (name, raw) in &draft.routes {
            let at = KeyPath::of(&["routes", name]);
            let (host, methods) = (raw.host.as_deref(), raw.methods.as_deref());
            if let Some(pattern) = RoutePattern::compile(&at, host, &raw.path, methods, &mut found) {
                table.insert(&at, pattern, (), &mut found);
            }
        }
        let _ = table.build(&mut found);
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

/// A token request, as `Content-Type`, a line break, `Authorization` (may be empty), a line break, and the body: a token only for
/// the one client with its secret, and an answer that is never stored and repeats nothing.
pub fn token_request(data: &[u8]) {
    static ENDPOINT: LazyLock<std::sync::Arc<TokenEndpoint>> = LazyLock::new(|| {
        let text = "[token_endpoints.oauth]\npath = \"/oauth/token\"\nserve = \"embedded\"\n\
                    [authorization_server]\nissuer = \"https://id.example\"\n";
        let config = config::load_text("endpoint.toml", text, &BTreeMap::new()).0.into_config().expect("configuration");
        token_endpoint::compile(&config.config, &mut Diagnostics::new()).expect("endpoints").remove(0)
    });
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (content_type, authorization) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let body = lines.next().unwrap_or_default();
    let mut request = Request::post("/oauth/token").header(header::CONTENT_TYPE, content_type);
    if !authorization.is_empty() {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let Ok(request) = request.body(()) else { return };
    let (parts, ()) = request.into_parts();
    let answer = ENDPOINT.respond_to_whole(&parts, body, &OneClient, UnixTime::from_seconds(1_700_000_000));

    let (head, mut answered) = answer.response.into_parts();
    assert_eq!(head.headers[header::CACHE_CONTROL], "no-store");
    assert!(!answer.outcome.reason().is_empty());
    let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut answered).poll_frame(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("an answer without a body")
    };
    let answered = frame.into_data().expect("data");
    let answered = std::str::from_utf8(&answered).expect("UTF-8");
    match answer.outcome {
        Outcome::Issued { .. } => {
            let request = [authorization, body].concat();
            assert!(head.status == 200 && answered.contains("\"access_token\":\"the.access.token\""), "{answered}");
            // However it was written, the proof has been in the request.
            assert!(request.len() >= OneClient::SECRET.len(), "a token for nothing");
        }
        Outcome::Refused(_) => {
            assert!(head.status.is_client_error() || head.status.is_server_error(), "{}", head.status);
            assert!(answered.contains("\"error\":\"") && !answered.contains("access_token\":"), "{answered}");
            assert!(!answered.contains(OneClient::SECRET), "a secret is repeated");
        }
    }
}

/// Issues to `billing` with its secret, and to nobody else.
#[derive(Debug)]
struct OneClient;

impl OneClient {
    const SECRET: &str = "canary-secret";
}

impl TokenIssuer for OneClient {
    fn issue(&self, request: &TokenRequest, _now: UnixTime) -> Result<IssuedToken, IssueError> {
        match (request.client_id.as_str(), request.client_secret.expose()) {
            ("billing", Self::SECRET) => Ok(IssuedToken {
                access_token: Secret::new("the.access.token".to_owned()),
                lifetime: Duration::from_secs(600),
                // As the embedded issuer does, which answers with scopes that it granted.
                scope: request
                    .scope
                    .as_deref()
                    .and_then(|scope| ScopeSet::parse(scope).ok())
                    .map(|scope| scope.to_string()),
                client_id: "billing".into(),
                token_id: "id-1".to_owned(),
            }),
            ("billing", _) => Err(IssueError::WrongSecret),
            _ => Err(IssueError::UnknownClient),
        }
    }
}
