//! Owns: registering, showing, changing and removing clients.
//! Refuses: an id that is taken; a client of the configuration, except for switching it off and on.
//! Always holds: a client that is removed or switched off is refused everywhere from the answer on, and so are its tokens.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{Actor, ManagementError};
use crate::{
    authorization_server::{
        AuthorizationServer,
        client::{Client, ClientDefinition, ClientRecord},
        registry::{Amendment, Registry, SUSPENSION, suspension_of_removed},
    },
    clock::UnixTime,
    id::TokenId,
    secret::Secret,
    store::{Kind, Selection},
};

/// A client that was registered, and its secret, if one was made for it.
#[derive(Debug)]
pub struct RegisteredClient {
    /// Its id.
    pub id: String,
    /// Its secret, shown this once.
    pub secret: Option<Secret>,
}

/// A new secret.
#[derive(Debug)]
pub struct Rotation {
    /// It, shown this once.
    pub secret: Secret,
    /// When the secret before it stops being good; none if there was none.
    pub old_expires_at: Option<UnixTime>,
}

/// Where a client is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOrigin {
    /// In the configuration.
    Configuration,
    /// In the store.
    Store,
}

/// A client, as operators see it: no secret, and no hash of one.
#[derive(Clone, Debug)]
pub struct ClientOverview {
    /// Its id.
    pub id: Arc<str>,
    /// Where it is registered.
    pub origin: ClientOrigin,
    /// Whether it gets tokens, and whether its tokens are good.
    pub enabled: bool,
    /// What it may.
    pub definition: ClientDefinition,
    /// The names of its secrets, and when each stops being good.
    pub secrets: Vec<(String, UnixTime, Option<UnixTime>)>,
    /// When it was registered, if that was in the store.
    pub created_at: Option<UnixTime>,
}

impl AuthorizationServer {
    /// All clients, by id.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientOverview> {
        let state = self.registry().memory().state();
        let configured = self.settings().clients().iter().map(|client| self.overview_of_configured(client));
        let stored = state
            .clients
            .values()
            .filter(|stored| self.settings().clients().find(&stored.client.id).is_none())
            .map(|stored| self.overview_of_stored(&stored.client, &stored.record));
        let mut all: Vec<_> = configured.chain(stored).collect();
        all.sort_by(|first, second| first.id.cmp(&second.id));
        all
    }

    /// The client `id`.
    ///
    /// # Errors
    /// [`ManagementError::UnknownClient`].
    pub fn client(&self, id: &str) -> Result<ClientOverview, ManagementError> {
        if let Some(client) = self.settings().clients().find(id) {
            return Ok(self.overview_of_configured(client));
        }
        let state = self.registry().memory().state();
        let stored = state.clients.get(id).ok_or_else(|| unknown(id))?;
        Ok(self.overview_of_stored(&stored.client, &stored.record))
    }

    /// Registers a client in the store. Without an id it gets a random one. It gets a secret unless it has public keys.
    ///
    /// # Errors
    /// Why it was not registered.
    pub async fn add_client(
        &self,
        actor: &Actor,
        id: Option<String>,
        definition: ClientDefinition,
        now: UnixTime,
    ) -> Result<RegisteredClient, ManagementError> {
        let id = id.unwrap_or_else(|| TokenId::generate().to_string());
        definition.compile(&id)?;
        definition.judge_names(&self.settings().known_names())?;
        let mut record = ClientRecord::new(definition, now);
        let secret = if record.definition.needs_secret() {
            let generated = record.add_secret(&id, self.registry().hashing(), self.registry().sealing(), now)?;
            Some(generated.into_secret())
        } else {
            None
        };
        if self.settings().clients().find(&id).is_some() {
            return Err(ManagementError::ConfiguredClient { id });
        }
        let entry = actor.did("client.add", &id, json!({ "client": &record.definition }), now);
        if self.registry().memory().state().suspended.contains_key(&*id) {
            // Tokens of another client of this id must not be good again.
            self.revoke_all_of(actor, &id, now).await?;
        }
        self.amend(&id, move |id, change| {
            Box::pin(async move {
                if change.find(Kind::Client, id).await?.is_some() {
                    return Err(ManagementError::ClientExists { id: id.to_owned() });
                }
                change.put(Kind::Client, id, &document(&record)).await?;
                // Somebody of this id may have been switched off before.
                change.remove(Kind::Suspension, id).await?;
                change.note(entry).await.map_err(Into::into)
            })
        })
        .await?;
        Ok(RegisteredClient { id, secret })
    }

    /// Gives a client of the store another definition; its secrets stay.
    ///
    /// # Errors
    /// Why it stays as it was.
    pub async fn update_client(
        &self,
        actor: &Actor,
        id: &str,
        definition: ClientDefinition,
        now: UnixTime,
    ) -> Result<(), ManagementError> {
        self.refuse_configured(id)?;
        definition.compile(id)?;
        definition.judge_names(&self.settings().known_names())?;
        let entry = actor.did("client.update", id, json!({ "client": &definition }), now);
        self.amend(id, move |id, change| {
            Box::pin(async move {
                let mut record = stored(change, id).await?;
                record.redefine(definition, now);
                change.put(Kind::Client, id, &document(&record)).await?;
                change.note(entry).await.map_err(Into::into)
            })
        })
        .await
    }

    /// Gives a client of the store a new secret; the one before it is good for `grace` yet.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn rotate_client(
        &self,
        actor: &Actor,
        id: &str,
        grace: Duration,
        now: UnixTime,
    ) -> Result<Rotation, ManagementError> {
        self.refuse_configured(id)?;
        let registry = Arc::clone(self.registry());
        let entry = actor.did("client.rotate", id, json!({ "grace_seconds": grace.as_secs() }), now);
        self.amend(id, move |id, change| {
            Box::pin(async move {
                let mut record = stored(change, id).await?;
                let had_one = record.secrets.iter().any(|secret| secret.is_active(now));
                let secret = record.rotate(id, registry.hashing(), registry.sealing(), now, grace)?.into_secret();
                change.put(Kind::Client, id, &document(&record)).await?;
                change.note(entry).await?;
                Ok(Rotation { secret, old_expires_at: had_one.then(|| now.plus(grace)) })
            })
        })
        .await
    }

    /// Switches a client off or on, wherever it is registered.
    ///
    /// # Errors
    /// Why it stays as it was.
    pub async fn enable_client(
        &self,
        actor: &Actor,
        id: &str,
        enabled: bool,
        now: UnixTime,
    ) -> Result<(), ManagementError> {
        self.client(id)?;
        let action = if enabled { "client.enable" } else { "client.disable" };
        let entry = actor.did(action, id, json!({}), now);
        self.amend(id, move |id, change| {
            Box::pin(async move {
                if enabled {
                    change.remove(Kind::Suspension, id).await?;
                } else {
                    change.put(Kind::Suspension, id, SUSPENSION).await?;
                }
                change.note(entry).await.map_err(Into::into)
            })
        })
        .await
    }

    /// Removes a client of the store, and revokes its tokens.
    ///
    /// # Errors
    /// Why it is still there.
    pub async fn remove_client(&self, actor: &Actor, id: &str, now: UnixTime) -> Result<u64, ManagementError> {
        self.refuse_configured(id)?;
        let entry = actor.did("client.remove", id, json!({}), now);
        self.amend(id, move |id, change| {
            Box::pin(async move {
                stored(change, id).await?;
                change.remove(Kind::Client, id).await?;
                // Another replica may be issuing to it at this moment, and that token must not outlive it.
                change.put(Kind::Suspension, id, &suspension_of_removed(now)).await?;
                change.note(entry).await.map_err(Into::into)
            })
        })
        .await?;
        self.revoke_all_of(actor, id, now).await
    }

    /// Revokes all tokens of a client that gets no more of them.
    async fn revoke_all_of(&self, actor: &Actor, id: &str, now: UnixTime) -> Result<u64, ManagementError> {
        let (registry, actor, id) = (Arc::clone(self.registry()), actor.clone(), id.to_owned());
        self.registry()
            .on_control(async move {
                let subject = format!("client {id}");
                let entry = |revoked| actor.did("token.revoke", &subject, json!({ "revoked": revoked }), now);
                Ok(registry.revoke_all(&Selection::Client(id), now, entry).await?)
            })
            .await?
    }

    fn refuse_configured(&self, id: &str) -> Result<(), ManagementError> {
        match self.settings().clients().find(id) {
            Some(_) => Err(ManagementError::ConfiguredClient { id: id.to_owned() }),
            None => Ok(()),
        }
    }

    fn overview_of_configured(&self, client: &Client) -> ClientOverview {
        ClientOverview {
            id: Arc::clone(&client.id),
            origin: ClientOrigin::Configuration,
            enabled: self.is_client_enabled(client),
            definition: ClientDefinition::clone(&client.definition),
            secrets: Vec::new(),
            created_at: None,
        }
    }

    fn overview_of_stored(&self, client: &Client, record: &ClientRecord) -> ClientOverview {
        let secrets = record.secrets.iter();
        ClientOverview {
            id: Arc::clone(&client.id),
            origin: ClientOrigin::Store,
            enabled: self.is_client_enabled(client),
            definition: record.definition.clone(),
            secrets: secrets.map(|secret| (secret.id.clone(), secret.created_at, secret.expires_at)).collect(),
            created_at: Some(record.created_at),
        }
    }

    /// Makes one change about the client `id`.
    async fn amend<T: Send + 'static>(
        &self,
        id: &str,
        work: impl for<'c> FnOnce(
            &'c str,
            &'c mut Amendment,
        )
            -> std::pin::Pin<Box<dyn Future<Output = Result<T, ManagementError>> + Send + 'c>>
        + Send
        + 'static,
    ) -> Result<T, ManagementError> {
        let (registry, id): (Arc<Registry>, String) = (Arc::clone(self.registry()), id.to_owned());
        self.registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                let done = work(&id, &mut change).await?;
                registry.commit(change).await?;
                Ok(done)
            })
            .await?
    }
}

/// The record of the client `id`, as nobody else changes it meanwhile.
async fn stored(change: &mut Amendment, id: &str) -> Result<ClientRecord, ManagementError> {
    let document = change.find(Kind::Client, id).await?.ok_or_else(|| unknown(id))?;
    // One that cannot be read counts for nothing anywhere.
    serde_json::from_str(&document).map_err(|_| unknown(id))
}

fn document(record: &ClientRecord) -> String {
    json!(record).to_string()
}

fn unknown(id: &str) -> ManagementError {
    ManagementError::UnknownClient { id: id.to_owned() }
}
