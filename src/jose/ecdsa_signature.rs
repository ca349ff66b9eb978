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
            ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1,
            ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
            EcdsaVerificationAlgorithm, KeyPair as _, UnparsedPublicKey,
        },
    };
    use proptest::prelude::*;

    use super::*;

    /// How many numbers there are in the groups of the curves (FIPS 186-4 appendix D.1.2).
    const P256_ORDER: [u8; 32] = hex_literal("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    const P384_ORDER: [u8; 48] = hex_literal(concat!(
        "ffffffffffffffffffffffffffffffffffffffffffffffff",
        "c7634d81f4372ddf581a0db248b0a77aecec196accc52973"
    ));

    const fn hex_literal<const BYTES: usize>(text: &str) -> [u8; BYTES] {
        assert!(text.len() == 2 * BYTES);
        let mut bytes = [0; BYTES];
        let mut at = 0;
        while at < 2 * BYTES {
            let digit = text.as_bytes()[at];
            let value = if digit >= b'a' { digit - b'a' + 10 } else { digit - b'0' };
            bytes[at / 2] = bytes[at / 2] * 16 + value;
            at += 1;
        }
        bytes
    }

    /// A curve, and how AWS-LC verifies what JOSE writes.
    struct Curve {
        signing: &'static EcdsaSigningAlgorithm,
        fixed: &'static EcdsaVerificationAlgorithm,
        asn1: &'static EcdsaVerificationAlgorithm,
        as_der: fn(&[u8]) -> Option<Vec<u8>>,
        order: &'static [u8],
    }

    const CURVES: [Curve; 2] = [
        Curve {
            signing: &ECDSA_P256_SHA256_FIXED_SIGNING,
            fixed: &ECDSA_P256_SHA256_FIXED,
            asn1: &ECDSA_P256_SHA256_ASN1,
            as_der: as_der::<32>,
            order: &P256_ORDER,
        },
        Curve {
            signing: &ECDSA_P384_SHA384_FIXED_SIGNING,
            fixed: &ECDSA_P384_SHA384_FIXED,
            asn1: &ECDSA_P384_SHA384_ASN1,
            as_der: as_der::<48>,
            order: &P384_ORDER,
        },
    ];

    /// A key on one of them.
    struct Signer<'c> {
        curve: &'c Curve,
        pair: EcdsaKeyPair,
    }

    impl<'c> Signer<'c> {
        fn on(curve: &'c Curve) -> Self {
            Self { curve, pair: EcdsaKeyPair::generate(curve.signing).unwrap() }
        }

        fn sign(&self, message: &[u8]) -> Vec<u8> {
            self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
        }

        /// Whether the signature is good, which is what AWS-LC says of it as JOSE writes it.
        fn verified(&self, message: &[u8], fixed: &[u8]) -> bool {
            let key = |algorithm| UnparsedPublicKey::new(algorithm, self.pair.public_key().as_ref());
            let expected = key(self.curve.fixed).verify(message, fixed).is_ok();
            let der = (self.curve.as_der)(fixed);
            let own = der.is_some_and(|der| key(self.curve.asn1).verify(message, &der).is_ok());
            assert_eq!(own, expected, "{fixed:?}");
            own
        }
    }

    /// `larger` less `smaller`, numbers of one length.
    fn difference(larger: &[u8], smaller: &[u8]) -> Vec<u8> {
        let mut borrow = 0;
        let mut bytes: Vec<u8> = larger
            .iter()
            .zip(smaller)
            .rev()
            .map(|(larger, smaller)| {
                let byte = i16::from(*larger) - i16::from(*smaller) - borrow;
                borrow = i16::from(byte < 0);
                u8::try_from(byte.rem_euclid(256)).unwrap()
            })
            .collect();
        bytes.reverse();
        assert_eq!(borrow, 0);
        bytes
    }

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
        for length in [0, 1, 48, 64, 95, 97, 144] {
            assert_eq!(as_der::<48>(&vec![1; length]), None, "{length}");
        }
    }

    #[test]
    fn numbers_at_the_edges_are_worth_what_they_were() {
        for curve in &CURVES {
            let signer = Signer::on(curve);
            let bytes = curve.order.len();
            let signature = signer.sign(b"message");
            let (r, s) = signature.split_at(bytes);
            let mut one = vec![0; bytes];
            one[bytes - 1] = 1;
            let mut next = curve.order.to_vec();
            next[bytes - 1] += 1;
            let mut half = vec![0; bytes];
            half[bytes / 2..].copy_from_slice(&r[bytes / 2..]);
            let numbers = [
                r.to_vec(),
                s.to_vec(),
                // The other root, which is as good in the place of `s`.
                difference(curve.order, s),
                half,
                vec![0; bytes],
                one.clone(),
                difference(curve.order, &one),
                curve.order.to_vec(),
                next,
                vec![0xff; bytes],
            ];
            let mut good = Vec::new();
            for (r_at, r) in numbers.iter().enumerate() {
                for (s_at, s) in numbers.iter().enumerate() {
                    if signer.verified(b"message", &[r.as_slice(), s].concat()) {
                        good.push((r_at, s_at));
                    }
                }
            }
            assert_eq!(good, [(0, 1), (0, 2)], "{bytes}");
        }
    }

    #[test]
    fn good_signatures_may_begin_with_zeros() {
        for curve in &CURVES {
            let signer = Signer::on(curve);
            let bytes = curve.order.len();
            for at in [0, bytes] {
                // Of 256 signatures one begins so.
                let mut signatures = (0..10_000_u32).map(|number| (number, signer.sign(&number.to_le_bytes())));
                let (number, signature) = signatures.find(|(_, signature)| signature[at] == 0).unwrap();
                assert!(signer.verified(&number.to_le_bytes(), &signature), "{signature:?}");
                let mut other = signature;
                other[at] = 1;
                assert!(!signer.verified(&number.to_le_bytes(), &other));
            }
        }
    }

    proptest! {
        /// Good or not, it is judged as AWS-LC judges what JOSE writes.
        #[test]
        fn it_is_worth_what_it_was(place: prop::sample::Index, byte: u8, lengthened in 0_usize..8, message: Vec<u8>) {
            for curve in &CURVES {
                let signer = Signer::on(curve);
                let mut fixed = signer.sign(&message);
                prop_assert!(signer.verified(&message, &fixed));
                let place = place.index(fixed.len());
                let was = std::mem::replace(&mut fixed[place], byte);
                prop_assert_eq!(signer.verified(&message, &fixed), was == byte);
                fixed.resize(fixed.len() + lengthened - 4, 0);
                prop_assert_eq!(signer.verified(&message, &fixed), lengthened == 4 && was == byte);
            }
        }
    }
}
