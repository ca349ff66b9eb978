//! Owns: the headers of tokens that were verified, by their encoded text: every token that a key signs begins with the same one.
//! Refuses: more than a few, long ones, those of tokens that nobody verified, and those that came once: neither bogus tokens nor an
//! issuer that puts something unique into each header displace anything.
//! Always holds: a header is recalled for the very same bytes only, and then says what reading it anew would say.

use std::{
    cell::RefCell,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::{CompactJws, JoseHeader};

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
    headers: Vec<(Box<[u8]>, JoseHeader)>,
    /// The one that makes room for the next, once there are enough.
    oldest: usize,
    /// By their hashes, those that came last and were not known. Two with one hash are harmless: the second is kept a little early.
    awaited: [u64; AWAITED],
    /// The one of these that makes room for the next.
    longest_awaited: usize,
}

impl KnownHeaders {
    /// Keeps the header of a token that has been verified, if it comes for the second time.
    pub fn keep(&self, verified: &CompactJws<'_>) {
        let encoded = verified.encoded_header();
        let kept = &mut *self.kept.borrow_mut();
        if encoded.len() <= LONGEST_BYTES && kept.find(encoded).is_none() && kept.has_come_before(encoded) {
            kept.add(encoded.into(), verified.header().clone());
        }
    }

    /// What the header with this encoded text says, if it is known.
    pub fn recall(&self, encoded: &[u8]) -> Option<JoseHeader> {
        self.kept.borrow().find(encoded).cloned()
    }
}

impl Kept {
    fn find(&self, encoded: &[u8]) -> Option<&JoseHeader> {
        self.headers.iter().find(|(known, _)| **known == *encoded).map(|(_, header)| header)
    }

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

    fn add(&mut self, encoded: Box<[u8]>, header: JoseHeader) {
        if self.headers.len() < MOST {
            self.headers.push((encoded, header));
        } else if let Some(place) = self.headers.get_mut(self.oldest) {
            *place = (encoded, header);
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
        assert_eq!(known.recall(jws.encoded_header()), None, "it has been read, and not been verified");
        known.keep(&jws);
        assert_eq!(known.recall(jws.encoded_header()), None, "it may be the only one");
        known.keep(&jws);
        assert_eq!(known.recall(jws.encoded_header()).as_ref(), Some(jws.header()));
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
        known.recall(token.split_once('.').unwrap().0.as_bytes()).is_some()
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
