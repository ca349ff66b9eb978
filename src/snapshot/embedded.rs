//! Owns: the embedded issuer as the rest of the house sees it: a keeper of keys for `auth`, an issuer for
//! `token_endpoint`, a shelf of documents for the gateway.
//! Refuses: issuing or vouching for anything while none is configured, or while it is switched off.
//! Always holds: there is one for the life of the process; what stands behind it is replaced as a whole.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use arc_swap::ArcSwapOption;
use tracing::error;

use crate::{
    auth::{KeySource, TrustedKey, TrustedKeySet, UnknownKeyFetch},
    authorization_server::{AuthorizationServer, Document, GrantError, GrantRequest, UnverifiableKey},
    clock::UnixTime,
    oauth::IssuedToken,
    token_endpoint::{IssueError, TokenIssuer, TokenRequest},
};

/// The embedded issuer, if there is one at the moment.
#[derive(Debug, Default)]
pub struct EmbeddedIssuer {
    current: ArcSwapOption<Open>,
}

/// An issuer whose keys are open.
#[derive(Debug)]
struct Open {
    server: Arc<AuthorizationServer>,
    keys: Arc<[Arc<TrustedKey>]>,
    documents: HashMap<Box<str>, Document>,
}

impl EmbeddedIssuer {
    /// The issuer that stands behind it, for taking over its open keys.
    #[must_use]
    pub fn server(&self) -> Option<Arc<AuthorizationServer>> {
        self.current.load().as_ref().map(|open| Arc::clone(&open.server))
    }

    /// Puts `server` behind it, or nothing. Keys that are no longer published are withdrawn, and the tokens they signed
    /// with them.
    ///
    /// # Errors
    /// If a key cannot be used; nothing has changed then.
    pub fn replace(&self, server: Option<AuthorizationServer>) -> Result<(), UnverifiableKey> {
        let before = self.current.load_full();
        let open = match server {
            None => None,
            Some(server) => Some(Arc::new(Open::new(server, before.as_deref())?)),
        };
        let kept = open.as_ref().map(|open| Arc::clone(&open.keys));
        self.current.store(open);
        for key in before.iter().flat_map(|open| open.keys.iter()) {
            if !kept.iter().flat_map(|keys| keys.iter()).any(|kept| Arc::ptr_eq(kept, key)) {
                key.withdraw();
            }
        }
        Ok(())
    }

    /// The document published at `path`.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<Document> {
        self.current.load().as_ref().and_then(|open| open.documents.get(path)).cloned()
    }

    /// The published keys, for the operator to look at.
    #[must_use]
    pub fn published_keys(&self) -> Arc<[Arc<TrustedKey>]> {
        self.current.load().as_ref().map_or_else(|| Arc::from([]), |open| Arc::clone(&open.keys))
    }

    /// Whether tokens are issued and accepted.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.current.load().as_ref().is_some_and(|open| open.server.is_enabled())
    }
}

impl Open {
    fn new(server: AuthorizationServer, before: Option<&Self>) -> Result<Self, UnverifiableKey> {
        let known = |thumbprint: &str| {
            before.and_then(|before| before.keys.iter().find(|key| key.key().thumbprint() == thumbprint)).cloned()
        };
        let keys = server.verification_keys()?.into_iter();
        let keys = keys
            .map(|(key, made_at)| known(key.thumbprint()).unwrap_or_else(|| Arc::new(TrustedKey::new(key, made_at))))
            .collect();
        let documents = server.documents().into_iter();
        let documents = documents.map(|document| (document.path.as_str().into(), document)).collect();
        Ok(Self { server: Arc::new(server), keys, documents })
    }
}

impl KeySource for EmbeddedIssuer {
    fn current(&self, _now: UnixTime) -> TrustedKeySet {
        match self.current.load().as_ref() {
            None => TrustedKeySet::Unavailable,
            Some(open) if open.server.is_enabled() => TrustedKeySet::Usable(Arc::clone(&open.keys)),
            Some(_) => TrustedKeySet::Disabled,
        }
    }

    fn fetch_for_unknown_key(&self) -> Pin<Box<dyn Future<Output = UnknownKeyFetch> + Send + '_>> {
        // There is nobody to ask: what is published is all there is.
        Box::pin(std::future::ready(UnknownKeyFetch::Current))
    }
}

impl TokenIssuer for EmbeddedIssuer {
    fn issue(&self, request: &TokenRequest, now: UnixTime) -> Result<IssuedToken, IssueError> {
        let current = self.current.load();
        let Some(open) = current.as_ref() else {
            return Err(IssueError::Unavailable { client_id: None, source: "no issuer is configured".into() });
        };
        let grant = GrantRequest {
            client_id: &request.client_id,
            client_secret: &request.client_secret,
            audience: request.audience.as_deref(),
            scope: request.scope.as_deref(),
        };
        open.server.issue(&grant, now).map_err(issue_error)
    }
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
