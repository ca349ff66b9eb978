//! Owns: one token endpoint: where it is, and how a request to it is answered.
//! Refuses: reading more of a body than a token request can need.
//! Always holds: a body is not read before method and media type are right.

use std::{pin::pin, sync::Arc};

use bytes::{Buf, Bytes};
use http::{Request, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::{
    Answer, Arrival, Forwarding, Lockout, Operation, Place, PlgdOperation, Quota, RequestError, TokenIssuer,
    TokenRefusal, auth0, desk::Desk, frontegg, media_type::MediaType, oauth2, parameters::Parameters, plgd,
};
use crate::auth::Requirement;

/// How much of a body that is too long is taken in and thrown away.
const LONGEST_REST_BYTES: usize = 4 << 20;

/// Where clients post to get a token, and what belongs to that in its dialect.
#[derive(Debug)]
pub struct TokenEndpoint {
    pub(super) name: Arc<str>,
    pub(super) host: Option<String>,
    pub(super) places: Vec<Place>,
    pub(super) url: Option<Arc<str>>,
    pub(super) lockout: Arc<Lockout>,
    /// Who issues here, if it is an outside provider; none: the embedded issuer does.
    pub(super) forwarding: Option<Forwarding>,
    /// How many tokens everybody gets; none: as many as they ask for.
    pub(super) quota: Option<Arc<Quota>>,
    /// What a token must show for the dialect's own management; none: that is not served.
    pub(super) management: Option<Requirement>,
}

impl TokenEndpoint {
    /// The longest request body that is read, in bytes.
    pub const LONGEST_BODY_BYTES: usize = 64 * 1024;

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The host asked for, if it is not any.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Where it answers, and what to; no two places are the same.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The URL at which tokens are asked for, if the issuer's own URL is known.
    #[must_use]
    pub const fn url(&self) -> Option<&Arc<str>> {
        self.url.as_ref()
    }

    /// Who issues here, if it is an outside provider.
    #[must_use]
    pub const fn forwarding(&self) -> Option<&Forwarding> {
        self.forwarding.as_ref()
    }

    /// How many tokens everybody gets here, if that is bounded.
    #[must_use]
    pub const fn quota(&self) -> Option<&Arc<Quota>> {
        self.quota.as_ref()
    }

    /// Answers a request to one of its places, whatever its method and body. If the body was not read to its end, the answer
    /// is a refusal.
    pub async fn respond<B>(
        &self,
        operation: Operation,
        request: Request<B>,
        issuer: &dyn TokenIssuer,
        arrival: Arrival,
    ) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        if let Err(error) = read_head(operation, &parts) {
            return Answer::refused(operation, error.into());
        }
        match whole(body).await {
            Ok(body) => self.respond_to_whole(operation, &parts, &body, issuer, arrival).await,
            Err(error) => Answer::refused(operation, error.into()),
        }
    }

    /// Answers a request whose body is there already.
    pub async fn respond_to_whole(
        &self,
        operation: Operation,
        parts: &Parts,
        body: &[u8],
        issuer: &dyn TokenIssuer,
        arrival: Arrival,
    ) -> Answer {
        let desk = Desk { endpoint: self, issuer, arrival };
        let answered = self.answer(operation, parts, body, desk).await;
        answered.unwrap_or_else(|refusal| Answer::refused(operation, refusal))
    }

    async fn answer(
        &self,
        operation: Operation,
        parts: &Parts,
        body: &[u8],
        desk: Desk<'_>,
    ) -> Result<Answer, TokenRefusal> {
        let media_type = read_head(operation, parts)?;
        if body.len() > Self::LONGEST_BODY_BYTES {
            return Err(RequestError::BodyTooLarge.into());
        }
        let (headers, parameters) = (&parts.headers, Parameters::read(media_type, body)?);
        match operation {
            Operation::Oauth2(operation) => oauth2::respond(operation, headers, parameters, desk).await,
            Operation::Auth0 => auth0::respond(headers, parameters, desk).await,
            Operation::Plgd(operation) => plgd::respond(operation, headers, parameters, desk).await,
            Operation::Frontegg(operation) => frontegg::respond(operation, parameters, desk).await,
        }
    }
}

/// Reads a body to its end.
pub(super) async fn whole<B>(body: B) -> Result<Bytes, RequestError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = pin!(body);
    match Limited::new(body.as_mut(), TokenEndpoint::LONGEST_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            // A caller that still sends when the connection is closed may never see the answer, so some of what is too much is
            // taken in and thrown away (RFC 9112 section 9.6).
            let mut taken = 0;
            while taken < LONGEST_REST_BYTES
                && let Some(Ok(frame)) = body.frame().await
            {
                taken += frame.data_ref().map_or(0, Buf::remaining);
            }
            Err(RequestError::BodyTooLarge)
        }
        Err(_) => Err(RequestError::BodyIncomplete),
    }
}

/// Judges what can be judged before the body is read; gives the form that the body is to be read in.
fn read_head(operation: Operation, parts: &Parts) -> Result<MediaType, RequestError> {
    if !operation.allows(&parts.method) {
        return Err(RequestError::MethodNotAllowed);
    }
    let media_type = match operation {
        Operation::Oauth2(_) | Operation::Auth0 => MediaType::of(&parts.headers),
        Operation::Plgd(PlgdOperation::Token) => MediaType::form_or_json(&parts.headers),
        Operation::Plgd(_) => Some(MediaType::Json),
        Operation::Frontegg(_) => MediaType::of(&parts.headers).filter(|media_type| *media_type == MediaType::Json),
    };
    media_type.ok_or(RequestError::UnsupportedMediaType)
}
