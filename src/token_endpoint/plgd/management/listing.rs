//! Owns: a list of an owner's tokens as the `plgd` hub streams it: one `{"result":{...}}` a line.
//! Refuses: passing off a part for the whole: where the store fails half-way, the answer breaks off.
//! Always holds: no more than a page is in memory, and the next one is fetched when the one before it has been sent.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use serde::Serialize;
use serde_json::Value;

use super::{
    super::super::{ManagementRefusal, answer},
    query::Query,
};
use crate::{
    authorization_server::{AuthorizationServer, ManagementError},
    clock::UnixTime,
    id::TokenId,
    store::{IssuedCursor, IssuedFilter, ListedToken},
};

/// How many tokens are fetched at once.
const PAGE: u32 = 500;

/// A list under way.
pub(super) struct Listing {
    server: Arc<AuthorizationServer>,
    filter: IssuedFilter,
    audiences: Vec<String>,
    rest: Rest,
}

/// What is still to be fetched.
#[derive(Clone, Copy)]
enum Rest {
    All,
    After(IssuedCursor),
    Nothing,
}

#[derive(Serialize)]
struct Line<'a> {
    result: Token<'a>,
}

/// A token as Protocol Buffers write it: 64-bit numbers are text, and what is not there has the value that stands for nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Token<'a> {
    id: String,
    version: &'static str,
    name: &'a str,
    owner: &'a str,
    issued_at: String,
    audience: [&'a str; 1],
    scope: Vec<&'a str>,
    expiration: String,
    client_id: &'a str,
    original_token_claims: Option<Value>,
    blacklisted: Option<Blacklisted>,
    subject: &'a str,
}

#[derive(Serialize)]
struct Blacklisted {
    flag: bool,
    timestamp: String,
}

impl Listing {
    /// The answer with the tokens of `owner` that `query` means.
    pub(super) async fn begin(
        server: &Arc<AuthorizationServer>,
        owner: &str,
        query: Query,
    ) -> Result<Response<UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>>, ManagementRefusal> {
        let named = query.ids.is_some();
        let ids: Vec<TokenId> = query.ids.iter().flatten().filter_map(|id| TokenId::parse(id)).collect();
        let filter = IssuedFilter {
            // An empty list of ids means every one, which is not what somebody means who named some.
            ids,
            owner: Some(owner.to_owned()),
            audience: match query.audiences.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            },
            include_revoked: query.include_blacklisted,
            ..IssuedFilter::default()
        };
        let rest = if named && filter.ids.is_empty() { Rest::Nothing } else { Rest::All };
        let mut listing = Self { server: Arc::clone(server), filter, audiences: query.audiences, rest };
        // Before anything is answered, so that a store that is away is a 503.
        let first = listing.page().await?;
        let pages = stream::try_unfold(listing, |mut listing| async move {
            Ok(match listing.rest {
                Rest::Nothing => None,
                Rest::All | Rest::After(_) => Some((listing.page().await?, listing)),
            })
        });
        let pages = stream::once(async move { Ok(first) }).chain(pages);
        let frames = pages.map_ok(Frame::data).map_err(|error: ManagementError| error.into());
        let mut response =
            answer::uncached(StatusCode::OK, Bytes::new()).map(|_| StreamBody::new(frames).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    /// The next lines.
    async fn page(&mut self) -> Result<Bytes, ManagementError> {
        let after = match self.rest {
            Rest::Nothing => return Ok(Bytes::new()),
            Rest::All => None,
            Rest::After(place) => Some(place),
        };
        let page = self.server.tokens(self.filter.clone(), PAGE, after).await?;
        self.rest = page.next.map_or(Rest::Nothing, Rest::After);
        let mut lines = Vec::new();
        let meant = |token: &&ListedToken| self.audiences.is_empty() || self.audiences.contains(&token.token.audience);
        for token in page.tokens.iter().filter(meant) {
            // Texts and numbers always serialize.
            let _ = serde_json::to_writer(&mut lines, &Line { result: Token::of(token) });
            lines.push(b'\n');
        }
        Ok(lines.into())
    }
}

impl<'a> Token<'a> {
    fn of(listed: &'a ListedToken) -> Self {
        let ListedToken { token, revoked_at } = listed;
        let seconds = |moment: UnixTime| moment.as_seconds().to_string();
        let original = token.original_claims.as_deref().and_then(|claims| serde_json::from_str(claims).ok());
        Self {
            id: token.id.to_string(),
            version: "0",
            name: token.name.as_deref().unwrap_or_default(),
            owner: token.owner.as_deref().unwrap_or_default(),
            issued_at: seconds(token.issued_at),
            audience: [&token.audience],
            scope: token.scope.as_deref().map(|scope| scope.split(' ').collect()).unwrap_or_default(),
            expiration: token.expires_at.map_or_else(|| "0".to_owned(), seconds),
            client_id: &token.client_id,
            original_token_claims: original,
            blacklisted: revoked_at.map(|at| Blacklisted { flag: true, timestamp: seconds(at) }),
            subject: &token.subject,
        }
    }
}
