//! Owns: the headers of tokens that one worker verified, by their encoded text: every token that a key signs begins with the same one, and
//! its claims mostly come in the same order.
//! Refuses: more than a few, long ones, those of tokens that nobody verified, and those that came once: neither bogus tokens nor an
//! issuer that puts something unique into each header displace anything.
//! Always holds: a header is recalled for the very same bytes only, and then says what reading it anew would say; in which order claims
//! come is no more than a guess.

use std::{
    cell::RefCell,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    rc::Rc,
};

use super::{CompactJws, JoseHeader, shape::Shape};

/// How many are kept: as many keys as sign tokens for one worker at one time.
const MOST: usize = 16;
/// The longest that is kept, in bytes.
const LONGEST_BYTES: usize = 512;
/// Among how many other new ones a header must come again to be kept.
const AWAITED: usize = 32;

/// Headers that need not be read again: that takes some 100 instructions instead of 3,000. One worker has them to itself.
#[derive(Debug, Default)]
pub struct KnownHeaders {
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    headers: Vec<Known>,
    /// The one that makes room for the next, once there are enough.
    oldest: usize,
    /// By their hashes, those that came last and were not known. Two with one hash are harmless: the second is kept a little early.
    awaited: [u64; AWAITED],
    /// The one of these that makes room for the next.
    longest_awaited: usize,
}

#[derive(Debug)]
struct Known {
    encoded: Box<[u8]>,
    header: JoseHeader,
    /// That of payloads behind it.
    shape: Option<Rc<Shape>>,
    /// Whether the last one was of another shape. An issuer that writes in two ways in turn is read by one of them.
    has_missed: bool,
}

impl KnownHeaders {
    /// Keeps the header of a token that has been verified, if it comes for the second time, and of what shape its payload
    /// is, if two in a row are not of the one that is kept.
    pub fn keep(&self, verified: &CompactJws<'_>) {
        let encoded = verified.encoded_header();
        let kept = &mut *self.kept.borrow_mut();
        if let Some(known) = kept.headers.iter_mut().find(|known| *known.encoded == *encoded) {
            known.note(verified);
        } else if encoded.len() <= LONGEST_BYTES && kept.has_come_before(encoded) {
            kept.add(Known::of(verified));
        }
    }

    /// What the header with this encoded text says, if it is known, and what shape the payload behind it will probably have.
    pub(super) fn recall(&self, encoded: &[u8]) -> Option<(JoseHeader, Option<Rc<Shape>>)> {
        let kept = self.kept.borrow();
        let known = kept.headers.iter().find(|known| *known.encoded == *encoded)?;
        Some((known.header.clone(), known.shape.clone()))
    }

    /// Whether the header with this encoded text is known.
    #[cfg(test)]
    pub(crate) fn knows(&self, encoded: &[u8]) -> bool {
        self.recall(encoded).is_some()
    }
}

impl Known {
    fn of(verified: &CompactJws<'_>) -> Self {
        let shape = Shape::of(verified.unverified_payload()).map(Rc::new);
        Self { encoded: verified.encoded_header().into(), header: verified.header().clone(), shape, has_missed: false }
    }

    /// Notes another token that begins with it.
    fn note(&mut self, verified: &CompactJws<'_>) {
        let misses = !verified.has_known_shape();
        if misses && (self.has_missed || self.shape.is_none()) {
            self.shape = Shape::of(verified.unverified_payload()).map(Rc::new);
            self.has_missed = false;
        } else {
            self.has_missed = misses;
        }
    }
}

impl Kept {
    /// Whether a header that is not known has come lately. From now on it has.
    fn has_come_before(&mut self, encoded: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        encoded.hash(&mut hasher);
        let hash = hasher.finish();
        if self.awaited.contains(&hash) {
            return true;
        }
        if let Some(place) = self.awaited.get_mut(self.longest_awaited) {
            *place = hash;
            self.longest_awaited = (self.longest_awaited + 1) % AWAITED;
        }
        false
    }

    fn add(&mut self, known: Known) {
        if self.headers.len() < MOST {
            self.headers.push(known);
        } else if let Some(place) = self.headers.get_mut(self.oldest) {
            *place = known;
            self.oldest = (self.oldest + 1) % MOST;
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::jose::JwsError;

    fn token(key_id: &str) -> String {
        let header = format!(r#"{{"alg":"ES256","kid":"{key_id}","typ":"at+jwt"}}"#);
        format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn only_the_very_same_bytes_are_known() {
        let known = KnownHeaders::default();
        let first = token("k1");
        let jws = CompactJws::parse_recalling(first.as_bytes(), &known).unwrap();
        let recall = || known.recall(jws.encoded_header()).map(|(header, _)| header);
        assert_eq!(recall(), None, "it has been read, and not been verified");
        known.keep(&jws);
        assert_eq!(recall(), None, "it may be the only one");
        known.keep(&jws);
        assert_eq!(recall().as_ref(), Some(jws.header()));
        assert_eq!(CompactJws::parse_recalling(first.as_bytes(), &known).unwrap().header(), jws.header());
        let (second, (none, rest)) = (token("k2"), first.split_once('.').unwrap());
        assert_eq!(CompactJws::parse_recalling(second.as_bytes(), &known).unwrap().header().key_id(), Some("k2"));
        for changed in [format!("{none}=.{rest}"), format!("{none}A.{rest}"), format!(" {first}")] {
            let anew = CompactJws::parse(&changed).map(|_| ()).unwrap_err();
            assert_eq!(CompactJws::parse_recalling(changed.as_bytes(), &known).map(|_| ()), Err(anew), "{changed}");
        }
        assert_eq!(
            CompactJws::parse_recalling(format!("{none}.e30.").as_bytes(), &known).map(|_| ()),
            Err(JwsError::EmptySignature),
            "the rest of the token is read as ever"
        );
    }

    fn keep(known: &KnownHeaders, token: &str, times: usize) {
        for _ in 0..times {
            known.keep(&CompactJws::parse(token).unwrap());
        }
    }

    fn is_known(known: &KnownHeaders, token: &str) -> bool {
        known.knows(token.split_once('.').unwrap().0.as_bytes())
    }

    #[test]
    fn the_shape_is_one_that_verified_payloads_have() {
        let known = KnownHeaders::default();
        // Another one, behind which payloads have another shape.
        let between =
            format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(r#"{"x":1}"#));
        keep(&known, &between, 2);
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        let has_known_shape = |payload: &str, is_verified: bool| {
            let token = format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
            let jws = CompactJws::parse_recalling(token.as_bytes(), &known).unwrap();
            assert_eq!(jws.unverified_payload().to_map(), CompactJws::parse(&token).unwrap().into_payload().to_map());
            if is_verified {
                known.keep(&jws);
            }
            jws.has_known_shape()
        };
        let (one, other, listed) = (r#"{"sub":"a","exp":1}"#, r#"{"exp":1,"sub":"a"}"#, r#"{"sub":["a"],"exp":1}"#);
        for (payload, is_verified, expected) in [
            (one, true, false),
            (one, true, false),
            (r#"{"sub":"b","exp":2}"#, true, true),
            (other, false, false),
            (other, false, false),
            (one, false, true),
            // One among others displaces nothing, nor do those that come in turn.
            (other, true, false),
            (one, true, true),
            (other, true, false),
            (one, true, true),
            (other, true, false),
            (other, true, false),
            (other, true, true),
            (one, true, false),
            (listed, true, false),
            (other, true, false),
            (one, true, false),
            (one, true, false),
            (one, true, true),
        ] {
            assert_eq!(has_known_shape(payload, is_verified), expected, "{payload}");
        }
    }

    #[test]
    fn few_are_kept_and_the_oldest_goes_first() {
        let known = KnownHeaders::default();
        let tokens: Vec<String> = (0..MOST + 2).map(|number| token(&format!("k{number}"))).collect();
        for token in &tokens {
            // The third time, too, it is kept once.
            keep(&known, token, 3);
        }
        let (gone, others) = tokens.split_at(2);
        assert!(others.len() == MOST && others.iter().all(|token| is_known(&known, token)));
        assert!(!gone.iter().any(|token| is_known(&known, token)));
        let padded = format!(r#"{{"alg":"ES256"{}}}"#, " ".repeat(LONGEST_BYTES));
        let padded = format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(padded));
        keep(&known, &padded, 3);
        assert!(!is_known(&known, &padded), "too long");
        assert!(others.iter().all(|token| is_known(&known, token)));
    }

    #[test]
    fn those_that_come_once_displace_none() {
        let known = KnownHeaders::default();
        let (usual, second) = (token("usual"), token("second"));
        keep(&known, &usual, 2);
        let mut unique = (0..1000).map(|number| token(&format!("unique-{number}")));
        for token in unique.by_ref().take(500) {
            keep(&known, &token, 1);
            assert!(!is_known(&known, &token));
        }
        assert!(is_known(&known, &usual));
        // Between others, too, one that comes again is soon known.
        keep(&known, &second, 1);
        for token in unique.by_ref().take(AWAITED - 1) {
            keep(&known, &token, 1);
        }
        keep(&known, &second, 1);
        assert!(is_known(&known, &second) && is_known(&known, &usual));
        let late = token("late");
        keep(&known, &late, 1);
        for token in unique.take(AWAITED) {
            keep(&known, &token, 1);
        }
        keep(&known, &late, 1);
        assert!(!is_known(&known, &late), "no more than that are awaited");
    }
}
