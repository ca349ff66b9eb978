//! Owns: a client as the management API takes and shows it.
//! Refuses: a field that is not known, or that is given twice.
//! Always holds: a secret is in the answer that made it alone.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapDeserializer},
};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, SchemaType, Type},
    },
};

use super::super::moment::Moment;
use crate::{
    authorization_server::{ClientOrigin, ClientOverview, client::ClientDefinition},
    config::HumanDuration,
    secret::Secret,
};

/// How long a secret that was replaced stays good if nobody says.
const USUAL_GRACE: HumanDuration = HumanDuration::from_seconds(24 * 3600);
/// The longest that it can.
const LONGEST_GRACE: HumanDuration = HumanDuration::from_seconds(90 * 24 * 3600);

/// A client to be registered.
#[derive(Debug)]
pub(in crate::admin) struct NewClient {
    /// Its id; absent: a random one.
    pub(super) id: Option<String>,
    /// What it is; in JSON its fields stand beside the id.
    pub(super) definition: ClientDefinition,
}

/// A client that was registered.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct RegisteredClientItem {
    /// Its id.
    #[schema(example = "billing")]
    pub(super) id: String,
    /// Its secret, shown this once; absent if it needs none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_once_if_any")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(super) secret: Option<Secret>,
}

/// All clients.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct ClientList {
    /// By id.
    pub(super) clients: Vec<ClientItem>,
}

/// A client: no secret, and no hash of one.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct ClientItem {
    /// Its id.
    #[schema(example = "billing")]
    id: String,
    /// Where it is registered.
    origin: ClientItemOrigin,
    /// Whether it gets tokens, and whether those it has are good.
    enabled: bool,
    /// What it is and may; what `PUT` takes.
    definition: ClientDefinition,
    /// Its secrets, if it is registered in the store.
    secrets: Vec<ClientSecretItem>,
    /// When it was registered, if that was in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    created_at: Option<Moment>,
}

/// Where a client is registered.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ClientOrigin)]
#[serde(rename_all = "snake_case")]
pub(in crate::admin) enum ClientItemOrigin {
    /// In the configuration; it is changed there, and can be switched off here.
    Configuration,
    /// In the store.
    Store,
}

/// A secret of a client, as far as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct ClientSecretItem {
    /// Its name; nothing of the secret itself.
    id: String,
    /// When it was made.
    created_at: Moment,
    /// When it stops being good; absent: when it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Moment>,
}

/// How a secret is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::admin) struct RotationRequest {
    /// How long the one before stays good, 90 days at most.
    #[schema(value_type = String, pattern = "^[0-9]+(ms|s|m|h|d)$", default = "24h", example = "24h")]
    grace: HumanDuration,
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct NewClientSecret {
    /// It, shown this once.
    #[serde(serialize_with = "shown_once")]
    #[schema(value_type = String)]
    pub(super) secret: Secret,
    /// When the one before stops being good; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) old_expires_at: Option<Moment>,
}

/// What went with a client.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct RemovedClient {
    /// How many live tokens it had, which are refused from now on.
    #[schema(example = 3)]
    pub(super) revoked_tokens: u64,
}

impl RotationRequest {
    /// For how long, or the longest that is allowed.
    pub(super) fn grace(&self) -> Result<Duration, HumanDuration> {
        if self.grace > LONGEST_GRACE { Err(LONGEST_GRACE) } else { Ok(self.grace.0) }
    }
}

impl Default for RotationRequest {
    fn default() -> Self {
        Self { grace: USUAL_GRACE }
    }
}

impl From<ClientOverview> for ClientItem {
    fn from(client: ClientOverview) -> Self {
        let secrets = client.secrets.into_iter().map(|(id, created_at, expires_at)| ClientSecretItem {
            id,
            created_at: Moment(created_at),
            expires_at: expires_at.map(Moment),
        });
        Self {
            id: client.id.to_string(),
            origin: match client.origin {
                ClientOrigin::Configuration => ClientItemOrigin::Configuration,
                ClientOrigin::Store => ClientItemOrigin::Store,
            },
            enabled: client.enabled,
            definition: client.definition,
            secrets: secrets.collect(),
            created_at: client.created_at.map(Moment),
        }
    }
}

impl PartialSchema for NewClient {
    /// By hand: a definition takes no other fields, so this one cannot be it and an id besides.
    fn schema() -> RefOr<Schema> {
        let RefOr::T(Schema::Object(definition)) = ClientDefinition::schema() else {
            return ClientDefinition::schema();
        };
        let id = ObjectBuilder::new()
            .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
            .description(Some("Its id, out of visible ASCII characters; absent: a random one."));
        ObjectBuilder::from(definition)
            .description(Some("A client to be registered."))
            .property("id", id)
            .examples([json!({
                "id": "billing", "description": "Sends the invoices", "tenant": "acme",
                "grants": { "https://api.example.com/orders": ["orders:read"] }
            })])
            .build()
            .into()
    }
}

impl ToSchema for NewClient {}

impl<'de> Deserialize<'de> for NewClient {
    /// By hand, since serde refuses unknown fields only where nothing is flattened.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ClientVisitor;
        impl<'de> Visitor<'de> for ClientVisitor {
            type Value = NewClient;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a client")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NewClient, A::Error> {
                let mut id: Option<Option<String>> = None;
                let mut others: Vec<(String, Value)> = Vec::new();
                while let Some(field) = map.next_key::<String>()? {
                    if field != "id" {
                        others.push((field, map.next_value()?));
                    } else if id.replace(map.next_value()?).is_some() {
                        return Err(de::Error::duplicate_field("id"));
                    }
                }
                let others = MapDeserializer::<_, serde_json::Error>::new(others.into_iter());
                let definition = ClientDefinition::deserialize(others).map_err(de::Error::custom)?;
                Ok(NewClient { id: id.flatten(), definition })
            }
        }
        deserializer.deserialize_map(ClientVisitor)
    }
}

fn shown_once<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn shown_once_if_any<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_client_is_an_id_and_a_definition_and_nothing_else() {
        let read = |text: &str| serde_json::from_str::<NewClient>(text);
        let client = read(r#"{"id":"billing","owner":"ann","grants":{"orders":["orders:read"]}}"#).unwrap();
        assert_eq!((client.id.as_deref(), client.definition.owner.as_deref()), (Some("billing"), Some("ann")));
        assert_eq!(client.definition.grants["orders"], ["orders:read"]);
        assert_eq!(read("{}").unwrap().id, None);
        for wrong in [
            r#"{"id":"billing","grant":{}}"#,
            r#"{"id":"billing","secret":"of my own"}"#,
            r#"{"id":"billing","id":"other"}"#,
            r#"{"owner":"ann","owner":"bob"}"#,
            r#"{"id":7}"#,
            "[]",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn printing_a_new_secret_for_a_developer_does_not_show_it() {
        let secret = || Secret::new("canary".to_owned());
        let registered = RegisteredClientItem { id: "billing".to_owned(), secret: Some(secret()) };
        let rotated = NewClientSecret { secret: secret(), old_expires_at: None };
        assert!(!format!("{registered:?} {rotated:?}").contains("canary"));
        assert_eq!(serde_json::to_string(&registered).unwrap(), r#"{"id":"billing","secret":"canary"}"#);
        assert_eq!(serde_json::to_string(&rotated).unwrap(), r#"{"secret":"canary"}"#);
    }
}
