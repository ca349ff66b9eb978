//! Authentication by secret.

use super::*;
use AuthenticationFailure::{Disabled, MethodNotAllowed, UnknownClient, WrongSecret};
use AuthenticationMethod::{ClientSecretBasic, ClientSecretJwt, ClientSecretPost, PrivateKeyJwt};

const ONE: &str = "canary-secret-number-one";
const OTHER: &str = "canary-secret-number-two";

fn ask(client: Option<&Client>, presented: &str, method: AuthenticationMethod) -> Result<(), AuthenticationFailure> {
    authenticate_by_secret(client, &HASHING, &secret(presented), method, NOW)
}

#[test]
fn either_secret_is_good_and_nothing_else() {
    let client = sound(json!({ "secret": ONE, "other_secret": OTHER }));
    for good in [ONE, OTHER] {
        assert_eq!(ask(Some(&client), good, ClientSecretBasic), Ok(()));
        assert_eq!(ask(None, good, ClientSecretBasic), Err(UnknownClient));
    }
    for wrong in ["", "canary-secret-number-on", "canary-secret-number-onf", &format!("{ONE} "), &ONE.to_uppercase()] {
        assert_eq!(ask(Some(&client), wrong, ClientSecretBasic), Err(WrongSecret), "{wrong}");
        assert_eq!(ask(None, wrong, ClientSecretBasic), Err(UnknownClient), "{wrong}");
    }
}

#[test]
fn a_client_without_secrets_has_no_empty_one() {
    let client = definition(json!({})).compile("bare").unwrap();
    for presented in ["", &"\0".repeat(32), "AAAA"] {
        assert_eq!(ask(Some(&client), presented, ClientSecretPost), Err(WrongSecret));
    }
    assert!(!client.has_active_secret(NOW));
}

#[test]
fn only_whoever_knows_the_secret_is_told_what_else_is_wrong() {
    for (client, method, expected) in [
        (json!({ "authentication_methods": ["client_secret_post"] }), ClientSecretBasic, MethodNotAllowed),
        (json!({ "authentication_methods": ["client_secret_basic"] }), ClientSecretPost, MethodNotAllowed),
        (json!({}), ClientSecretJwt, MethodNotAllowed),
        (json!({}), PrivateKeyJwt, MethodNotAllowed),
        (json!({ "enabled": false }), ClientSecretBasic, Disabled),
    ] {
        let mut client = client;
        client["secret"] = json!(ONE);
        let client = sound(client);
        assert_eq!(ask(Some(&client), ONE, method), Err(expected));
        assert_eq!(ask(Some(&client), OTHER, method), Err(WrongSecret));
    }
}

#[test]
fn secrets_of_the_store_are_those_of_the_installation_and_end_when_they_end() {
    let mut record = ClientRecord::new(definition(json!({})), NOW);
    let first = record.add_secret("c", &HASHING, &unsealed(), NOW).unwrap().into_secret();
    let second = record.rotate("c", &HASHING, &unsealed(), NOW, Duration::from_secs(60)).unwrap().into_secret();
    let client = record.compile("c", &unsealed()).unwrap();
    let ask = |hashing: &SecretHashing, presented: &Secret, now| {
        authenticate_by_secret(Some(&client), hashing, presented, ClientSecretPost, now)
    };
    assert_eq!(ask(&HASHING, &first, later(59)), Ok(()));
    assert_eq!(ask(&HASHING, &first, later(60)), Err(WrongSecret));
    assert_eq!(ask(&HASHING, &second, later(1 << 30)), Ok(()));
    assert_eq!(ask(&SecretHashing::new(&[8; 32]), &second, NOW), Err(WrongSecret), "another installation");
}

/// That the work is the same by construction is in the code; this is that no slot is skipped.
#[test]
fn the_second_slot_is_compared_as_the_first_is() {
    let mut record = ClientRecord::new(definition(json!({})), NOW);
    let secrets = [0, 1].map(|_| record.add_secret("c", &HASHING, &unsealed(), NOW).unwrap().into_secret());
    let client = record.compile("c", &unsealed()).unwrap();
    for one in &secrets {
        assert_eq!(authenticate_by_secret(Some(&client), &HASHING, one, ClientSecretBasic, NOW), Ok(()));
    }
}

#[test]
fn names_are_those_of_the_registry() {
    let names = AuthenticationMethod::ALL.map(AuthenticationMethod::name);
    assert_eq!(names, ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"]);
}
