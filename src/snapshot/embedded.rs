//! Owns: the embedded issuer as the rest of the house sees it: a keeper of keys for `auth`, an issuer for
//! `token_endpoint`, a shelf of documents for the gateway.
//! Refuses: issuing while none is configured, or while it is switched off.
//! Always holds: who may get a token and what is published belong to one snapshot, like every other rule. Keys outlive
//! snapshots: one is published before the first token that it signs, and withdrawn only after the snapshot that signs with it
//! has gone.

use std::{
    collections::HashMap,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use tracing::error;

use crate::{
    auth::{KeySource, KeyStanding, TrustedKey, TrustedKeySet, UnknownKeyFetch},
    authorization_server::{AuthorizationServer, Document, GrantError, GrantRequest, UnverifiableKey},
    clock::UnixTime,
    config::DialectConfig,
    oauth::{ExchangedToken, IssuedToken},
    secret::Secret,
    token_endpoint::{
        ExchangeRequest, Introspected, IntrospectionRequest, IssueError, RevocationRequest, TokenIssuer, TokenRequest,
    },
};

/// The embedded issuer of one snapshot, its keys open.
#[derive(Debug)]
pub struct EmbeddedIssuer {
    server: Arc<AuthorizationServer>,
    documents: HashMap<Box<str>, Document>,
}

/// The public keys of the embedded issuer. There is one of these for the life of the process.
#[derive(Debug, Default)]
pub struct EmbeddedKeys {
    published: ArcSwapOption<Box<[Arc<TrustedKey>]>>,
}

impl EmbeddedIssuer {
    /// An issuer whose keys are open.
    #[must_use]
    pub fn new(server: AuthorizationServer) -> Self {
        let documents = server.documents().into_iter();
        let documents = documents.map(|document| (document.path.as_str().into(), document)).collect();
        Self { server: Arc::new(server), documents }
    }

    /// The issuer itself, for taking over its open keys.
    #[must_use]
    pub const fn server(&self) -> &Arc<AuthorizationServer> {
        &self.server
    }

    /// The document published at `path`.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<&Document> {
        self.documents.get(path)
    }
}

impl EmbeddedKeys {
    /// Publishes the keys of `server` beside those that are published already.
    ///
    /// # Errors
    /// If a key cannot be used; nothing has changed then.
    pub fn publish(&self, server: &AuthorizationServer) -> Result<(), UnverifiableKey> {
        let mut keys = self.published();
        for (key, made_at) in server.verification_keys()? {
            if !keys.iter().any(|known| known.key().thumbprint() == key.thumbprint()) {
                keys.push(Arc::new(TrustedKey::new(key, made_at)));
            }
        }
        self.published.store(Some(Arc::new(keys.into())));
        Ok(())
    }

    /// Withdraws every key that is not one of `server`'s, and the tokens that it signed with it.
    pub fn retain(&self, server: Option<&AuthorizationServer>) {
        let kept = |key: &TrustedKey| {
            server.is_some_and(|server| server.keys().published().any(|own| own.key_id() == key.key().thumbprint()))
        };
        let (kept, withdrawn): (Vec<_>, Vec<_>) = self.published().into_iter().partition(|key| kept(key));
        self.published.store(Some(Arc::new(kept.into())));
        for key in withdrawn {
            key.withdraw();
        }
    }

    /// The published keys.
    #[must_use]
    pub fn published(&self) -> Vec<Arc<TrustedKey>> {
        self.published.load().as_ref().map(|keys| keys.to_vec()).unwrap_or_default()
    }
}

impl KeySource for EmbeddedKeys {
    fn current(&self, _now: UnixTime) -> TrustedKeySet {
        let keys = self.published();
        if keys.is_empty() { TrustedKeySet::Unavailable } else { TrustedKeySet::Usable(keys.into()) }
    }

    fn standing(&self, _now: UnixTime) -> KeyStanding {
        match self.published.load().as_ref() {
            Some(keys) if !keys.is_empty() => KeyStanding::Usable,
            _ => KeyStanding::Unavailable,
        }
    }

    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>> {
        // There is nobody to ask: what is published is all there is.
        Box::pin(std::future::ready(UnknownKeyFetch::Current))
    }
}

impl TokenIssuer for EmbeddedIssuer {
    fn issue<'a>(
        &'a self,
        request: &'a TokenRequest,
        now: UnixTime,
    ) -> Pin<Box<dyn Future<Output = Result<IssuedToken, IssueError>> + Send + 'a>> {
        Box::pin(ready(self.issue_by_secret(request, now)))
    }

    fn exchange<'a>(
        &'a self,
        _request: &'a ExchangeRequest,
        _now: UnixTime,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        Box::pin(ready(Err(not_done_here())))
    }

    fn refresh<'a>(
        &'a self,
        _refresh_token: &'a Secret,
        _now: UnixTime,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        Box::pin(ready(Err(not_done_here())))
    }

    fn revoke<'a>(
        &'a self,
        _request: &'a RevocationRequest,
        _now: UnixTime,
    ) -> Pin<Box<dyn Future<Output = Result<(), IssueError>> + Send + 'a>> {
        Box::pin(ready(Err(not_done_here())))
    }

    fn introspect<'a>(
        &'a self,
        _request: &'a IntrospectionRequest,
        _now: UnixTime,
    ) -> Pin<Box<dyn Future<Output = Result<Introspected, IssueError>> + Send + 'a>> {
        Box::pin(ready(Err(not_done_here())))
    }
}

impl EmbeddedIssuer {
    /// Only tokens of RFC 9068 are issued, and only for a secret: everything else that could be asked for is refused, not
    /// issued as something that it is not.
    fn issue_by_secret(&self, request: &TokenRequest, now: UnixTime) -> Result<IssuedToken, IssueError> {
        let authentication = &request.authentication;
        match (request.dialect, authentication.client_id(), authentication.secret(), authentication.client_assertion())
        {
            (DialectConfig::Oauth2, Some(client_id), Some(client_secret), None) => {
                let (audience, scope) = (request.audience.as_deref(), request.scope.as_deref());
                let grant = GrantRequest { client_id, client_secret, audience, scope };
                self.server.issue(&grant, now).map_err(issue_error)
            }
            (DialectConfig::Oauth2, _, None, Some(_)) => Err(IssueError::AuthenticationMethodNotAllowed),
            _ => Err(not_done_here()),
        }
    }
}

fn not_done_here() -> IssueError {
    IssueError::Unavailable { client_id: None, source: "the issuer does not do this".into() }
}

fn issue_error(error: GrantError) -> IssueError {
    match error {
        GrantError::UnknownClient => IssueError::UnknownClient,
        GrantError::WrongSecret => IssueError::WrongSecret,
        GrantError::Refused { client_id, refusal } => IssueError::Refused { client_id, refusal },
        GrantError::Signing { client_id, source } => {
            error!(%client_id, error = &source as &dyn std::error::Error, "a token could not be signed");
            IssueError::Unavailable { client_id: Some(client_id), source: source.into() }
        }
    }
}
