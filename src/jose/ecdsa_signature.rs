//! Owns: the signature of an elliptic curve as AWS-LC wants it, made of how JOSE writes it (RFC 7518 section 3.4).
//! Refuses: any other length than that of two numbers of the curve.
//! Always holds: the same two numbers, whatever they are worth: to judge them is the verification's business.

/// What precedes a sequence, and an integer, in DER.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// The DER (RFC 3279 section 2.2.3) of two numbers of `BYTES` bytes each, of at most 48: all lengths fit into one byte then.
pub(super) fn as_der<const BYTES: usize>(signature: &[u8]) -> Option<Vec<u8>> {
    const { assert!(BYTES <= 48) };
    let ([r, s], []) = signature.as_chunks::<BYTES>() else { return None };
    let (r, s) = (Integer::of(r), Integer::of(s));
    let mut der = Vec::with_capacity(2 * BYTES + 8);
    der.extend([SEQUENCE, r.length() + s.length() + 4]);
    r.add_to(&mut der);
    s.add_to(&mut der);
    Some(der)
}

/// A number in as few bytes as DER wants it.
struct Integer<'a> {
    bytes: &'a [u8],
    /// Whether the first bit would be taken for a sign, so that a zero has to stand before it.
    needs_zero: bool,
}

impl<'a> Integer<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let bytes = bytes.get(zeros..).unwrap_or_default();
        // Of zero nothing is left: its one byte is the one that stands before others.
        Self { bytes, needs_zero: bytes.first().is_none_or(|first| *first >= 0x80) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 48 bytes")]
    fn length(&self) -> u8 {
        self.bytes.len() as u8 + u8::from(self.needs_zero)
    }

    fn add_to(&self, der: &mut Vec<u8>) {
        der.extend([INTEGER, self.length()]);
        if self.needs_zero {
            der.push(0);
        }
        der.extend_from_slice(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
            KeyPair as _, UnparsedPublicKey,
        },
    };
    use proptest::prelude::*;

    use super::*;

    fn two(r: &[u8], s: &[u8]) -> Vec<u8> {
        let mut fixed = vec![0; 64];
        fixed[32 - r.len()..32].copy_from_slice(r);
        fixed[64 - s.len()..].copy_from_slice(s);
        fixed
    }

    #[test]
    fn numbers_have_as_few_bytes_as_der_wants() {
        for (r, s, der) in [
            (&[1][..], &[0x7f][..], &[0x30, 6, 2, 1, 1, 2, 1, 0x7f][..]),
            (&[0x80], &[0, 0xff, 0], &[0x30, 9, 2, 2, 0, 0x80, 2, 3, 0, 0xff, 0]),
            (&[], &[0], &[0x30, 6, 2, 1, 0, 2, 1, 0]),
        ] {
            assert_eq!(as_der::<32>(&two(r, s)).as_deref(), Some(der));
        }
        let longest = as_der::<48>(&[0xff; 96]).unwrap();
        assert_eq!((longest.len(), longest[1]), (104, 102));
    }

    #[test]
    fn only_two_whole_numbers_are_a_signature() {
        for length in [0, 1, 32, 63, 65, 96, 128] {
            assert_eq!(as_der::<32>(&vec![1; length]), None, "{length}");
        }
    }

    proptest! {
        /// Good or not, it is judged as AWS-LC judges what JOSE writes.
        #[test]
        fn it_is_worth_what_it_was(place in 0_usize..64, byte: u8, length in 60_usize..68, message: Vec<u8>) {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let verified = |message: &[u8], fixed: &[u8]| {
                let key = |algorithm| UnparsedPublicKey::new(algorithm, pair.public_key().as_ref());
                let expected = key(&ECDSA_P256_SHA256_FIXED).verify(message, fixed).is_ok();
                let own = as_der::<32>(fixed).is_some_and(|der| {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key().as_ref()).verify(message, &der).is_ok()
                });
                assert_eq!(own, expected, "{fixed:?}");
                own
            };
            let mut fixed = pair.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec();
            prop_assert!(verified(&message, &fixed));
            let was = std::mem::replace(&mut fixed[place], byte);
            prop_assert_eq!(verified(&message, &fixed), was == byte);
            fixed.resize(length, 0);
            verified(&message, &fixed);
            verified(&message, &[0; 64]);
        }
    }
}
