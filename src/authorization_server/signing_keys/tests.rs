//! Signing keys on disk: made once, kept, never read from files that others could change.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};

use SigningAlgorithmConfig::ES256;

use super::{key_pair::KeyPair, *};
use crate::{
    id::TokenId,
    jose::{Algorithm, BadSignature, CompactJws, TokenType, VerificationKey},
};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const ALGORITHMS: [SigningAlgorithmConfig; 4] = [
    SigningAlgorithmConfig::ES256,
    SigningAlgorithmConfig::RS256,
    SigningAlgorithmConfig::PS256,
    SigningAlgorithmConfig::EdDSA,
];

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data/signing-keys");
    (parent, directory)
}

fn key_ids(keys: &SigningKeys) -> Vec<String> {
    keys.published().map(|key| key.key_id().to_owned()).collect()
}

fn claims() -> Map<String, Value> {
    serde_json::from_str(r#"{"iss":"https://issuer.example/","exp":9999999999,"nested":{"a":[1,true]}}"#).unwrap()
}

#[test]
fn what_is_signed_verifies_under_the_published_document() {
    for algorithm in ALGORITHMS {
        let (_parent, directory) = fresh();
        let keys = SigningKeys::open(&directory, algorithm, NOW).unwrap();
        let signed = keys.current().sign(TokenType::AccessToken, &claims()).unwrap();
        let token = signed.compact.expose();

        let document: JwkSet = serde_json::from_slice(&keys.jwks()).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(header.alg, jose_algorithm_of(algorithm));
        let jwk = document.find(header.kid.as_deref().unwrap()).unwrap();
        let decoding_key = DecodingKey::from_jwk(jwk).unwrap();
        let decoded =
            jsonwebtoken::decode::<Map<String, Value>>(token, &decoding_key, &Validation::new(header.alg)).unwrap();
        assert_eq!(decoded.claims, claims());

        // The control: the next key is published too, and does not verify what the current one signed.
        let next = document.keys.iter().find(|key| key.common.key_id != header.kid).unwrap();
        let wrong_key = DecodingKey::from_jwk(next).unwrap();
        assert!(jsonwebtoken::decode::<Map<String, Value>>(token, &wrong_key, &Validation::new(header.alg)).is_err());
    }
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
            assert_eq!(token.unverified_payload(), &claims());
            assert_eq!(signed.token_id_of_input, TokenId::of_signing_input(token.signing_input()));
            let verify = |key: &VerificationKey| key.verify(jose(algorithm), token.signing_input(), token.signature());
            assert_eq!((verify(&verifying), verify(&other)), (Ok(()), Err(BadSignature)));
            // The text was sized for exactly what is in it.
            assert_eq!(KeyPair::from_pkcs8(&pkcs8, algorithm).unwrap().signature_bytes(), token.signature().len());
        }
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

fn jose(algorithm: SigningAlgorithmConfig) -> Algorithm {
    signing_key::jose_algorithm(algorithm)
}

fn jose_algorithm_of(algorithm: SigningAlgorithmConfig) -> jsonwebtoken::Algorithm {
    signing_key::jose_algorithm(algorithm).into()
}

#[test]
fn the_document_shows_public_members_only() {
    for algorithm in ALGORITHMS {
        let (_parent, directory) = fresh();
        let keys = SigningKeys::open(&directory, algorithm, NOW).unwrap();
        assert_eq!(keys.published().count(), 2);
        for key in keys.published() {
            let members: Vec<&str> = key.public_jwk().keys().map(String::as_str).collect();
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                assert!(!members.contains(&private), "{members:?}");
            }
            for needed in ["kty", "kid", "use", "alg"] {
                assert!(members.contains(&needed), "{needed} missing from {members:?}");
            }
        }
    }
}

#[test]
fn keys_survive_reopening() {
    for algorithm in ALGORITHMS {
        let (_parent, directory) = fresh();
        let first = SigningKeys::open(&directory, algorithm, NOW).unwrap();
        let again = SigningKeys::open(&directory, algorithm, UnixTime::from_seconds(1_800_000_000)).unwrap();
        assert_eq!(key_ids(&first), key_ids(&again));
        assert_eq!(again.current().created_at(), NOW);
        assert_eq!(first.jwks(), again.jwks());
    }
}

#[test]
fn a_changed_algorithm_makes_new_keys_and_goes_on_publishing_the_old() {
    let (_parent, directory) = fresh();
    let before = SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap();
    let after = SigningKeys::open(&directory, SigningAlgorithmConfig::EdDSA, NOW).unwrap();
    assert_eq!(after.current().algorithm(), SigningAlgorithmConfig::EdDSA);
    assert_eq!(after.published().count(), 4);
    for key_id in key_ids(&before) {
        assert!(key_ids(&after).contains(&key_id));
    }
    // Going back uses the keys that are there, so that switching to and fro does not pile keys up.
    let back = SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap();
    assert_eq!(back.current().key_id(), before.current().key_id());
    assert_eq!(back.published().count(), 4);
}

#[test]
fn files_are_the_owners_alone() {
    let (_parent, directory) = fresh();
    SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap();
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    let mut pem_files = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        if entry.path().extension().is_some_and(|extension| extension == "pem") {
            pem_files += 1;
            let text = fs::read_to_string(entry.path()).unwrap();
            assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n") && text.lines().all(|line| line.len() <= 64));
        }
    }
    assert_eq!(pem_files, 2);
}

#[test]
fn exposed_files_are_refused_with_the_command_that_helps() {
    let (_parent, directory) = fresh();
    let keys = SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap();
    let key_file = directory.join(format!("ES256-{}.pem", keys.current().key_id()));
    for (path, bad, good) in
        [(&key_file, 0o640, 0o600), (&directory.join("keys.json"), 0o604, 0o600), (&directory, 0o710, 0o700)]
    {
        fs::set_permissions(path, Permissions::from_mode(bad)).unwrap();
        let error = SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap_err();
        assert!(matches!(&error, SigningKeyError::Exposed { path: named, mode, .. } if named == path && *mode == bad));
        assert!(error.to_string().contains(&format!("chmod {good:04o}")), "{error}");
        fs::set_permissions(path, Permissions::from_mode(good)).unwrap();
    }
    assert!(SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).is_ok());
}

#[test]
fn corrupt_files_are_named_and_never_replaced() {
    let (_parent, directory) = fresh();
    let keys = SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap();
    let open = || SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW);
    let current = directory.join(format!("ES256-{}.pem", keys.current().key_id()));
    let next = directory.join(format!("ES256-{}.pem", key_ids(&keys)[1]));
    let list = directory.join("keys.json");
    let (good_key, good_list) = (fs::read_to_string(&current).unwrap(), fs::read_to_string(&list).unwrap());

    for bad in [
        "",
        "not a key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        good_key.split_at(good_key.len() / 2).0,
    ] {
        fs::write(&current, bad).unwrap();
        assert!(matches!(open(), Err(SigningKeyError::CorruptKey { path, .. }) if path == current), "{bad:?}");
        assert_eq!(fs::read_to_string(&current).unwrap(), bad);
    }
    fs::copy(&next, &current).unwrap();
    assert!(matches!(open(), Err(SigningKeyError::OtherKeyFile { path }) if path == current));
    fs::remove_file(&current).unwrap();
    assert!(matches!(open(), Err(SigningKeyError::Read { path, .. }) if path == current));
    fs::write(&current, &good_key).unwrap();
    fs::set_permissions(&current, Permissions::from_mode(0o600)).unwrap();
    assert!(open().is_ok());

    for bad in ["", "{", "[]", r#"{"version":1}"#] {
        fs::write(&list, bad).unwrap();
        assert!(matches!(open(), Err(SigningKeyError::CorruptList { .. })), "{bad:?}");
    }
    let traversal = good_list.replace(keys.current().key_id(), "../../../../etc/passwd");
    let doubled = good_list.replace("\"next\"", "\"current\"");
    for bad in [&traversal, &doubled, &good_list.replace("\"version\": 1", "\"version\": 2")] {
        fs::write(&list, bad).unwrap();
        assert!(matches!(open(), Err(SigningKeyError::InconsistentList { .. })), "{bad:?}");
    }
    fs::write(&list, &good_list).unwrap();
    assert_eq!(open().unwrap().jwks(), keys.jwks());
}

#[test]
fn a_start_that_was_cut_short_is_taken_up_again() {
    let (_parent, directory) = fresh();
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    fs::write(directory.join("unfinished"), "half a k").unwrap();
    fs::write(directory.join("ES256-orphan.pem"), "a key whose listing was never written").unwrap();
    let keys = SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap();
    assert_eq!(keys.published().count(), 2);
    assert!(!directory.join("unfinished").exists());
}

#[test]
fn starts_at_the_same_time_agree_on_the_keys() {
    let (_parent, directory) = fresh();
    let documents: Vec<Bytes> = std::thread::scope(|scope| {
        let start = || SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap().jwks();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(documents.iter().all(|document| *document == documents[0]));
}

#[test]
fn debug_and_errors_show_no_private_key() {
    let (_parent, directory) = fresh();
    let keys = SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap();
    let file = directory.join(format!("ES256-{}.pem", keys.current().key_id()));
    let pem = fs::read_to_string(&file).unwrap();
    let canary = pem.lines().nth(1).unwrap().to_owned();
    assert!(!format!("{keys:?}").contains(&canary));
    fs::write(&file, pem.replace("-----END", "")).unwrap();
    let error = SigningKeys::open(&directory, SigningAlgorithmConfig::ES256, NOW).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&canary));
}
