//! Owns: what a client is, as a document: in the store, and as the body of the management API.
//! Refuses: secrets, which are kept beside it; fields that are not known.
//! Always holds: a client of the TOML is turned into the same document, so that one set of rules holds for both.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, OneOfBuilder, Type},
    },
};

use super::{
    AuthenticationMethod, Client, ClientKeys, Lifetime,
    rules::{self, KnownNames},
};
use crate::{
    config::{AssertionAudienceConfig, AuthenticationMethodConfig},
    diagnostic::{Diagnostic, Diagnostics, KeyPath, Severity},
    oauth::ScopeSet,
};

/// A client without its id and its secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(examples(json!({
    "description": "Sends the invoices", "tenant": "acme",
    "grants": { "https://api.example.com/orders": ["orders:read"] }
})))]
pub struct ClientDefinition {
    /// What it is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The scopes it may ask for, by audience.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub grants: BTreeMap<String, Vec<String>>,
    /// Claims put into its tokens; they never replace those that the issuer sets.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub claims: Map<String, Value>,
    /// Whose it is; becomes the owner claim of its tokens in the `plgd` dialect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The tenant it belongs to, for listing and revoking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How long its tokens last, in seconds, at most as long as those of the API; 0: for ever, where API and dialect allow
    /// it; absent: as long as those of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_lifetime_seconds: Option<u64>,
    /// The ways in which it may authenticate; absent: those for which it has what is needed, `client_secret_jwt` aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_methods: Option<Vec<AuthenticationMethodConfig>>,
    /// What the `aud` of its assertions may be.
    #[serde(skip_serializing_if = "is_default")]
    pub assertion_audience: AssertionAudienceConfig,
    /// The organisations that it may ask a token for, in the `auth0` dialect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// The APIs whose tokens it may introspect, beside its own tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introspects: Vec<String>,
    /// The issuers (of `[issuers]`) whose tokens it must present beside its id, in the `plgd` dialect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assertion_issuers: Vec<String>,
    /// Its public keys for `private_key_jwt`, two at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<PublicKeyDefinition>,
    /// Where it publishes its public keys, instead of `public_keys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
}

/// A public key as it was registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PublicKeyDefinition {
    /// PEM: a section `PUBLIC KEY` (RFC 7468 section 13).
    Pem(String),
    /// A JWK (RFC 7517 section 4).
    Jwk(Map<String, Value>),
}

/// Why a definition is no client: the first fault of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {message}; {remedy}")]
pub struct ClientFault {
    /// The field, like `grants.orders[0]`; `client_id` for the id itself.
    pub field: String,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl PartialSchema for PublicKeyDefinition {
    /// By hand, since a JSON object has no schema that could be derived.
    fn schema() -> RefOr<Schema> {
        let pem = ObjectBuilder::new().schema_type(Type::String).description(Some("PEM, a section `PUBLIC KEY`"));
        let jwk = ObjectBuilder::new().schema_type(Type::Object).description(Some("A JWK (RFC 7517)"));
        OneOfBuilder::new().item(pem).item(jwk).into()
    }
}

impl ToSchema for PublicKeyDefinition {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("PublicKey")
    }
}

fn is_default(audience: &AssertionAudienceConfig) -> bool {
    *audience == AssertionAudienceConfig::default()
}

impl ClientDefinition {
    /// The client `id` of this definition, enabled and without secrets. Names of APIs and issuers are not looked up; see
    /// [`ClientDefinition::judge_names`].
    ///
    /// # Errors
    /// The first fault that was found.
    pub fn compile(&self, id: &str) -> Result<Client, ClientFault> {
        let mut diagnostics = Diagnostics::new();
        rules::judge_id(id, &KeyPath::of(&["client_id"]), &mut diagnostics);
        let client = self.compile_at(id, &KeyPath::root(), "token_lifetime_seconds", &mut diagnostics);
        match (ClientFault::first_of(&diagnostics), client) {
            (None, Some(client)) => Ok(client),
            (Some(fault), _) => Err(fault),
            (None, None) => Err(ClientFault {
                field: "public_keys".to_owned(),
                message: "they cannot be used".to_owned(),
                remedy: "register other ones".to_owned(),
            }),
        }
    }

    /// Judges the names of APIs, scopes and issuers by those that there are now, and the lifetime by those of the granted
    /// APIs. To be asked when a client is registered or changed. Not when it is read from the store: a name may go later,
    /// and then stands for nothing.
    ///
    /// # Errors
    /// The first fault that was found.
    pub fn judge_names(&self, known: &KnownNames<'_>) -> Result<(), ClientFault> {
        let mut diagnostics = Diagnostics::new();
        rules::judge_names(self, known, &KeyPath::root(), "token_lifetime_seconds", &mut diagnostics);
        ClientFault::first_of(&diagnostics).map_or(Ok(()), Err)
    }

    /// The client, if nothing about it is wrong; what is wrong is noted below `path`. `lifetime_key` is what the lifetime is
    /// called there.
    pub(super) fn compile_at(
        &self,
        id: &str,
        path: &KeyPath,
        lifetime_key: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Client> {
        let errors_before = diagnostics.error_count();
        rules::judge_form(self, path, lifetime_key, diagnostics);
        let keys = ClientKeys::compile(self, path, diagnostics);
        if diagnostics.error_count() > errors_before {
            return None;
        }
        let collect = |scopes: &Vec<String>| ScopeSet::collect(scopes.iter().map(String::as_str)).ok();
        let grants = self.grants.iter().map(|(audience, scopes)| Some((audience.as_str().into(), collect(scopes)?)));
        let names = |names: &[String]| names.iter().map(|name| Arc::from(name.as_str())).collect();
        let listed = self.authentication_methods.as_ref();
        Some(Client {
            id: id.into(),
            enabled: true,
            description: self.description.as_deref().map(Into::into),
            grants: grants.collect::<Option<_>>()?,
            claims: self.claims.clone(),
            owner: self.owner.as_deref().map(Into::into),
            tenant: self.tenant.as_deref().map(Into::into),
            token_lifetime: self.token_lifetime_seconds.map(Lifetime::of_seconds),
            organizations: names(&self.organizations),
            introspects: names(&self.introspects),
            assertion_issuers: names(&self.assertion_issuers),
            assertion_audience: self.assertion_audience,
            listed_methods: listed.map(|listed| listed.iter().copied().map(AuthenticationMethod::from).collect()),
            secrets: Vec::new(),
            keys,
            definition: Arc::new(self.clone()),
        })
    }

    /// Whether it cannot authenticate without a secret, or was told to be able to with one.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        let has_other_means =
            !self.public_keys.is_empty() || self.jwks_uri.is_some() || !self.assertion_issuers.is_empty();
        match &self.authentication_methods {
            Some(listed) => listed.iter().any(|method| *method != AuthenticationMethodConfig::PrivateKeyJwt),
            None => !has_other_means,
        }
    }

    /// Whether secrets must be kept so that they can be read again.
    #[must_use]
    pub fn signs_with_secrets(&self) -> bool {
        let listed = self.authentication_methods.as_ref();
        listed.is_some_and(|listed| listed.contains(&AuthenticationMethodConfig::ClientSecretJwt))
    }
}

impl ClientFault {
    fn first_of(diagnostics: &Diagnostics) -> Option<Self> {
        diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error).map(Self::of)
    }

    fn of(diagnostic: &Diagnostic) -> Self {
        Self {
            field: diagnostic.path.to_string(),
            message: diagnostic.message.clone(),
            remedy: diagnostic.remedy.clone(),
        }
    }
}
