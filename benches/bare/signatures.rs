//! Signatures to verify without anything of ours.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use jsonwebtoken::Algorithm;

/// How many signatures are verified in turn. Of one over and over the processor soon knows every branch, which no token gives it the
/// time for: for ES256 that makes 53 microseconds of 57.
const SIGNATURES: usize = 512;

/// What was signed, and with what.
pub(super) struct Signed {
    pub(super) message: [u8; 400],
    pub(super) signature: Vec<u8>,
}

/// A public key, ready to verify with, and messages with their signatures, as long as what is signed of a token of the comparison.
pub(super) fn key_and_signatures(algorithm: Algorithm) -> (ParsedPublicKey, Vec<Signed>) {
    let random = SystemRandom::new();
    let signed_by = |sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut message = [b'x'; 400];
        let signed = (0..SIGNATURES).map(|number| {
            message.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, of_number)| *byte = of_number);
            Signed { message, signature: sign(&message) }
        });
        signed.collect()
    };
    match algorithm {
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("key");
            let signed = signed_by(&|message| pair.sign(&random, message).expect("signature").as_ref().to_vec());
            (ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key()).expect("key"), signed)
        }
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::generate().expect("key");
            let signed = signed_by(&|message| pair.sign(message).as_ref().to_vec());
            (ParsedPublicKey::new(&ED25519, pair.public_key()).expect("key"), signed)
        }
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("key");
            let signed = signed_by(&|message| {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signature");
                signature
            });
            (ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key()).expect("key"), signed)
        }
    }
}
