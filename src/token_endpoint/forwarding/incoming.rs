//! Owns: reading what a provider answered, by its dialect: a token, or what it says against the request.
//! Refuses: everything else. What is no answer of a token endpoint says nothing about the client: it is the provider's failure,
//! whatever its status.
//! Always holds: a token is a text without spaces, of a type that is known; a client is told to be unknown only in the provider's
//! own words for that.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use serde_json::{Map, Value};

use super::{super::authentication::DPOP_NONCE, Failure, ProviderRefusal, ProviderRefusalKind, ProviderToken};
use crate::{
    clock::UnixTime, config::DialectConfig, jose::parse_object, oauth::AccessTokenType, outbound::OutboundAnswer,
    secret::Secret,
};

/// The longest token that is passed on, in bytes.
const LONGEST_TOKEN_BYTES: usize = 64 * 1024;
/// The longest wait that a provider can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// What is never passed on beside a token: it is said in its own place, or is no matter of the client credentials grant (RFC 6749
/// section 4.4.3).
const NOT_BESIDE: [&str; 6] = ["access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"];

/// The token in an answer to a request that was sent at `asked_at`.
pub(super) fn token(
    dialect: DialectConfig,
    answer: &OutboundAnswer,
    asked_at: UnixTime,
) -> Result<ProviderToken, Failure> {
    let members = granted(dialect, answer)?;
    let read = Reading { status: answer.status, members };
    match dialect {
        DialectConfig::Oauth2 | DialectConfig::Auth0 | DialectConfig::Plgd => read.oauth_token(asked_at),
        DialectConfig::Frontegg => read.frontegg_token(asked_at),
    }
}

/// That the provider did what it was asked to, whatever it says about it (RFC 7009 section 2.2).
pub(super) fn done(dialect: DialectConfig, answer: &OutboundAnswer) -> Result<(), Failure> {
    if matches!(answer.status, 200 | 204) { Ok(()) } else { Err(refused(dialect, answer)) }
}

/// What the provider says about a token (RFC 7662 section 2.2); none if it is not active.
pub(super) fn introspected(
    dialect: DialectConfig,
    answer: &OutboundAnswer,
) -> Result<Option<Map<String, Value>>, Failure> {
    let members = granted(dialect, answer)?;
    match members.get("active") {
        Some(Value::Bool(true)) => Ok(Some(members)),
        Some(Value::Bool(false)) => Ok(None),
        _ => Err(Failure::Answer { status: answer.status, what: "`active` is neither true nor false" }),
    }
}

/// The members of an answer that grants something.
fn granted(dialect: DialectConfig, answer: &OutboundAnswer) -> Result<Map<String, Value>, Failure> {
    if answer.status != 200 {
        return Err(refused(dialect, answer));
    }
    parse_object(&answer.body)
        .map_err(|_| Failure::Answer { status: answer.status, what: "its body is no JSON object" })
}

/// The members of a granting answer, being read.
struct Reading {
    status: u16,
    members: Map<String, Value>,
}

impl Reading {
    fn wrong<T>(&self, what: &'static str) -> Result<T, Failure> {
        Err(Failure::Answer { status: self.status, what })
    }

    /// RFC 6749 section 5.1.
    fn oauth_token(mut self, obtained_at: UnixTime) -> Result<ProviderToken, Failure> {
        let access_token = self.secret("access_token")?;
        let token_type = match self.members.get("token_type") {
            // The RFC demands it; whoever forgets it means the only type that there was for long.
            None => AccessTokenType::Bearer,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("Bearer") => AccessTokenType::Bearer,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("DPoP") => AccessTokenType::Dpop,
            Some(_) => return self.wrong("its `token_type` is not known"),
        };
        let lifetime = self.seconds("expires_in")?;
        let scope = match self.members.remove("scope") {
            None | Some(Value::Null) => None,
            Some(Value::String(scope)) => Some(scope),
            Some(_) => return self.wrong("its `scope` is no text"),
        };
        let beside = self.members.into_iter().filter(|(name, _)| !NOT_BESIDE.contains(&name.as_str())).collect();
        Ok(ProviderToken { access_token, token_type, lifetime, obtained_at, scope, refresh_token: None, beside })
    }

    /// Either of the spellings that the product has.
    fn frontegg_token(self, obtained_at: UnixTime) -> Result<ProviderToken, Failure> {
        let camel = self.members.contains_key("accessToken");
        let (access, refresh, expires) = if camel {
            ("accessToken", "refreshToken", "expiresIn")
        } else {
            ("access_token", "refresh_token", "expires_in")
        };
        let refresh_token = match self.members.get(refresh) {
            None | Some(Value::Null) => None,
            Some(_) => Some(self.secret(refresh)?),
        };
        Ok(ProviderToken {
            access_token: self.secret(access)?,
            token_type: AccessTokenType::Bearer,
            lifetime: self.seconds(expires)?,
            obtained_at,
            scope: None,
            refresh_token,
            beside: Map::new(),
        })
    }

    fn secret(&self, name: &str) -> Result<Secret, Failure> {
        match self.members.get(name).and_then(Value::as_str) {
            // RFC 6749 appendix A.12: VSCHAR.
            Some(text)
                if (1..=LONGEST_TOKEN_BYTES).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Ok(Secret::new(text.to_owned()))
            }
            _ => self.wrong("there is no usable token in it"),
        }
    }

    /// Whole seconds; some providers write them as text, and some with a fraction.
    fn seconds(&self, name: &str) -> Result<Option<Duration>, Failure> {
        let seconds = match self.members.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match seconds {
            Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
            None => self.wrong("it does not say in seconds how long the token lasts"),
        }
    }
}

fn whole(seconds: f64) -> Option<u64> {
    let in_range = (0.0..1e15).contains(&seconds);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at")]
    let whole = seconds as u64;
    in_range.then_some(whole)
}

/// What an answer that grants nothing comes to.
fn refused(dialect: DialectConfig, answer: &OutboundAnswer) -> Failure {
    let status = answer.status;
    if status == 429 {
        let retry_after = wait(&answer.headers);
        let said = parse_object(&answer.body).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        let refusal = ProviderRefusal::of(ProviderRefusalKind::TooManyRequests);
        let refusal = refusal.saying(text("error"), text("error_description"));
        return Failure::Refused(ProviderRefusal { retry_after, ..refusal });
    }
    // RFC 6749 section 5.2 knows 400 and 401, some products 403. A 404 or 415 says that the provider is asked wrongly.
    if !matches!(status, 400 | 401 | 403) {
        return Failure::Status { status };
    }
    let Ok(said) = parse_object(&answer.body) else {
        return Failure::Answer { status, what: "it refuses, and does not say why as a token endpoint does" };
    };
    let read = match dialect {
        DialectConfig::Oauth2 | DialectConfig::Auth0 => oauth_refusal(status, &said),
        DialectConfig::Plgd => plgd_refusal(status, &said),
        DialectConfig::Frontegg => frontegg_refusal(status, &said),
    };
    match read {
        Some(refusal) => {
            let nonce = answer.headers.get(DPOP_NONCE).cloned();
            Failure::Refused(ProviderRefusal { nonce, ..refusal })
        }
        None => Failure::Answer { status, what: "it refuses in words that are not those of its dialect" },
    }
}

/// RFC 6749 section 5.2, and the words of the `auth0` dialect, which share their shape.
fn oauth_refusal(status: u16, said: &Map<String, Value>) -> Option<ProviderRefusal> {
    let code = said.get("error")?.as_str()?;
    let kind = match (code, status) {
        ("invalid_client", _) | ("access_denied" | "unauthorized_client", 401) => ProviderRefusalKind::InvalidClient,
        // It says of itself, with the status of a caller's fault, that it cannot.
        ("temporarily_unavailable" | "server_error", _) => return None,
        ("access_denied", _) => ProviderRefusalKind::AccessDenied,
        ("unauthorized_client", _) => ProviderRefusalKind::UnauthorizedClient,
        ("invalid_scope", _) => ProviderRefusalKind::InvalidScope,
        ("invalid_target", _) => ProviderRefusalKind::InvalidTarget,
        ("invalid_grant", _) => ProviderRefusalKind::InvalidGrant,
        _ => ProviderRefusalKind::Other,
    };
    let description = said.get("error_description").and_then(Value::as_str);
    Some(ProviderRefusal::of(kind).saying(Some(code), description))
}

/// `google.rpc.Status` in JSON. One code stands for a bad proof and for a bad scope; only the sentence tells them apart.
fn plgd_refusal(status: u16, said: &Map<String, Value>) -> Option<ProviderRefusal> {
    let code = said.get("code")?.as_u64()?;
    let message = said.get("message")?.as_str()?;
    let about_client = ["client or client secret", "client secret", "client id", "client assertion", "invalid client"];
    let kind = match status {
        // UNAUTHENTICATED
        401 if code != 16 => return None,
        401 if about_client.iter().any(|words| message.contains(words)) => ProviderRefusalKind::InvalidClient,
        401 if message.contains("scope") => ProviderRefusalKind::InvalidScope,
        401 if message.contains("audience") => ProviderRefusalKind::InvalidTarget,
        403 => ProviderRefusalKind::AccessDenied,
        _ => ProviderRefusalKind::Other,
    };
    Some(ProviderRefusal::of(kind).saying(None, Some(message)))
}

/// `{"errors": ["..."]}`.
fn frontegg_refusal(status: u16, said: &Map<String, Value>) -> Option<ProviderRefusal> {
    let first = said.get("errors")?.as_array()?.first()?.as_str()?;
    let kind = match status {
        401 => ProviderRefusalKind::InvalidClient,
        403 => ProviderRefusalKind::AccessDenied,
        _ => ProviderRefusalKind::Other,
    };
    Some(ProviderRefusal::of(kind).saying(None, Some(first)))
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3); a date is rare enough to be left out.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    fn answer(status: u16, body: &str) -> OutboundAnswer {
        OutboundAnswer { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    /// A token as one text, or what became of it.
    fn read(dialect: DialectConfig, status: u16, body: &str) -> String {
        match token(dialect, &answer(status, body), NOW) {
            Ok(token) => format!(
                "{} {} {:?} {} {} {}",
                token.access_token.expose(),
                token.token_type.as_str(),
                token.lifetime.map(|lifetime| lifetime.as_secs()),
                token.scope.as_deref().unwrap_or("-"),
                token.refresh_token.as_ref().map_or("-", Secret::expose),
                Value::Object(token.beside)
            ),
            Err(Failure::Refused(refusal)) => format!(
                "{:?} {} {}",
                refusal.kind,
                refusal.code.as_deref().unwrap_or("-"),
                refusal.description.map_or("-".to_owned(), |description| description.to_string())
            ),
            Err(Failure::Status { .. }) => "status".to_owned(),
            Err(Failure::Answer { .. }) => "no answer".to_owned(),
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn tokens_are_read_in_every_dialect() {
        use DialectConfig::{Auth0, Frontegg, Oauth2, Plgd};
        for (dialect, body, expected) in [
            (
                Oauth2,
                r#"{"access_token":"a.b","token_type":"bearer","expires_in":60,"scope":"x y"}"#,
                "a.b Bearer Some(60) x y - {}",
            ),
            (Oauth2, r#"{"access_token":"a","token_type":"DPoP","expires_in":"60"}"#, "a DPoP Some(60) - - {}"),
            (Oauth2, r#"{"access_token":"a","expires_in":59.9}"#, "a Bearer Some(59) - - {}"),
            (Oauth2, r#"{"access_token":"a","expires_in":null,"scope":null}"#, "a Bearer None - - {}"),
            (
                Auth0,
                r#"{"access_token":"a","token_type":"Bearer","refresh_token":"r","id_token":"i","instance_url":"https://x"}"#,
                r#"a Bearer None - - {"instance_url":"https://x"}"#,
            ),
            (Plgd, r#"{"access_token":"a","token_type":"Bearer","scope":"r:*"}"#, "a Bearer None r:* - {}"),
            (
                Frontegg,
                r#"{"accessToken":"a","refreshToken":"r","expiresIn":5,"expires":"x"}"#,
                "a Bearer Some(5) - r {}",
            ),
            (Frontegg, r#"{"access_token":"a","refresh_token":"r","expires_in":5}"#, "a Bearer Some(5) - r {}"),
        ] {
            assert_eq!(read(dialect, 200, body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_token_is_the_providers_failure() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a\n"}"#,
            r#"{"access_token":5}"#,
            r#"{"access_token":"a","access_token":"b"}"#,
            r#"{"access_token":"a","token_type":"mac"}"#,
            r#"{"access_token":"a","token_type":["Bearer"]}"#,
            r#"{"access_token":"a","expires_in":-1}"#,
            r#"{"access_token":"a","expires_in":1e300}"#,
            r#"{"access_token":"a","expires_in":true}"#,
            r#"{"access_token":"a","expires_in":"soon"}"#,
            r#"{"access_token":"a","scope":["x"]}"#,
            r#"{"error":"invalid_client"}"#,
        ] {
            assert_eq!(read(DialectConfig::Oauth2, 200, body), "no answer", "{body}");
        }
        let long = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(LONGEST_TOKEN_BYTES + 1));
        assert_eq!(read(DialectConfig::Oauth2, 200, &long), "no answer");
    }

    #[test]
    fn refusals_are_read_in_every_dialect() {
        use DialectConfig::{Auth0, Frontegg, Oauth2, Plgd};
        for (dialect, status, body, expected) in [
            (Oauth2, 401, r#"{"error":"invalid_client","error_description":"no"}"#, "InvalidClient invalid_client no"),
            (Oauth2, 400, r#"{"error":"invalid_client"}"#, "InvalidClient invalid_client -"),
            (Oauth2, 401, r#"{"error":"unauthorized_client"}"#, "InvalidClient unauthorized_client -"),
            (Plgd, 401, r#"{"code":3,"message":"invalid client id"}"#, "no answer"),
            (Frontegg, 401, r#"{"errors":[]}"#, "no answer"),
            (Frontegg, 401, r#"{"errors":[{"status":"401"}]}"#, "no answer"),
            (Oauth2, 400, r#"{"error":"invalid_scope"}"#, "InvalidScope invalid_scope -"),
            (Oauth2, 400, r#"{"error":"invalid_target"}"#, "InvalidTarget invalid_target -"),
            (Oauth2, 400, r#"{"error":"unauthorized_client"}"#, "UnauthorizedClient unauthorized_client -"),
            (Oauth2, 400, r#"{"error":"of_its_own"}"#, "Other of_its_own -"),
            (Oauth2, 400, r#"{"error":"two words\r\n"}"#, "Other - -"),
            (
                Auth0,
                401,
                r#"{"error":"access_denied","error_description":"Unauthorized"}"#,
                "InvalidClient access_denied Unauthorized",
            ),
            (
                Auth0,
                403,
                r#"{"error":"access_denied","error_description":"Service"}"#,
                "AccessDenied access_denied Service",
            ),
            (Auth0, 429, r#"{"error":"too_many_requests"}"#, "TooManyRequests too_many_requests -"),
            (Oauth2, 429, "slow down", "TooManyRequests - -"),
            (
                Plgd,
                401,
                r#"{"code":16,"message":"cannot create token: invalid client or client secret","details":[]}"#,
                "InvalidClient - cannot create token: invalid client or client secret",
            ),
            (Plgd, 401, r#"{"code":16,"message":"invalid scope"}"#, "InvalidScope - invalid scope"),
            (Plgd, 401, r#"{"code":16,"message":"invalid audience"}"#, "InvalidTarget - invalid audience"),
            (Frontegg, 401, r#"{"errors":["Invalid authentication"]}"#, "InvalidClient - Invalid authentication"),
            (Frontegg, 403, r#"{"errors":["Api tokens are disabled"]}"#, "AccessDenied - Api tokens are disabled"),
        ] {
            assert_eq!(read(dialect, status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn nobody_is_refused_on_account_of_what_is_no_answer() {
        for (status, body, expected) in [
            (401, "<html>", "no answer"),
            (403, "{}", "no answer"),
            (401, r#"{"message":"no route"}"#, "no answer"),
            (401, r#"{"error":{"code":"x"}}"#, "no answer"),
            (400, r#"{"error":"temporarily_unavailable"}"#, "no answer"),
            (404, r#"{"error":"invalid_client"}"#, "status"),
            (500, r#"{"error":"invalid_client"}"#, "status"),
            (503, "", "status"),
            (302, "", "status"),
            (201, r#"{"access_token":"a"}"#, "status"),
        ] {
            assert_eq!(read(DialectConfig::Oauth2, status, body), expected, "{status} {body}");
            assert!(!matches!(
                token(DialectConfig::Oauth2, &answer(status, body), NOW),
                Err(failure) if failure.is_invalid_client()
            ));
        }
    }

    #[test]
    fn waits_are_bounded_and_nonces_passed_on() {
        let with = |status, name: &'static str, value: &'static str| OutboundAnswer {
            headers: HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]),
            ..answer(status, r#"{"error":"use_dpop_nonce"}"#)
        };
        let retry_after = |value| match token(DialectConfig::Oauth2, &with(429, "retry-after", value), NOW) {
            Err(Failure::Refused(refusal)) => refusal.retry_after.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!((retry_after("7"), retry_after("999999"), retry_after("soon")), (Some(7), Some(3600), None));
        match token(DialectConfig::Oauth2, &with(400, "dpop-nonce", "abc"), NOW) {
            Err(Failure::Refused(refusal)) => assert_eq!(refusal.nonce.unwrap(), "abc"),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics_and_only_its_words_make_an_unknown_client(
            status in 100u16..600, body in "[ -~]{0,80}|\\{\"(error|code|errors|access_token)\":(\"[ -~]{0,20}\"|5|null|\\[\\])\\}",
        ) {
            for dialect in DialectConfig::ALL {
                match token(dialect, &answer(status, &body), NOW) {
                    Ok(token) => prop_assert!(status == 200 && body.contains(token.access_token.expose())),
                    Err(failure) if failure.is_invalid_client() => {
                        prop_assert!(matches!(status, 400 | 401) && parse_object(body.as_bytes()).is_ok());
                    }
                    Err(_) => {}
                }
            }
        }
    }
}
