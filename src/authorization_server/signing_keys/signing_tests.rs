//! What a signing key signs, and what it shows.

use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};
use serde_json::{Map, Value};

use super::{key_pair::KeyPair, *};
use crate::{
    clock::UnixTime,
    config::SigningAlgorithmConfig::{self, ES256, EdDSA, PS256, RS256},
    id::TokenId,
    jose::{Algorithm, BadSignature, CompactJws, TokenType, VerificationKey},
};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const ALGORITHMS: [SigningAlgorithmConfig; 4] = [ES256, RS256, PS256, EdDSA];

fn claims() -> Map<String, Value> {
    serde_json::from_str(r#"{"iss":"https://issuer.example/","exp":9999999999,"nested":{"a":[1,true]}}"#).unwrap()
}

fn jose(algorithm: SigningAlgorithmConfig) -> Algorithm {
    jose_algorithm(algorithm)
}

#[test]
fn tokens_of_every_type_verify_as_ours_and_are_named_by_what_was_signed() {
    for algorithm in ALGORITHMS {
        let (key, pkcs8) = SigningKey::generate(algorithm, NOW).unwrap();
        let (other, _) = SigningKey::generate(algorithm, NOW).unwrap();
        let [verifying, other] = [&key, &other].map(|key| VerificationKey::parse(key.public_jwk()).unwrap());
        for token_type in [TokenType::AccessToken, TokenType::Jwt, TokenType::Unspecified] {
            let signed = key.sign(token_type, &claims()).unwrap();
            let text = signed.compact.expose();
            let token = CompactJws::parse(text).unwrap();
            assert_eq!(token.header().token_type(), token_type);
            assert_eq!((token.header().algorithm(), token.header().key_id()), (jose(algorithm), Some(key.key_id())));
            assert_eq!(token.unverified_payload().to_map(), claims());
            assert_eq!(signed.token_id_of_input(), TokenId::of_signing_input(token.signing_input()));
            let verify = |key: &VerificationKey| key.verify(jose(algorithm), token.signing_input(), token.signature());
            assert_eq!((verify(&verifying), verify(&other)), (Ok(()), Err(BadSignature)));
            // The text was sized for exactly what is in it.
            assert_eq!(KeyPair::from_pkcs8(&pkcs8, algorithm).unwrap().signature_bytes(), token.signature().len());
        }
    }
}

#[test]
fn somebody_elses_library_verifies_what_is_signed() {
    for algorithm in ALGORITHMS {
        let (key, _) = SigningKey::generate(algorithm, NOW).unwrap();
        let (other, _) = SigningKey::generate(algorithm, NOW).unwrap();
        let signed = key.sign(TokenType::AccessToken, &claims()).unwrap();
        let token = signed.compact.expose();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let expected = (Some("at+jwt"), jose(algorithm).into(), Some(key.key_id()));
        assert_eq!((header.typ.as_deref(), header.alg, header.kid.as_deref()), expected);
        let decode = |key: &SigningKey| {
            let jwk: Jwk = serde_json::from_value(Value::Object(key.public_jwk().clone())).unwrap();
            let thumbprint = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
            assert_eq!(thumbprint, key.key_id());
            let decoding = DecodingKey::from_jwk(&jwk).unwrap();
            jsonwebtoken::decode::<Map<String, Value>>(token, &decoding, &Validation::new(header.alg))
        };
        assert_eq!(decode(&key).unwrap().claims, claims());
        assert!(decode(&other).is_err());
    }
}

#[test]
fn a_key_is_of_its_algorithm_only() {
    for algorithm in ALGORITHMS {
        let (key, pkcs8) = SigningKey::generate(algorithm, NOW).unwrap();
        for other in ALGORITHMS {
            let read = SigningKey::from_pkcs8(&pkcs8, other, NOW);
            // One RSA key can sign in both ways; which one it does is its record's matter.
            let same_kind = [algorithm, other].map(|one| jose(one).name().ends_with("S256") && one != ES256);
            let fits = algorithm == other || same_kind == [true, true];
            assert_eq!(
                read.as_ref().ok().map(SigningKey::key_id),
                fits.then(|| key.key_id()),
                "{algorithm:?} {other:?}"
            );
        }
        let damaged: Vec<u8> = pkcs8.iter().copied().take(pkcs8.len() / 2).collect();
        for bad in [&[][..], &damaged, b"not a key"] {
            assert!(matches!(SigningKey::from_pkcs8(bad, algorithm, NOW), Err(UnusableKey::Rejected(_))));
        }
    }
}

#[test]
fn a_key_shows_its_public_members_only() {
    for algorithm in ALGORITHMS {
        let (key, _) = SigningKey::generate(algorithm, NOW).unwrap();
        let members: Vec<&str> = key.public_jwk().keys().map(String::as_str).collect();
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(!members.contains(&private), "{members:?}");
        }
        for needed in ["kty", "kid", "use", "alg"] {
            assert!(members.contains(&needed), "{needed} missing from {members:?}");
        }
    }
}
