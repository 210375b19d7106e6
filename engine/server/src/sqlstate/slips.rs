//! Names that are slips of others, for hints.

use datafusion::common::Column;

/// The name among `known` that a name of SQL is a slip of: one letter of a short one, more of a long one.
pub fn slip_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match name.chars().count() {
        ..=3 => return None,
        4..=7 => 1,
        _ => 2,
    };
    nearest_within(name, known, limit)
}

/// The name among `known` that `name` is most likely a slip of, for a hint.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_within(name, known, 1 + name.chars().count() / 4)
}

/// Bytes of names that are compared: the work grows with the square.
const NAME_BYTES_MAX: usize = 256;

/// The nearest of the names that are no further away than `limit`.
fn nearest_within<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    limit: usize,
) -> Option<&'a str> {
    let letters = name.chars().count();
    let comparable = |candidate: &&str| {
        // Whatever else they are, they are as far apart as their lengths.
        candidate.len() <= NAME_BYTES_MAX && candidate.chars().count().abs_diff(letters) <= limit
    };
    let known = known.into_iter().filter(|_| name.len() <= NAME_BYTES_MAX);
    known
        .filter(comparable)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The columns that a name is most likely a slip of, as PostgreSQL finds them: no more than three letters away and half
/// of the name, two at most, and none where more are as near.
pub(super) fn meant_columns(field: &Column, valid: &[Column]) -> Vec<String> {
    let name = field.name.as_str();
    let mut least = 4;
    let mut found: Vec<String> = Vec::new();
    let is_short = |column: &Column| {
        let table = column
            .relation
            .as_ref()
            .map_or(0, |table| table.table().len());
        table.max(column.name.len()) <= NAME_BYTES_MAX
    };
    let valid = valid.iter().filter(|_| is_short(field));
    for column in valid.filter(|column| is_short(column)) {
        let of_table = match (&field.relation, &column.relation) {
            (Some(asked), Some(known)) => strsim::levenshtein(asked.table(), known.table()),
            _ => 0,
        };
        let of_name = strsim::levenshtein(&column.name, name);
        if of_table > least || of_name > name.len() / 2 {
            continue;
        }
        let distance = of_table + of_name;
        let shown = match &column.relation {
            Some(table) => format!("{}.{}", table.table(), column.name),
            None => column.name.clone(),
        };
        if distance < least {
            least = distance;
            found = vec![shown];
        } else if distance == least {
            found.push(shown);
        }
    }
    if least > 3 || found.len() > 2 {
        return Vec::new();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_compared_with_nothing() {
        let long = "x".repeat(50_000_000);
        assert_eq!(nearest(&long, [&long[1..], "x"]), None);
        assert_eq!(nearest("contgi", [&long, "contig"]), Some("contig"));
        assert_eq!(slip_of(&long, ["length"]), None);
        let column = |name: &str| Column::new_unqualified(name);
        assert!(meant_columns(&column(&long), &[column("x"), column(&long[1..])]).is_empty());
    }

    #[test]
    fn near_misses_are_suggested() {
        assert_eq!(nearest("contgi", ["contig", "pos"]), Some("contig"));
        assert_eq!(nearest("xyz", ["contig", "pos"]), None);
        assert_eq!(slip_of("lenght", ["length", "left"]), Some("length"));
        assert_eq!(
            slip_of("statement_timeouts", ["statement_timeout"]),
            Some("statement_timeout")
        );
        for (name, known) in [
            ("nope", "now"),
            ("nope", "role"),
            ("r", "a"),
            ("vars", "calls"),
        ] {
            assert_eq!(slip_of(name, [known]), None, "{name}");
        }
    }

    #[test]
    fn columns_are_suggested_as_postgresql_does() {
        let column = |table: &str, name: &str| Column::new(Some(table.to_owned()), name);
        let known = [
            column("a", "id"),
            column("a", "pos"),
            column("b", "id"),
            column("b", "ref"),
        ];
        let meant = |table: Option<&str>, name: &str| {
            let asked = Column::new(table.map(str::to_owned), name);
            meant_columns(&asked, &known)
        };
        assert_eq!(meant(None, "posn"), ["a.pos"]);
        assert_eq!(meant(None, "idd"), ["a.id", "b.id"]);
        assert_eq!(meant(Some("b"), "idd"), ["b.id"]);
        assert!(meant(None, "x").is_empty());
        assert!(meant(None, "genotype").is_empty());
    }
}
