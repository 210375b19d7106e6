//! INFO and FORMAT definitions: column names, undeclared keys, and how definitions of several
//! headers become the columns of one dataset.

use genokura_core::schema::{FORMAT_PREFIX, FieldDef, FieldType, INFO_PREFIX, Number, column_name};

use super::reserved::{Reserved, reserved_format, reserved_info};

/// Which of the two families of keys a definition belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Keys of the INFO column; their columns begin with `info_`.
    Info,
    /// Keys of the FORMAT column; their columns begin with `fmt_`.
    Format,
}

impl FieldKind {
    /// The key of the meta line that declares such a field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Format => "FORMAT",
        }
    }

    /// Prefix of the columns of this family.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Info => INFO_PREFIX,
            Self::Format => FORMAT_PREFIX,
        }
    }

    /// What VCF 4.5 says about this key, if it is reserved.
    #[must_use]
    pub fn reserved(self, key: &str) -> Option<&'static Reserved> {
        match self {
            Self::Info => reserved_info(key),
            Self::Format => reserved_format(key),
        }
    }
}

/// The column of a key beside those already taken; true when it had to be numbered.
pub(super) fn free_column_name(kind: FieldKind, key: &str, taken: &[FieldDef]) -> (String, bool) {
    let base = column_name(kind.prefix(), key);
    let is_taken = |name: &str| taken.iter().any(|field| field.column == name);
    if !is_taken(&base) {
        return (base, false);
    }
    let mut n = 2_u32;
    loop {
        let name = format!("{base}_{n}");
        if !is_taken(&name) {
            return (name, true);
        }
        n += 1;
    }
}

/// The definition of a key that a record uses and no header declares: the specification's when the
/// key is reserved, else a Flag (INFO key without value) or String with Number `.`.
#[must_use]
pub fn undeclared_field(
    kind: FieldKind,
    key: &str,
    has_value: bool,
    taken: &[FieldDef],
) -> FieldDef {
    let (number, ty) = match kind.reserved(key) {
        Some(reserved) => (reserved.number, reserved.ty),
        None if kind == FieldKind::Info && !has_value => (Number::Count(0), FieldType::Flag),
        None => (Number::Unknown, FieldType::String),
    };
    let (column, _) = free_column_name(kind, key, taken);
    FieldDef {
        key: key.to_owned(),
        column,
        number,
        ty,
        description: String::new(),
    }
}

/// A key that an input declares otherwise than the dataset does.
#[derive(Debug, Clone, PartialEq)]
pub struct Clash {
    /// The key.
    pub key: String,
    /// The dataset's definition, which counts.
    pub dataset: (Number, FieldType),
    /// The input's definition.
    pub input: (Number, FieldType),
}

/// The outcome of [`merge_fields`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// The dataset's definitions as they stood, then the new ones in the input's order.
    pub fields: Vec<FieldDef>,
    /// Keys whose values must be read under the dataset's definition.
    pub clashes: Vec<Clash>,
}

/// Adds the definitions of one more header to those of a dataset.
///
/// A key the dataset knows keeps its column, Number and Type whatever the input declares: values
/// that do not parse under them are kept as raw text and counted. An empty description is filled.
#[must_use]
pub fn merge_fields(kind: FieldKind, dataset: &[FieldDef], input: &[FieldDef]) -> Merged {
    let mut merged = Merged {
        fields: dataset.to_vec(),
        clashes: Vec::new(),
    };
    for field in input {
        match merged
            .fields
            .iter_mut()
            .find(|known| known.key == field.key)
        {
            None => add_field(kind, field, &mut merged.fields),
            Some(known) => {
                if known.description.is_empty() {
                    known.description.clone_from(&field.description);
                }
                if (known.number, known.ty) != (field.number, field.ty) {
                    merged.clashes.push(Clash {
                        key: field.key.clone(),
                        dataset: (known.number, known.ty),
                        input: (field.number, field.ty),
                    });
                }
            }
        }
    }
    merged
}

fn add_field(kind: FieldKind, field: &FieldDef, fields: &mut Vec<FieldDef>) {
    let (column, _) = free_column_name(kind, &field.key, fields);
    fields.push(FieldDef {
        column,
        ..field.clone()
    });
}
