//! Owns: the headers of tokens that were verified, by their encoded text: every token that a key signs begins with the same one.
//! Refuses: more than a few, long ones, and those of tokens that nobody verified: bogus tokens displace nothing.
//! Always holds: a header is recalled for the very same bytes only, and then says what reading it anew would say.

use std::cell::RefCell;

use super::{CompactJws, JoseHeader};

/// How many are kept: as many keys as sign tokens for one worker at one time.
const MOST: usize = 16;
/// The longest that is kept, in bytes.
const LONGEST_BYTES: usize = 512;

/// Headers that need not be read again: that takes 150 instructions instead of 3,000. One worker has them to itself.
#[derive(Debug, Default)]
pub struct KnownHeaders {
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    headers: Vec<(Box<str>, JoseHeader)>,
    /// The one that makes room for the next, once there are enough.
    oldest: usize,
}

impl KnownHeaders {
    /// Keeps the header of a token that has been verified.
    pub fn keep(&self, verified: &CompactJws<'_>) {
        let encoded = verified.encoded_header();
        let Kept { headers, oldest } = &mut *self.kept.borrow_mut();
        if encoded.len() > LONGEST_BYTES || headers.iter().any(|(known, _)| **known == *encoded) {
            return;
        }
        let header = (encoded.into(), verified.header().clone());
        if headers.len() < MOST {
            headers.push(header);
        } else if let Some(place) = headers.get_mut(*oldest) {
            *place = header;
            *oldest = (*oldest + 1) % MOST;
        }
    }

    /// What the header with this encoded text says, if it is known.
    pub(super) fn recall(&self, encoded: &str) -> Option<JoseHeader> {
        let kept = self.kept.borrow();
        kept.headers.iter().find(|(known, _)| **known == *encoded).map(|(_, header)| header.clone())
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
        let jws = CompactJws::parse_recalling(&first, &known).unwrap();
        assert_eq!(known.recall(jws.encoded_header()), None, "it has been read, and not been verified");
        known.keep(&jws);
        assert_eq!(known.recall(jws.encoded_header()).as_ref(), Some(jws.header()));
        assert_eq!(CompactJws::parse_recalling(&first, &known).unwrap().header(), jws.header());
        let (second, (none, rest)) = (token("k2"), first.split_once('.').unwrap());
        assert_eq!(CompactJws::parse_recalling(&second, &known).unwrap().header().key_id(), Some("k2"));
        for changed in [format!("{none}=.{rest}"), format!("{none}A.{rest}"), format!(" {first}")] {
            let anew = CompactJws::parse(&changed).map(|_| ()).unwrap_err();
            assert_eq!(CompactJws::parse_recalling(&changed, &known).map(|_| ()), Err(anew), "{changed}");
        }
        assert_eq!(
            CompactJws::parse_recalling(&format!("{none}.e30."), &known).map(|_| ()),
            Err(JwsError::EmptySignature),
            "the rest of the token is read as ever"
        );
    }

    #[test]
    fn few_are_kept_and_the_oldest_goes_first() {
        let known = KnownHeaders::default();
        let tokens: Vec<String> = (0..=MOST).map(|number| token(&format!("k{number}"))).collect();
        for token in &tokens {
            known.keep(&CompactJws::parse(token).unwrap());
            known.keep(&CompactJws::parse(token).unwrap());
        }
        let is_known = |token: &String| known.recall(token.split_once('.').unwrap().0).is_some();
        let (first, others) = tokens.split_first().unwrap();
        assert!(!is_known(first) && others.iter().all(is_known) && others.len() == MOST);
        let padded = format!(r#"{{"alg":"ES256"{}}}"#, " ".repeat(LONGEST_BYTES));
        let padded = format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(padded));
        known.keep(&CompactJws::parse(&padded).unwrap());
        assert!(!is_known(&padded), "too long");
    }
}
