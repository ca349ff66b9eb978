//! Owns: writing what a client asks for as the provider reads it: parameters by the provider's dialect, a form or JSON, the secret
//! in a header or in the body.
//! Refuses: saying a parameter twice; passing on what a client says beside what its dialect knows under a name that means something.
//! Always holds: what is written says one client id and one proof.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Map, Value};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::super::{
    AudienceParameter, AuthenticationMethod, ClientAuthentication, IssueError, TokenRequest,
    authentication::{DPOP, JWT_BEARER},
};
use crate::{
    config::{DialectConfig, ProviderAudienceConfig, ProviderAuthenticationConfig, ProviderBodyConfig},
    secret::Secret,
};

/// Parameters that are Postern's alone to say.
const RESERVED: [&str; 7] =
    ["grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "refresh_token", "token"];

/// How a provider wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) dialect: DialectConfig,
    pub(super) body: ProviderBodyConfig,
    pub(super) authentication: ProviderAuthenticationConfig,
    pub(super) audience: ProviderAudienceConfig,
}

/// A request as it goes out.
pub(super) struct Written {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The parameters of a request, under construction.
struct Parameters<'a> {
    manner: Manner,
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    headers: HeaderMap,
}

impl Manner {
    /// Whether all that a request proves can be told.
    ///
    /// # Errors
    /// What stands in the way. Nobody is to be refused later for want of a proof that was left out.
    pub(super) fn admits(self, request: &TokenRequest) -> Result<(), IssueError> {
        let authentication = &request.authentication;
        let (asserts, has_secret) = (authentication.client_assertion().is_some(), authentication.secret().is_some());
        match self.dialect {
            DialectConfig::Frontegg if asserts => Err(IssueError::AuthenticationMethodNotAllowed),
            DialectConfig::Oauth2 | DialectConfig::Auth0 if asserts && has_secret => {
                Err(IssueError::InvalidAssertion { what: "it comes beside a secret" })
            }
            DialectConfig::Frontegg | DialectConfig::Plgd if request.proof_of_possession.is_some() => {
                Err(IssueError::InvalidAssertion { what: "the provider takes no proof of possession" })
            }
            _ => Ok(()),
        }
    }

    /// A request for a token by the client credentials grant.
    pub(super) fn token(self, request: &TokenRequest, authentication: &ClientAuthentication) -> Written {
        let mut parameters = Parameters::new(self);
        if self.dialect == DialectConfig::Frontegg {
            return parameters.frontegg(authentication);
        }
        parameters.say("grant_type", Some("client_credentials"));
        let audience_parameter = match (self.audience, request.audience_parameter) {
            (ProviderAudienceConfig::Audience, _) => "audience",
            (ProviderAudienceConfig::Resource, _) => "resource",
            (ProviderAudienceConfig::AsSent, AudienceParameter::Audience) => "audience",
            (ProviderAudienceConfig::AsSent, AudienceParameter::Resource) => "resource",
        };
        parameters.say(audience_parameter, request.audience.as_deref());
        parameters.say("scope", request.scope.as_deref());
        parameters.say("organization", request.organization.as_deref());
        if self.dialect == DialectConfig::Plgd {
            parameters.say("token_name", request.token_name.as_deref());
            parameters.pairs.extend(request.expires_at.map(|at| ("expiration".into(), at.to_string().into())));
        }
        parameters.authenticate(authentication);
        for (name, value) in &request.others {
            parameters.say_beside(name, value);
        }
        if let Some(proof) = &request.proof_of_possession {
            parameters.headers.insert(DPOP, proof.clone());
        }
        parameters.written()
    }

    /// API credentials, to be exchanged for a token.
    pub(super) fn exchange(self, authentication: &ClientAuthentication) -> Written {
        let mut parameters = Parameters::new(self);
        if self.dialect == DialectConfig::Frontegg {
            return parameters.frontegg(authentication);
        }
        parameters.say("grant_type", Some("client_credentials"));
        parameters.authenticate(authentication);
        parameters.written()
    }

    /// A refresh token, in the dialect that has them.
    pub(super) fn refresh(self, refresh_token: &Secret) -> Written {
        let mut parameters = Parameters::new(self);
        parameters.say("refreshToken", Some(refresh_token.expose()));
        parameters.written()
    }

    /// A token that is to be revoked (RFC 7009 section 2.1) or introspected (RFC 7662 section 2.1).
    pub(super) fn about_token(self, token: &Secret, authentication: &ClientAuthentication) -> Written {
        let mut parameters = Parameters::new(Self { body: ProviderBodyConfig::Form, ..self });
        parameters.say("token", Some(token.expose()));
        parameters.authenticate(authentication);
        parameters.written()
    }
}

impl<'a> Parameters<'a> {
    fn new(manner: Manner) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { manner, pairs: Vec::with_capacity(10), headers }
    }

    fn say(&mut self, name: &'a str, value: Option<&'a str>) {
        self.pairs.extend(value.map(|value| (name.into(), value.into())));
    }

    /// What the client says beside what its dialect knows, unless that is said already, or could be read as if it were.
    fn say_beside(&mut self, name: &'a str, value: &'a str) {
        let is_plain =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        // Some readers fold case and punctuation.
        let folded = |name: &str| name.to_ascii_lowercase().replace('-', "_");
        let own = folded(name);
        let is_said = self.pairs.iter().any(|(said, _)| folded(said) == own);
        if is_plain && !is_said && !RESERVED.contains(&own.as_str()) {
            self.say(name, Some(value));
        }
    }

    fn authenticate(&mut self, authentication: &'a ClientAuthentication) {
        let in_header = match (self.manner.authentication, authentication.method()) {
            (ProviderAuthenticationConfig::ClientSecretBasic, _)
            | (ProviderAuthenticationConfig::AsSent, AuthenticationMethod::Basic) => true,
            (ProviderAuthenticationConfig::ClientSecretPost, _)
            | (ProviderAuthenticationConfig::AsSent, AuthenticationMethod::Post | AuthenticationMethod::Assertion) => {
                false
            }
        };
        match authentication.client_id().zip(authentication.secret()) {
            Some((client_id, secret)) if in_header && !self.would_be_cut(client_id) => {
                self.basic(client_id, secret, authentication.sent());
            }
            Some((client_id, secret)) => {
                self.say("client_id", Some(client_id));
                self.say("client_secret", Some(secret.expose()));
            }
            None => self.say("client_id", authentication.client_id()),
        }
        if let Some(assertion) = authentication.client_assertion() {
            self.say("client_assertion_type", Some(JWT_BEARER));
            self.say("client_assertion", Some(assertion.expose()));
        }
    }

    /// Whether a provider that takes an id as it is would read only the beginning of this one.
    fn would_be_cut(&self, client_id: &str) -> bool {
        self.manner.dialect == DialectConfig::Plgd && client_id.contains(':')
    }

    fn basic(&mut self, client_id: &str, secret: &Secret, sent: Option<&Secret>) {
        let credentials = match sent {
            // As the client sent it: providers differ in what they decode, and the client knows its own.
            Some(sent) if self.manner.dialect != DialectConfig::Plgd => Zeroizing::new(sent.expose().to_owned()),
            _ => self.basic_credentials(client_id, secret),
        };
        // Base64 always makes a header.
        if let Ok(mut value) = HeaderValue::from_str(&Zeroizing::new(format!("Basic {}", *credentials))) {
            value.set_sensitive(true);
            self.headers.insert(AUTHORIZATION, value);
        }
    }

    fn basic_credentials(&self, client_id: &str, secret: &Secret) -> Zeroizing<String> {
        // RFC 6749 section 2.3.1: each is form-encoded first; not so at plgd's server, which takes them as they are.
        let encoded = |text: &str| -> Zeroizing<String> {
            let encodes = self.manner.dialect != DialectConfig::Plgd;
            Zeroizing::new(if encodes { form_encoded(text) } else { text.to_owned() })
        };
        let joined = Zeroizing::new(format!("{}:{}", *encoded(client_id), *encoded(secret.expose())));
        Zeroizing::new(STANDARD.encode(joined.as_bytes()))
    }

    fn frontegg(mut self, authentication: &'a ClientAuthentication) -> Written {
        self.say("clientId", authentication.client_id());
        self.say("secret", authentication.secret().map(Secret::expose));
        self.written()
    }

    fn written(self) -> Written {
        let Self { manner, pairs, mut headers } = self;
        let (content_type, body) = match manner.body {
            ProviderBodyConfig::Form => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(&pairs);
                ("application/x-www-form-urlencoded", form.finish().into_bytes())
            }
            ProviderBodyConfig::Json => {
                let object: Map<String, Value> =
                    pairs.into_iter().map(|(name, value)| (name.into_owned(), Value::from(value))).collect();
                // Texts always serialize.
                ("application/json", serde_json::to_vec(&object).unwrap_or_default())
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Written { headers, body: body.into() }
    }
}

fn form_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manner(
        dialect: DialectConfig,
        body: ProviderBodyConfig,
        authentication: ProviderAuthenticationConfig,
    ) -> Manner {
        Manner { dialect, body, authentication, audience: ProviderAudienceConfig::AsSent }
    }

    fn request(others: Vec<(String, String)>) -> TokenRequest {
        TokenRequest {
            dialect: DialectConfig::Auth0,
            endpoint: "corp".into(),
            token_endpoint_url: None,
            authentication: basic("billing", "s&c:r%t"),
            audience: Some("https://api.example/orders".to_owned()),
            audience_parameter: AudienceParameter::Audience,
            scope: Some("a b".to_owned()),
            organization: Some("org_acme".to_owned()),
            token_name: Some("nightly".to_owned()),
            expires_at: Some(1_800_000_000),
            proof_of_possession: None,
            others,
        }
    }

    fn basic(client_id: &str, secret: &str) -> ClientAuthentication {
        ClientAuthentication::basic(client_id.to_owned(), Secret::new(secret.to_owned()))
    }

    fn post(client_id: &str, secret: &str) -> ClientAuthentication {
        ClientAuthentication::post(client_id.to_owned(), Secret::new(secret.to_owned()))
    }

    /// Headers and body as one text.
    fn shown(written: &Written) -> String {
        let authorization = written.headers.get(AUTHORIZATION).map(|value| {
            let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
            String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
        });
        let content_type = written.headers[CONTENT_TYPE].to_str().unwrap();
        let body = String::from_utf8(written.body.to_vec()).unwrap();
        format!("{content_type} | {} | {body}", authorization.as_deref().unwrap_or("-"))
    }

    #[test]
    fn each_provider_is_told_in_its_own_way() {
        use DialectConfig::{Auth0, Frontegg, Oauth2, Plgd};
        use ProviderAuthenticationConfig::{AsSent, ClientSecretBasic, ClientSecretPost};
        use ProviderBodyConfig::{Form, Json};
        let form = "application/x-www-form-urlencoded";
        let asked =
            "grant_type=client_credentials&audience=https%3A%2F%2Fapi.example%2Forders&scope=a+b&organization=org_acme";
        let named = "token_name=nightly&expiration=1800000000";
        let in_body = "client_id=billing&client_secret=s%26c%3Ar%25t";
        let in_header = "billing:s%26c%3Ar%25t";
        for (manner, authentication, expected) in [
            (manner(Oauth2, Form, AsSent), basic("billing", "s&c:r%t"), format!("{form} | {in_header} | {asked}")),
            (manner(Oauth2, Form, AsSent), post("billing", "s&c:r%t"), format!("{form} | - | {asked}&{in_body}")),
            (
                manner(Auth0, Form, ClientSecretPost),
                basic("billing", "s&c:r%t"),
                format!("{form} | - | {asked}&{in_body}"),
            ),
            (
                manner(Auth0, Form, ClientSecretBasic),
                post("billing", "s&c:r%t"),
                format!("{form} | {in_header} | {asked}"),
            ),
            (
                manner(Plgd, Form, AsSent),
                basic("billing", "s&c:r%t"),
                format!("{form} | billing:s&c:r%t | {asked}&{named}"),
            ),
            (
                manner(Frontegg, Json, AsSent),
                basic("billing", "s&c:r%t"),
                r#"application/json | - | {"clientId":"billing","secret":"s&c:r%t"}"#.to_owned(),
            ),
            (
                manner(Auth0, Json, AsSent),
                post("billing", "s&c:r%t"),
                r#"application/json | - | {"grant_type":"client_credentials","audience":"https://api.example/orders","scope":"a b","organization":"org_acme","client_id":"billing","client_secret":"s&c:r%t"}"#
                    .to_owned(),
            ),
        ] {
            assert_eq!(shown(&manner.token(&request(vec![]), &authentication)), expected);
        }
    }

    #[test]
    fn assertions_go_into_the_body_and_the_audience_where_it_is_wanted() {
        let oauth2 = |audience| Manner {
            audience,
            ..manner(DialectConfig::Oauth2, ProviderBodyConfig::Form, ProviderAuthenticationConfig::ClientSecretBasic)
        };
        let assertion = ClientAuthentication::assertion(None, Secret::new("a.b.c".to_owned()));
        let plain = TokenRequest { organization: None, scope: None, ..request(vec![]) };
        let shown = |audience| shown(&oauth2(audience).token(&plain, &assertion));
        let kind = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c";
        for (audience, parameter) in [
            (ProviderAudienceConfig::AsSent, "audience"),
            (ProviderAudienceConfig::Audience, "audience"),
            (ProviderAudienceConfig::Resource, "resource"),
        ] {
            let expected = format!(
                "application/x-www-form-urlencoded | - | \
                 grant_type=client_credentials&{parameter}=https%3A%2F%2Fapi.example%2Forders&{kind}"
            );
            assert_eq!(shown(audience), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_said_twice_or_over_what_means_something(
            names in proptest::collection::btree_set("(grant_type|client_id|client_secret|Client-Id|client\\.id|client id|SCOPE|scope|audience|[a-zA-Z._ \\[]{1,4})", 0..6),
            value in "[ -~é]{0,12}", secret in "[ -~é]{1,20}", json in any::<bool>(),
        ) {
            let others: Vec<_> = names.into_iter().map(|name| (name, value.clone())).collect();
            let body = if json { ProviderBodyConfig::Json } else { ProviderBodyConfig::Form };
            let manner = manner(DialectConfig::Oauth2, body, ProviderAuthenticationConfig::AsSent);
            let written = manner.token(&request(others), &post("billing", &secret));
            let pairs: Vec<(String, String)> = if json {
                let object: Map<String, Value> = serde_json::from_slice(&written.body).unwrap();
                object.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
            } else {
                form_urlencoded::parse(&written.body).into_owned().collect()
            };
            let folded = |name: &str| name.to_ascii_lowercase().replace(['-', '.', ' ', '['], "_");
            let mut names: Vec<_> = pairs.iter().map(|(name, _)| folded(name)).collect();
            names.sort_unstable();
            names.dedup();
            prop_assert_eq!(names.len(), pairs.len());
            let said = |name: &str| pairs.iter().find(|(said, _)| said == name).map(|(_, value)| value.as_str());
            prop_assert_eq!(said("grant_type"), Some("client_credentials"));
            prop_assert_eq!((said("client_id"), said("client_secret")), (Some("billing"), Some(secret.as_str())));
            prop_assert_eq!((said("resource"), said("scope")), (None, Some("a b")));
        }
    }
}
