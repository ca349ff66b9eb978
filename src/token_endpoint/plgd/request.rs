//! Owns: what the parameters of a `plgd` request mean.
//! Refuses: a token name that would make the token unwieldy.
//! Always holds: credentials in the header go before those in the body; an assertion may come beside a secret, and both count.

use http::{HeaderMap, header::AUTHORIZATION};

use super::super::{
    AudienceParameter, ClientAuthentication, Echo, PlgdOperation, RequestError, TokenEndpoint, TokenRequest,
    authentication::{basic_credentials, decode_basic, jwt_bearer, proof_of_possession},
    media_type::only,
    parameters::Parameters,
};
use crate::{config::DialectConfig, secret::Secret};

/// The one grant that is served.
const CLIENT_CREDENTIALS: &str = "client_credentials";

/// The longest name of a token, which becomes a claim in it.
const LONGEST_TOKEN_NAME_BYTES: usize = 512;

/// A parameter: how it is written in forms and JSON, and how Protocol Buffers write it.
#[derive(Clone, Copy)]
struct Name {
    snake: &'static str,
    camel: &'static str,
}

const CLIENT_ID: Name = Name { snake: "client_id", camel: "clientId" };
const CLIENT_SECRET: Name = Name { snake: "client_secret", camel: "clientSecret" };
const GRANT_TYPE: Name = Name { snake: "grant_type", camel: "grantType" };
const ASSERTION: Name = Name { snake: "client_assertion", camel: "clientAssertion" };
const ASSERTION_TYPE: Name = Name { snake: "client_assertion_type", camel: "clientAssertionType" };
const TOKEN_NAME: Name = Name { snake: "token_name", camel: "tokenName" };

/// The parameters, under the names that the operation knows.
struct Named {
    operation: PlgdOperation,
    parameters: Parameters,
}

/// A request for a token.
pub(super) fn token(
    operation: PlgdOperation,
    headers: &HeaderMap,
    parameters: Parameters,
    endpoint: &TokenEndpoint,
) -> Result<TokenRequest, RequestError> {
    let mut named = Named { operation, parameters };
    let grant_type = named.text(GRANT_TYPE)?;
    let audience = named.words("audience")?;
    let scope = named.words("scope")?.map(|words| words.join(" "));
    let token_name = named.text(TOKEN_NAME)?;
    // Nought is how Protocol Buffers write that there is none.
    let expires_at = named.parameters.integer("expiration")?.filter(|seconds| *seconds != 0);
    let proofs = Proofs::take(&mut named)?;
    match grant_type.as_deref() {
        None => return Err(RequestError::GrantTypeMissing),
        Some(CLIENT_CREDENTIALS) => {}
        Some(other) => return Err(RequestError::UnsupportedGrantType { asked: Echo::of(other) }),
    }
    let no_name = |name: &String| name.len() > LONGEST_TOKEN_NAME_BYTES || name.chars().any(char::is_control);
    if token_name.as_ref().is_some_and(no_name) {
        return Err(RequestError::MalformedBody);
    }
    let authentication = proofs.authentication(headers)?;
    let audience = match audience.map(<[String; 1]>::try_from) {
        None => None,
        Some(Ok([audience])) => Some(audience),
        Some(Err(_)) => return Err(RequestError::TwoAudiences),
    };
    Ok(TokenRequest {
        dialect: DialectConfig::Plgd,
        endpoint: endpoint.name().clone(),
        token_endpoint_url: endpoint.url().cloned(),
        authentication,
        audience,
        audience_parameter: AudienceParameter::Audience,
        scope,
        organization: None,
        token_name,
        expires_at,
        proof_of_possession: proof_of_possession(headers)?,
        others: Vec::new(),
    })
}

impl Named {
    fn text(&mut self, name: Name) -> Result<Option<String>, RequestError> {
        let snake = self.parameters.text(name.snake)?;
        match self.operation {
            PlgdOperation::Token => Ok(snake),
            // Readers of Protocol Buffers take either name, and would believe one of two.
            _ => match (snake, self.parameters.text(name.camel)?) {
                (Some(_), Some(_)) => Err(RequestError::RepeatedParameter),
                (snake, camel) => Ok(snake.or(camel)),
            },
        }
    }

    /// Words separated by spaces at the one place, a list at the other; none if there is no word.
    fn words(&mut self, name: &str) -> Result<Option<Vec<String>>, RequestError> {
        match self.operation {
            PlgdOperation::Token => {
                Ok(self.parameters.text(name)?.map(|text| text.split(' ').map(str::to_owned).collect()))
            }
            _ => self.parameters.texts(name),
        }
    }
}

/// What the body says about who the client is.
struct Proofs {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    assertion: Option<Secret>,
    assertion_type: Option<String>,
}

impl Proofs {
    fn take(named: &mut Named) -> Result<Self, RequestError> {
        Ok(Self {
            client_id: named.text(CLIENT_ID)?,
            client_secret: named.text(CLIENT_SECRET)?.map(Secret::new),
            assertion: named.text(ASSERTION)?.map(Secret::new),
            assertion_type: named.text(ASSERTION_TYPE)?,
        })
    }

    fn authentication(self, headers: &HeaderMap) -> Result<ClientAuthentication, RequestError> {
        if let Some(assertion_type) = &self.assertion_type
            && self.assertion.is_some()
        {
            jwt_bearer(assertion_type)?;
        }
        let by_secret = match (basic(headers)?, self.client_id, self.client_secret) {
            (Some((client_id, secret)), _, _) => ClientAuthentication::basic(client_id, secret),
            (None, Some(client_id), Some(secret)) => ClientAuthentication::post(client_id, secret),
            (None, Some(client_id), None) => {
                let assertion = self.assertion.ok_or(RequestError::AuthenticationMissing)?;
                return Ok(ClientAuthentication::assertion(Some(client_id), assertion));
            }
            (None, None, _) => return Err(RequestError::AuthenticationMissing),
        };
        Ok(match self.assertion {
            Some(assertion) => by_secret.beside(assertion),
            None => by_secret,
        })
    }
}

/// Id and secret out of the header, taken as they are, without another encoding. A header of another scheme has nothing to do
/// with client authentication here.
fn basic(headers: &HeaderMap) -> Result<Option<(String, Secret)>, RequestError> {
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let value = only(headers.get_all(AUTHORIZATION).iter()).ok_or(RequestError::TwoAuthentications)?;
    let as_it_is = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    basic_credentials(value.as_bytes()).map(|credentials| decode_basic(credentials, as_it_is)).transpose()
}
