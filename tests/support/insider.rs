//! The issuer's own code on a store that gateways share: one more replica, for what no listener of theirs offers.

use std::{collections::BTreeSet, sync::Arc};

use postern::{
    auth::key_set::KeySets,
    authorization_server::{
        self, ApiTokenKind, ApiTokenSwitchUpdate, AuthorizationServer, Caller, Memory, NewApiToken, Opening, Ownership,
        Registry, Sealing,
    },
    clock::Clock,
    config::{Config, StoreConfig},
    diagnostic::Diagnostics,
    jose::Member,
    store::Store,
};
use serde_json::{Map, Value, json};

use super::issuing::CONFIG;

/// The tenant whose API tokens it makes.
pub(crate) const TENANT: &str = "acme";

/// The issuer without a gateway.
pub(crate) struct Insider {
    server: AuthorizationServer,
    clock: Clock,
}

impl Insider {
    /// One that keeps what it knows at `location`.
    pub(crate) async fn at(location: &StoreConfig) -> Self {
        let text = CONFIG.replace("${UPSTREAM}", "http://127.0.0.1:1").replace("${STORE}", "sqlite:/nowhere");
        let config: Config = toml::from_str(&text).expect("a configuration");
        let settings = authorization_server::compile(&config, &mut Diagnostics::new()).expect("an issuer");
        let clock = Clock::system();
        let opening = Opening {
            store: Store::open(location).await.expect("a store"),
            memory: Arc::new(Memory::default()),
            sealing: Sealing::of(None).expect("no key"),
            key_sets: Arc::new(KeySets::new(clock.clone(), None)),
            clock: clock.clone(),
            control: tokio::runtime::Handle::current(),
        };
        let registry = Registry::open(opening).await.expect("a registry");
        registry.ensure_keys(settings.algorithm()).await.expect("keys");
        let server = AuthorizationServer::new(Arc::new(settings), registry);
        server.come_into_force();
        Self { server, clock }
    }

    /// Makes client credentials for the tenant: id and secret.
    pub(crate) async fn make_api_token(&self) -> (String, String) {
        let new = NewApiToken {
            kind: ApiTokenKind::TenantApiToken,
            tenant_id: Some(TENANT.to_owned()),
            user_id: None,
            email: None,
            description: "for a test".to_owned(),
            metadata: Map::new(),
            roles: BTreeSet::new(),
            permissions: BTreeSet::new(),
            expires_in_minutes: None,
        };
        let created = self.server.create_api_token(&vendor(), new, self.clock.now()).await.expect("created");
        (created.record.id.clone(), created.secret.expose().to_owned())
    }

    /// Deletes them.
    pub(crate) async fn delete_api_token(&self, id: &str) {
        let owned = Ownership { kind: ApiTokenKind::TenantApiToken, tenant_id: Some(TENANT), user_id: None };
        self.server.delete_api_token(&vendor(), owned, id, self.clock.now()).await.expect("deleted");
    }

    /// Sets the vendor's switch.
    pub(crate) async fn switch_api_tokens(&self, enabled: bool) {
        let switch = ApiTokenSwitchUpdate { enabled: Some(enabled), ..ApiTokenSwitchUpdate::default() };
        self.server.set_api_token_switch(&vendor(), switch, self.clock.now()).await.expect("switched");
    }
}

/// Who may do everything.
fn vendor() -> Caller {
    let permissions: Value = json!(["fe.secure.*"]);
    Caller::of_claims("vendor", |name| (name == "permissions").then_some(Member::from(&permissions)))
}
