//! Owns: guessing what an operator meant to write.

/// The candidate that `written` is most probably a misspelling of.
pub(super) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&written.to_lowercase(), &candidate.to_lowercase());
    let (distance, candidate) = candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // A third of the letters wrong is a misspelling; more is another word.
    (distance <= (written.chars().count() / 3).max(1)).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_another_word_does_not() {
        assert_eq!(nearest("crop", ["corp", "local"]), Some("corp"));
        assert_eq!(nearest("rs256", ["RS256", "ES256"]), Some("RS256"));
        assert_eq!(nearest("partner", ["corp", "local"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
