//! Owns: the way of a request to a dialect's own management: its method, its token, the endpoint's `require`, its body, and then
//! the operation.
//! Refuses: reading a body for somebody whose token does not satisfy `require`.
//! Always holds: an endpoint without a `[management]` table manages nothing; what is refused changes nothing.

mod refusal;

use std::{convert::Infallible, error::Error, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};

pub use self::refusal::ManagementRefusal;
use super::{Operation, RequestError, TokenEndpoint, endpoint::whole, frontegg, places::TOKEN_PARAMETER, plgd};
use crate::{
    auth::{self, Issuers, VerifiedToken, WorkerTokenCache},
    authorization_server::AuthorizationServer,
    clock::UnixTime,
    http::PathParameters,
};

/// What it takes to manage, beside a request.
#[derive(Clone, Copy, Debug)]
pub struct Managing<'a> {
    /// The issuer whose tokens and switches are managed.
    pub server: &'a Arc<AuthorizationServer>,
    /// Whose tokens callers may have.
    pub issuers: &'a Issuers,
    /// The tokens that were verified before.
    pub tokens: &'a WorkerTokenCache,
    /// When the request arrived.
    pub at: UnixTime,
}

/// How a request was answered.
#[derive(Debug)]
pub struct Managed {
    /// What goes out. A list of tokens is fetched while it is sent.
    pub response: Response<UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>>,
    /// The caller's token, if it was good.
    pub token: Option<Arc<VerifiedToken>>,
    /// Why nothing was done, if so.
    pub refusal: Option<ManagementRefusal>,
}

/// A request whose caller may make it.
pub(super) struct ManagementRequest<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: &'a [u8],
    pub(super) token: &'a VerifiedToken,
    pub(super) managing: Managing<'a>,
    parameters: &'a PathParameters,
}

impl ManagementRequest<'_> {
    /// The id that the path ends in.
    pub(super) fn token_id(&self) -> &str {
        self.parameters.value(TOKEN_PARAMETER).unwrap_or_default()
    }

    /// What the caller is called in the audit.
    pub(super) fn caller_name(&self) -> String {
        self.token.principal().to_string()
    }
}

impl TokenEndpoint {
    /// Answers a request to manage; see [`Operation::is_management`].
    pub async fn manage<B>(
        &self,
        operation: Operation,
        request: Request<B>,
        parameters: &PathParameters,
        managing: Managing<'_>,
    ) -> Managed
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let token = match self.admit(operation, &parts, managing).await {
            Ok(token) => token,
            Err((token, refusal)) => return Managed::refused(operation, token, refusal),
        };
        let body = if parts.method == Method::POST || parts.method == Method::PATCH {
            whole(body).await
        } else {
            // Nobody asks for a list with a body; what comes is not looked at.
            Ok(Bytes::new())
        };
        let answered = match body {
            Ok(body) => {
                let request = ManagementRequest { parts: &parts, body: &body, token: &token, managing, parameters };
                answer(operation, &request).await
            }
            Err(error) => Err(error.into()),
        };
        match answered {
            Ok(response) => Managed { response, token: Some(token), refusal: None },
            Err(refusal) => Managed::refused(operation, Some(token), refusal),
        }
    }

    /// The token of whoever may manage here. Beside a refusal stands the token if it was good in itself.
    async fn admit(
        &self,
        operation: Operation,
        parts: &Parts,
        managing: Managing<'_>,
    ) -> Result<Arc<VerifiedToken>, (Option<Arc<VerifiedToken>>, ManagementRefusal)> {
        let refused = |refusal: ManagementRefusal| (None, refusal);
        let requirement = self.management.as_ref().filter(|_| operation.allows(&parts.method));
        let requirement = requirement.ok_or_else(|| refused(RequestError::MethodNotAllowed.into()))?;
        let Managing { issuers, tokens, at, .. } = managing;
        let found = auth::extract(&parts.headers, parts.uri.query(), issuers.accepts_api_keys());
        let credential = found.map_err(|error| refused(error.into()))?.ok_or(refused(ManagementRefusal::NoToken))?;
        let verified = auth::verify(credential, issuers, requirement.introspecting(), tokens, at).await;
        let token = verified.map_err(|error| refused(Box::new(error).into()))?;
        match requirement.authorize(&token, &PathParameters::default()) {
            // There is no upstream that a permit would be for.
            Ok(_permit) => Ok(token),
            Err(denial) => Err((Some(token), denial.into())),
        }
    }
}

async fn answer(
    operation: Operation,
    request: &ManagementRequest<'_>,
) -> Result<Response<UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>>, ManagementRefusal> {
    match operation {
        Operation::Plgd(operation) => plgd::manage(operation, request).await,
        Operation::Frontegg(operation) => frontegg::manage(operation, request).await.map(boxed),
        Operation::Oauth2(_) | Operation::Auth0 => Err(RequestError::MethodNotAllowed.into()),
    }
}

impl Managed {
    fn refused(operation: Operation, token: Option<Arc<VerifiedToken>>, refusal: ManagementRefusal) -> Self {
        let response = match operation {
            Operation::Frontegg(_) => frontegg::refuse_management(&refusal),
            // The dialects without management have no place that leads here.
            Operation::Plgd(_) | Operation::Oauth2(_) | Operation::Auth0 => plgd::refuse_management(&refusal),
        };
        let mut response = boxed(response);
        refusal.complete(response.headers_mut(), operation);
        Self { response, token, refusal: Some(refusal) }
    }
}

/// The same response, with a body of the type that a list has.
pub(super) fn boxed(response: Response<Full<Bytes>>) -> Response<UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>> {
    response.map(|body| body.map_err(|never: Infallible| match never {}).boxed_unsync())
}
