//! Who is locked out at a token endpoint, and who is not.

use super::*;

const TOKEN: Operation = Operation::Oauth2(Oauth2Operation::Token);
const V1: Operation = Operation::Frontegg(FronteggOperation::Exchange(Naming::CamelCase));

/// Sends requests to one endpoint, one after the other, and gives the reasons.
fn reasons(operation: Operation, issuer: &ScriptedIssuer, bodies: &[String]) -> Vec<&'static str> {
    let endpoint = endpoint_of(operation);
    let respond = |body: &String| {
        let parts = post(JSON);
        let responding = endpoint.respond_to_whole(operation, &parts, body.as_bytes(), issuer, ARRIVAL);
        responding.now_or_never().unwrap().outcome.reason()
    };
    bodies.iter().map(respond).collect()
}

fn token(client_id: &str, secret: &str) -> String {
    format!(r#"{{"grant_type":"client_credentials","client_id":"{client_id}","client_secret":"{secret}"}}"#)
}

#[test]
fn guessing_ends_before_the_issuer_is_asked() {
    for (operation, wrong, right) in [
        (TOKEN, token("billing", "wrong"), token("billing", "canary-secret")),
        (
            V1,
            r#"{"clientId":"billing","secret":"wrong"}"#.to_owned(),
            r#"{"clientId":"billing","secret":"canary-secret"}"#.to_owned(),
        ),
    ] {
        let issuer = ScriptedIssuer::default();
        let mut bodies = vec![wrong; 12];
        bodies.push(right);
        let mut expected = vec!["wrong_secret"; 10];
        expected.extend(["locked_out"; 3]);
        assert_eq!(reasons(operation, &issuer, &bodies), expected);
        assert_eq!(issuer.asked().len(), 10);
    }
}

#[test]
fn a_success_ends_the_count_and_others_are_not_counted() {
    let mut bodies = vec![token("billing", "wrong"); 9];
    bodies.push(token("billing", "canary-secret"));
    bodies.extend(vec![token("billing", "wrong"); 9]);
    bodies.push(token("other", "x"));
    bodies.push(token("billing", "canary-secret"));
    let told = reasons(TOKEN, &ScriptedIssuer::default(), &bodies);
    assert!(!told.contains(&"locked_out"), "{told:?}");
    assert_eq!(told.iter().filter(|reason| **reason == "issued").count(), 2);
}

#[test]
fn a_failing_issuer_and_a_refusal_lock_nobody_out() {
    for issuer in [
        ScriptedIssuer { broken: true, ..ScriptedIssuer::default() },
        ScriptedIssuer::refusing(IssueRefusal::UnknownAudience),
        ScriptedIssuer::refusing(IssueRefusal::ClientDisabled),
    ] {
        let told = reasons(TOKEN, &issuer, &vec![token("billing", "canary-secret"); 30]);
        assert!(!told.contains(&"locked_out"), "{told:?}");
    }
}

#[test]
fn assertions_that_name_nobody_lock_nobody_out() {
    let body = r#"{"grant_type":"client_credentials","client_assertion":"canary.bad","client_assertion_type":"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}"#;
    let told = reasons(TOKEN, &ScriptedIssuer::default(), &vec![body.to_owned(); 30]);
    assert_eq!(told, ["invalid_assertion"; 30]);
}
