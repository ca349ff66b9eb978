//! Owns: what somebody probably meant who wrote a word that is not known.
//! Refuses: guessing wildly.
//! Always holds: a suggestion is one of the known words.

/// How alike two words must be (Jaro-Winkler, 0 to 1) for one to be suggested for the other.
const ALIKE: f64 = 0.82;

/// The word of `known` that is nearest to `written`, if any is near. Case does not matter.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .filter_map(|word| likeness(&written, &word.to_lowercase()).map(|likeness| (likeness, word)))
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, word)| word)
}

/// How alike two words are, if they are at all.
fn likeness(written: &str, word: &str) -> Option<f64> {
    let likeness = strsim::jaro_winkler(written, word);
    // Short words differ much by that measure when two letters are swapped; one slip of the hand is near all the same.
    let one_slip = || word.chars().count() > 2 && strsim::damerau_levenshtein(written, word) == 1;
    (likeness >= ALIKE || one_slip()).then_some(likeness)
}

/// The words as an operator would list them: `` `a`, `b` and `c` ``.
#[must_use]
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let known = ["address", "tls", "limits", "trusted_proxies", "timeout", "upstream"];
        for (written, meant) in [
            ("adress", "address"),
            ("limit", "limits"),
            ("upsteam", "upstream"),
            ("TIMEOUT", "timeout"),
            ("tsl", "tls"),
            ("ls", "tls"),
        ] {
            assert_eq!(nearest(written, known), Some(meant), "{written}");
        }
        for far in ["port", "zzz", "", "colour"] {
            assert_eq!(nearest(far, known), None, "{far}");
        }
        assert_eq!(nearest("crop", ["corp", "local"]), Some("corp"));
        assert_eq!(nearest("rs256", ["RS256", "ES256"]), Some("RS256"));
        assert_eq!(nearest("partner", ["corp", "local"]), None);
        assert_eq!((nearest("b", ["a"]), nearest("x", [])), (None, None));
    }

    #[test]
    fn a_list_reads_like_a_sentence() {
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!((listed(["a"]), listed([])), ("`a`".to_owned(), String::new()));
    }
}
