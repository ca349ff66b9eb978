//! Owns: a token as an outside provider answered it, before any dialect writes it.
//! Always holds: printing it for a developer does not show it.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use crate::{
    clock::UnixTime,
    id::TokenId,
    oauth::{AccessTokenType, ExchangedToken, IssuedToken},
    secret::Secret,
};

/// What a provider answered to a request for a token.
#[derive(Clone)]
pub(in super::super) struct ProviderToken {
    /// The token.
    pub(in super::super) access_token: Secret,
    /// What it takes to use it.
    pub(in super::super) token_type: AccessTokenType,
    /// How long it lasts, counted from `obtained_at`, in whole seconds; none if the provider does not say.
    pub(in super::super) lifetime: Option<Duration>,
    /// When it was asked for. It was issued later, so counting from here promises nothing too much.
    pub(in super::super) obtained_at: UnixTime,
    /// Its scopes, if the provider says them.
    pub(in super::super) scope: Option<String>,
    /// What the next one is had for, in the dialect that has that.
    pub(in super::super) refresh_token: Option<Secret>,
    /// What else the provider says of it.
    pub(in super::super) beside: Map<String, Value>,
}

impl ProviderToken {
    /// The token as it is issued to `client_id`, with `lifetime` left of it.
    pub(in super::super) fn issued(&self, client_id: &Arc<str>, lifetime: Option<Duration>) -> IssuedToken {
        IssuedToken {
            access_token: self.access_token.clone(),
            token_type: self.token_type,
            lifetime,
            expires_at: self.expires_at(),
            scope: self.scope.clone(),
            client_id: Arc::clone(client_id),
            token_id: self.name(),
            beside: self.beside.clone(),
        }
    }

    /// The same, for API credentials that were exchanged.
    pub(in super::super) fn exchanged(&self, client_id: &Arc<str>, lifetime: Option<Duration>) -> ExchangedToken {
        ExchangedToken {
            access_token: self.access_token.clone(),
            refresh_token: self.refresh_token.clone(),
            lifetime,
            expires_at: self.expires_at(),
            client_id: Arc::clone(client_id),
            token_id: self.name(),
        }
    }

    /// When it expires, as far as that is known.
    pub(in super::super) fn expires_at(&self) -> Option<UnixTime> {
        self.lifetime.map(|lifetime| self.obtained_at.plus(lifetime))
    }

    fn name(&self) -> TokenId {
        TokenId::of_signing_input(self.access_token.expose().as_bytes())
    }
}

impl fmt::Debug for ProviderToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ProviderToken")
            .field("token_type", &self.token_type)
            .field("lifetime", &self.lifetime)
            .field("obtained_at", &self.obtained_at)
            .finish_non_exhaustive()
    }
}
