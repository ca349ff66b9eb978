//! The words of each provider: what its successes and its refusals look like.

use serde_json::{Map, Value, json};

use super::{asked::Placed, conduct::Said, ledger::Issued};

/// Whose words the provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// RFC 6749.
    Oauth2,
    /// A hosted identity product in the style of Auth0.
    Auth0,
    /// plgd's M2M OAuth server.
    Plgd,
    /// Frontegg's vendor exchange, in camelCase.
    FronteggV1,
    /// The same, in snake_case.
    FronteggV2,
}

impl Shape {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Oauth2, Self::Auth0, Self::Plgd, Self::FronteggV1, Self::FronteggV2];

    /// The answer that has a token.
    pub(super) fn success(self, issued: &Issued, expires_in: Option<&Value>) -> Said {
        let mut body = Map::new();
        let (token, lifetime) = match self {
            Self::FronteggV1 => ("accessToken", "expiresIn"),
            _ => ("access_token", "expires_in"),
        };
        body.insert(token.to_owned(), json!(issued.token));
        if let Some(expires_in) = expires_in {
            body.insert(lifetime.to_owned(), expires_in.clone());
        }
        match self {
            Self::Oauth2 | Self::Auth0 | Self::Plgd => {
                body.insert("token_type".to_owned(), json!("Bearer"));
                if let Some(scope) = &issued.scope {
                    body.insert("scope".to_owned(), json!(scope));
                }
            }
            Self::FronteggV1 | Self::FronteggV2 => {
                let refresh = if self == Self::FronteggV1 { "refreshToken" } else { "refresh_token" };
                body.insert(refresh.to_owned(), json!(format!("refresh-{}", issued.number)));
                body.insert("expires".to_owned(), json!("Fri, 01 Jan 2100 00:00:00 GMT"));
            }
        }
        Said::json(200, &Value::Object(body)).with("cache-control", "no-store")
    }

    /// The answer to somebody who is not who it says to be.
    pub(super) fn unknown_client(self, placed: Option<Placed>) -> Said {
        match self {
            Self::Oauth2 => {
                let said =
                    Said::json(401, &json!({ "error": "invalid_client", "error_description": "no such client" }));
                match placed {
                    Some(Placed::Basic) => said.with("www-authenticate", "Basic realm=\"provider\""),
                    _ => said,
                }
            }
            Self::Auth0 => Said::json(401, &json!({ "error": "access_denied", "error_description": "Unauthorized" })),
            Self::Plgd => Said::json(401, &json!({ "code": 16, "message": "invalid client secret", "details": [] })),
            Self::FronteggV1 | Self::FronteggV2 => Said::json(401, &json!({ "errors": ["Invalid credentials"] })),
        }
    }
}
