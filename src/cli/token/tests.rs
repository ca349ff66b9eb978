//! `postern token inspect`: what is shown of tokens of all kinds.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
/// The signature of every token here, which must never be shown.
const SIGNATURE: &str = "Y2FuYXJ5LXNpZ25hdHVyZQ";
const SOUND_HEADER: &str = r#"{"typ":"at+jwt","alg":"ES256","kid":"k1"}"#;
const SOUND_CLAIMS: &str = r#"{"iss":"https://a.example/","sub":"billing","aud":"orders","client_id":"billing","jti":"1","scope":"a b","iat":1699999940,"exp":1700003540}"#;

fn token(header: &str, claims: &str) -> String {
    format!("{}.{}.{SIGNATURE}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn inspect(token: &str, json: bool, colour: bool) -> anyhow::Result<String> {
    let mut out = Vec::new();
    run(&InspectArguments { token: token.to_owned(), json }, &mut out, NOW, colour)?;
    let shown = String::from_utf8(out).unwrap();
    assert!(!shown.contains(SIGNATURE) && !shown.contains("canary-signature"), "{shown}");
    Ok(shown)
}

fn unusual(header: &str, claims: &str) -> Vec<String> {
    let shown: Value = serde_json::from_str(&inspect(&token(header, claims), true, false).unwrap()).unwrap();
    shown["unusual"].as_array().unwrap().iter().map(|finding| finding.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_sound_token_is_shown_whole() {
    let expected = r#"Header
  typ  "at+jwt"
  alg  "ES256"
  kid  "k1"
Claims
  iss        "https://a.example/"
  sub        "billing"
  aud        "orders"
  client_id  "billing"
  jti        "1"
  scope      "a b"
  iat        1699999940
  exp        1700003540
Times
  issued         2023-11-14 22:12:20 UTC, 60 seconds ago (iat)
  good until     2023-11-14 23:12:20 UTC, in 59 minutes (exp)
Signature
  16 bytes, not shown and not verified
Unusual
  nothing
"#;
    let sound = token(SOUND_HEADER, SOUND_CLAIMS);
    assert_eq!(inspect(&sound, false, false).unwrap(), expected);
    assert_eq!(inspect(&format!(" bearer  {sound}\n"), false, false).unwrap(), expected);
    assert!(inspect(&sound, false, true).unwrap().starts_with("\u{1b}[1mHeader\u{1b}[0m\n"));
}

#[test]
fn json_holds_the_same() {
    let shown: Value = serde_json::from_str(&inspect(&token(SOUND_HEADER, SOUND_CLAIMS), true, true).unwrap()).unwrap();
    assert_eq!(shown["header"]["kid"], "k1");
    assert_eq!(shown["claims"]["scope"], "a b");
    assert_eq!(shown["times"]["exp"], "2023-11-14 23:12:20 UTC, in 59 minutes");
    assert_eq!((&shown["signature_bytes"], &shown["unusual"]), (&json!(16), &json!([])));
}

#[test]
fn everything_unusual_is_said() {
    let change = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    for (from, to, expected) in [
        (r#""ES256""#, r#""none""#, "`alg` is none"),
        (r#""ES256""#, r#""HS256""#, "`alg` is symmetric"),
        (r#""ES256""#, r#""ES256K""#, "which Postern does not verify"),
        (r#","alg":"ES256""#, "", "no `alg`"),
        (r#","kid":"k1""#, "", "no `kid`"),
        (r#""typ":"at+jwt","#, "", "no `typ`"),
        (r#""at+jwt""#, r#""dpop+jwt""#, "`typ` is \"dpop+jwt\""),
        (r#""k1""#, r#""k1","jwk":{}"#, "brings its own key (`jwk`)"),
        (r#""k1""#, r#""k1","x5u":"https://evil""#, "brings its own key (`x5u`)"),
        (r#""k1""#, r#""k1","crit":["b64"]"#, "the header has `crit`"),
        (r#""k1""#, r#""k1","cty":"JWT""#, "another token"),
        (r#""k1""#, r#""k1","kid":"k2""#, "repeats a member"),
    ] {
        let findings = unusual(&change(SOUND_HEADER, from, to), SOUND_CLAIMS);
        assert!(findings.iter().any(|finding| finding.contains(expected)), "{to}: {findings:?}");
    }
    for (from, to, expected) in [
        (r#","exp":1700003540"#, "", "no `exp`"),
        ("1700003540", "1700000000", "it has expired"),
        ("1700003540", "1699999000", "it ends before it begins"),
        ("1700003540", "1702600000", "it lives for 30 days"),
        ("1700003540", "\"1700003540\"", "`exp` is not a number"),
        (r#","iat":1699999940"#, "", "no `iat`"),
        ("1699999940", "1700000001", "issued in the future"),
        (r#""iat""#, r#""nbf":1700000060,"iat""#, "not good yet"),
        (r#""iss":"https://a.example/","#, "", "no `iss`"),
        (r#""https://a.example/""#, "[\"a\"]", "`iss` is not a string"),
        (r#""sub":"billing","#, "", "no `sub`"),
        (r#""aud":"orders","#, "", "no `aud`"),
        (r#""orders""#, r#"["orders"]"#, "a list of one"),
        (r#""orders""#, r#"["orders","users"]"#, "lists 2 audiences"),
        (r#""orders""#, "42", "neither a string nor a list"),
        (r#""scope":"a b","#, "", "no scope of any form"),
        (r#""scope":"a b""#, r#""scope":["a","b"]"#, "in `scope` as a list"),
        (r#""scope":"a b""#, r#""scp":"a""#, "in `scp`, not in `scope`"),
        (r#""scope":"a b""#, r#""scope":"a","scopes":["b"]"#, "several claims at once: scope, scopes"),
        (r#""scope":"a b""#, r#""scope":7"#, "`scope` is neither"),
        (r#""jti":"1""#, r#""nonce":"1""#, "belongs to ID tokens"),
        (r#""jti":"1""#, r#""x":"1""#, "which must have jti"),
    ] {
        let findings = unusual(SOUND_HEADER, &change(SOUND_CLAIMS, from, to));
        assert!(findings.iter().any(|finding| finding.contains(expected)), "{to}: {findings:?}");
    }
    assert_eq!(unusual(SOUND_HEADER, SOUND_CLAIMS), [""; 0]);
}

#[test]
fn what_is_no_token_is_said_to_be_none() {
    for (text, expected) in [
        ("", "no token"),
        ("Bearer ", "not a JWT"),
        ("opaque-0123456789", "opaque token"),
        ("a.b", "three parts"),
        ("a.b.c.d.e", "encrypted token"),
        ("a.b.c.d.e.f.g", "three parts"),
        ("%%%.e30.x", "the header cannot be read"),
        ("e30.W10.x", "the claims cannot be read"),
        ("e30..x", "the claims cannot be read"),
    ] {
        let error = inspect(text, false, false).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_is_padded_is_still_read() {
    let padded = format!("{}.{}.", "e30=", base64::engine::general_purpose::URL_SAFE.encode(r#"{"a":1}"#));
    let shown = inspect(&padded, false, false).unwrap();
    assert!(shown.contains("a  1") && shown.contains("Postern would refuse it at sight"), "{shown}");
}

#[test]
fn a_token_cannot_speak_to_the_terminal() {
    let hostile = r#"{"kid":"\u001b[2J\u009b2J\u202e","\u001b]0;x\u0007":"\r\n","typ":"\u001b[31m"}"#;
    for json in [false, true] {
        let shown = inspect(&token(hostile, hostile), json, false).unwrap();
        let obeyed = |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
        assert!(!shown.contains(obeyed), "{shown:?}");
    }
}

#[test]
fn the_command_line_takes_a_dash_and_flags_on_either_side() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: InspectArguments,
    }
    for (line, token, json) in [
        (&["postern", "-"][..], "-", false),
        (&["postern", "--json", "-"], "-", true),
        (&["postern", "a.b.c", "--json"], "a.b.c", true),
    ] {
        let args = <Line as clap::Parser>::try_parse_from(line).unwrap().args;
        assert_eq!((args.token.as_str(), args.json), (token, json));
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,80}", header in "\\PC{0,40}", claims in "\\PC{0,40}", json in any::<bool>()) {
        let _ = inspect(&text.replace('-', ""), json, false);
        let _ = inspect(&token(&header, &claims), json, false);
    }

    #[test]
    fn no_time_panics(seconds in any::<i64>(), fraction in any::<f64>()) {
        let claims = json!({ "exp": seconds, "iat": fraction, "nbf": -fraction }).to_string();
        prop_assert!(inspect(&token(SOUND_HEADER, &claims), false, false).is_ok());
    }
}
