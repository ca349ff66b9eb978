//! Clients as the store keeps them.

use super::*;
use crate::authorization_server::sealing::SealingError;

const GRACE: Duration = Duration::from_secs(3600);

fn record(members: Value) -> ClientRecord {
    ClientRecord::new(definition(members), NOW)
}

fn sealed() -> Sealing {
    Sealing::of(Some(&secret("a key of thirty-two characters or more"))).unwrap()
}

#[test]
fn a_third_secret_is_refused_and_changes_nothing() {
    let mut record = record(json!({}));
    record.add_secret("c", &HASHING, &unsealed(), NOW).unwrap();
    record.add_secret("c", &HASHING, &unsealed(), later(1)).unwrap();
    let before = serde_json::to_value(&record).unwrap();
    let refusal = record.add_secret("c", &HASHING, &unsealed(), later(2)).unwrap_err();
    assert!(refusal.to_string().contains("two active secrets"), "{refusal}");
    assert!(matches!(record.rotate("c", &HASHING, &unsealed(), later(2), GRACE), Err(SecretRefusal::TooMany)));
    assert_eq!(serde_json::to_value(&record).unwrap(), before);
    // Without any grace the old ones make room.
    record.rotate("c", &HASHING, &unsealed(), later(3), Duration::ZERO).unwrap();
    assert_eq!((record.secrets.len(), record.updated_at), (1, later(3)));
}

#[test]
fn rotating_leaves_the_old_secret_its_grace_and_never_more_than_it_had() {
    let mut record = record(json!({}));
    record.add_secret("c", &HASHING, &unsealed(), NOW).unwrap();
    let old = record.secrets[0].id.clone();
    record.rotate("c", &HASHING, &unsealed(), later(10), GRACE).unwrap();
    assert_eq!(record.secrets[0].expires_at, Some(later(10).plus(GRACE)));
    assert_eq!((record.secrets[1].expires_at, record.secrets[1].created_at), (None, later(10)));
    assert_ne!(record.secrets[1].id, old);
    assert!(!record.expire(later(3609)) && record.expire(later(3610)) && record.secrets.len() == 1);
    let last = record.secrets[0].id.clone();
    record.secrets[0].expires_at = Some(later(4000));
    record.rotate("c", &HASHING, &unsealed(), later(3700), GRACE).unwrap();
    assert_eq!(record.secrets[0].expires_at, Some(later(4000)));
    assert!(record.remove_secret(&last, later(3701)) && !record.remove_secret(&last, later(3702)));
    assert_eq!((record.secrets.len(), record.updated_at), (1, later(3701)));
}

#[test]
fn a_document_goes_through_json_and_holds_no_secret() {
    let members = json!({
        "description": "Bills", "grants": { "orders": ["orders:read"] }, "claims": { "roles": ["a"], "deep": { "x": [1] } },
        "owner": "o", "tenant": "t", "token_lifetime_seconds": 60, "authentication_methods": ["client_secret_basic"],
        "assertion_audience": "token_endpoint", "organizations": ["org_1"], "introspects": ["orders"],
        "assertion_issuers": ["corp"], "jwks_uri": "https://a.example/jwks",
    });
    let mut record = record(members.clone());
    let made = record.add_secret("c", &HASHING, &unsealed(), NOW).unwrap();
    let text = serde_json::to_string(&record).unwrap();
    assert!(!text.contains(made.secret().expose()) && !format!("{record:?}").contains(made.secret().expose()));
    let back: ClientRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&back.definition).unwrap(), members);
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    assert_eq!(serde_json::to_value(ClientDefinition::default()).unwrap(), json!({}));
    for wrong in [json!({ "secret": "x" }), json!({ "enabled": true }), json!({ "authentication_methods": ["none"] })] {
        assert!(serde_json::from_value::<ClientDefinition>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn secrets_are_kept_readable_only_for_clients_that_sign_with_them() {
    let mut plain = record(json!({}));
    plain.add_secret("c", &HASHING, &sealed(), NOW).unwrap();
    assert_eq!(plain.secrets[0].sealed, None);
    let mut signing = record(json!({ "authentication_methods": ["client_secret_jwt"] }));
    let made = signing.add_secret("c", &HASHING, &sealed(), NOW).unwrap();
    let stored = &signing.secrets[0];
    let name = StoredSecret::sealing_name("c", &stored.id);
    assert_eq!(name, format!("secret:c:{}", stored.id));
    let text = stored.sealed.as_deref().unwrap();
    assert_eq!(sealed().open(&name, text).unwrap().as_slice(), made.secret().expose().as_bytes());
    assert!(signing.compile("c", &sealed()).is_ok());
    let unreadable = signing.compile("c", &unsealed()).unwrap_err();
    assert_eq!(unreadable, UnusableRecord::Secret(SealingError::NoKey { name }));
    // Another client cannot be given this one's secret.
    assert!(matches!(signing.compile("d", &sealed()), Err(UnusableRecord::Secret(SealingError::Corrupt { .. }))));
    signing.redefine(ClientDefinition::default(), later(5));
    assert_eq!((signing.secrets[0].sealed.as_ref(), signing.updated_at), (None, later(5)));
    assert!(signing.compile("c", &unsealed()).is_ok());
}

#[test]
fn what_was_kept_in_clear_is_sealed_once_there_is_a_key() {
    let mut record = record(json!({ "authentication_methods": ["client_secret_jwt"] }));
    let made = record.add_secret("c", &HASHING, &unsealed(), NOW).unwrap();
    assert!(!record.reseal("c", &unsealed()).unwrap());
    assert!(record.reseal("c", &sealed()).unwrap());
    assert!(!record.reseal("c", &sealed()).unwrap());
    let text = record.secrets[0].sealed.clone().unwrap();
    assert!(Sealing::is_sealed(&text));
    let name = StoredSecret::sealing_name("c", &record.secrets[0].id);
    assert_eq!(sealed().open(&name, &text).unwrap().as_slice(), made.secret().expose().as_bytes());
}
