//! What somebody may have meant.

/// How alike two words must be, from 0 to 1, for one to be taken for a slip of the other.
const ALIKE: f64 = 0.6;

/// The known word that a found one is most like, if it is like any.
pub(crate) fn nearest<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let likeness = |word: &str| strsim::normalized_damerau_levenshtein(found, word);
    let best = known
        .into_iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then_some(best)
}

/// ` (did you mean X?)`, if there is an X.
pub(crate) fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean {name}?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognized_and_other_words_are_not() {
        let known = ["mlp", "alternative_attention_mlp", "denoising_autoencoder"];
        assert_eq!(
            nearest("denoising_autoencodr", known),
            Some("denoising_autoencoder")
        );
        assert_eq!(nearest("mpl", known), Some("mlp"));
        assert_eq!(nearest("transformer", known), None);
        assert_eq!(nearest("", []), None);
        assert_eq!(suggestion(Some("mlp")), " (did you mean mlp?)");
        assert_eq!(suggestion(None), "");
    }
}
