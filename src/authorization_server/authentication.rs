//! Owns: who a client is, by what it presents: a secret, or an assertion that is good once.
//! Refuses: an assertion that was used, on whichever replica; a client that is switched off.
//! Always holds: whether a client exists cannot be told by the time that a wrong secret takes.

use std::sync::Arc;

use super::{
    AuthorizationServer, GrantError,
    client::{
        AssertionAudiences, AssertionFault, AuthenticationFailure, AuthenticationMethod, Client,
        authenticate_by_assertion, authenticate_by_secret, client_id_of,
    },
};
use crate::{clock::UnixTime, oauth::IssueRefusal, secret::Secret};

/// What a client presents.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// Its secret, and where it stood.
    Secret {
        /// Who it says it is.
        client_id: &'a str,
        /// The secret.
        secret: &'a Secret,
        /// How it came.
        method: AuthenticationMethod,
    },
    /// An assertion (RFC 7523).
    Assertion {
        /// Who it says it is, if it says so beside the assertion.
        client_id: Option<&'a str>,
        /// The assertion.
        assertion: &'a Secret,
        /// The URL of the endpoint at which it was presented.
        token_endpoint: Option<&'a str>,
    },
}

impl AuthorizationServer {
    /// The client that presents `proof`.
    ///
    /// # Errors
    /// Why it is nobody.
    pub async fn authenticate(&self, proof: Proof<'_>, now: UnixTime) -> Result<Arc<Client>, GrantError> {
        let client = match proof {
            Proof::Secret { client_id, secret, method } => {
                let client = self.find_client(client_id);
                let judged = authenticate_by_secret(client.as_deref(), self.registry().hashing(), secret, method, now);
                let client = client.ok_or_else(|| self.nobody())?;
                judged.map_err(|failure| refusal_of(failure, &client))?;
                client
            }
            Proof::Assertion { client_id, assertion, token_endpoint } => {
                self.authenticate_by_assertion(client_id, assertion, token_endpoint, now).await?
            }
        };
        if !self.is_client_enabled(&client) {
            let client_id = Arc::clone(&client.id);
            return Err(GrantError::Refused { client_id, refusal: IssueRefusal::ClientDisabled });
        }
        Ok(client)
    }

    async fn authenticate_by_assertion(
        &self,
        client_id: Option<&str>,
        presented: &Secret,
        token_endpoint: Option<&str>,
        now: UnixTime,
    ) -> Result<Arc<Client>, GrantError> {
        let claimed = client_id_of(presented).ok_or(AuthenticationFailure::Assertion(AssertionFault::OtherClient))?;
        // RFC 7521 section 4.2: it must be the client that the assertion is about.
        if client_id.is_some_and(|client_id| client_id != claimed) {
            return Err(AuthenticationFailure::Assertion(AssertionFault::OtherClient).into());
        }
        let client = self.find_client(&claimed).ok_or_else(|| self.nobody())?;
        let accepted = AssertionAudiences { issuer: self.issuer(), token_endpoint };
        let verified = authenticate_by_assertion(Some(&client), presented, &accepted, now)
            .await
            .map_err(|failure| refusal_of(failure, &client))?;
        let store = self.registry().store().clone();
        let id = client.id.to_string();
        let first = self
            .registry()
            .on_control(async move { store.take_assertion(&id, &verified.jti, verified.expires_at).await })
            .await
            .map_err(GrantError::Change)??;
        if !first {
            return Err(GrantError::AssertionReplayed);
        }
        Ok(client)
    }

    /// Why there is nobody of an id. While the store is away there may be.
    fn nobody(&self) -> GrantError {
        if self.registry().is_store_reachable() {
            AuthenticationFailure::UnknownClient.into()
        } else {
            GrantError::StoreAway
        }
    }

    /// The client of this id, wherever it is registered. One of the configuration goes before one of the store.
    #[must_use]
    pub fn find_client(&self, id: &str) -> Option<Arc<Client>> {
        if let Some(client) = self.settings().clients().find(id) {
            return Some(Arc::clone(client));
        }
        self.registry().memory().state().clients.get(id).map(|stored| Arc::clone(&stored.client))
    }

    /// Whether it gets tokens, and its tokens are good.
    #[must_use]
    pub fn is_client_enabled(&self, client: &Client) -> bool {
        client.enabled && !self.registry().memory().state().suspended.contains_key(&*client.id)
    }
}

/// One that is switched off has proved who it is.
fn refusal_of(failure: AuthenticationFailure, client: &Client) -> GrantError {
    match failure {
        AuthenticationFailure::Disabled => {
            GrantError::Refused { client_id: Arc::clone(&client.id), refusal: IssueRefusal::ClientDisabled }
        }
        failure => failure.into(),
    }
}
