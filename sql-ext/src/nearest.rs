//! The name that was probably meant.

/// Bytes of names that are compared: the work grows with the square.
const NAME_BYTES_MAX: usize = 256;

/// The most similar of some names, if it is similar enough to be a slip: one change, and one more for each four
/// characters.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let letters = name.chars().count();
    let limit = 1 + letters / 4;
    let comparable = |other: &&str| {
        // Whatever else they are, they are as far apart as their lengths.
        other.len() <= NAME_BYTES_MAX && other.chars().count().abs_diff(letters) <= limit
    };
    let known = known.into_iter().filter(|_| name.len() <= NAME_BYTES_MAX);
    let best = known
        .filter(comparable)
        .map(|other| (strsim::osa_distance(name, other), other))
        .min()?;
    (best.0 <= limit).then(|| best.1.to_owned())
}
