//! The name that was probably meant.

/// The most similar of some names, if it is similar enough to be a slip: one change, and one more for each four
/// characters.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let limit = 1 + name.chars().count() / 4;
    let best = known
        .into_iter()
        .map(|other| (strsim::osa_distance(name, other), other))
        .min()?;
    (best.0 <= limit).then(|| best.1.to_owned())
}
