//! Schemas: the columns of the physical tables of a dataset and of what SQL shows.
//!
//! - A header field ([`FieldDef`]) becomes one column; its name is fixed once per dataset by
//!   [`assign_columns`], so later batches add columns and never rename any.
//! - Texts are `Utf8`, lists have items named `item`, the SQL cell `gt` is `BinaryView`.
//! - Field metadata: [`COMMENT_KEY`] is the description that `\d+` shows.
//!
//! The partition column [`PARTITION_COLUMN`] is not part of the physical schemas here: part files
//! do not hold it, the Delta log does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

/// Field metadata key of the description of a column.
pub const COMMENT_KEY: &str = "comment";
/// Field metadata key that overrides the SQL type name of a column.
pub const PG_TYPE_KEY: &str = "pg_type";
/// Field metadata key of a column `contig`: how its table spells the human primaries (`chr`, or nothing for plain
/// names), where all are spelled alike.
pub const CONTIG_SPELLING_KEY: &str = "contig_spelling";
/// Field metadata key of a text column that is not called as contigs are and whose first and last texts are names of
/// human primaries: how it spells them. Judged only beside columns that hold contigs.
pub const CONTIG_LIKE_KEY: &str = "contig_like";
/// Field metadata key of a column `contig`: the assembly that its table is on, where that is known.
pub const ASSEMBLY_KEY: &str = "assembly";
/// Field metadata key of a column of contigs: the names in it that other tables do not use for a human contig (`chr01`,
/// `chrMT`), one a line, if all are known; none stand in an empty text.
pub const UNUSUAL_CONTIGS_KEY: &str = "unusual_contigs";
/// Field metadata key of a column `alt` of a table that holds symbolic alleles (`<DEL>`), as far as its files tell: the name
/// of the table, or of the dataset that the table is of.
pub const SYMBOLIC_KEY: &str = "symbolic_alleles";
/// Delta partition column of site, genotype and format tables: `<contig>:<bin>` or `other`.
pub const PARTITION_COLUMN: &str = "pos_bin";
/// Prefix of the columns of INFO keys.
pub const INFO_PREFIX: &str = "info_";
/// Prefix of the columns of FORMAT keys in the physical format table.
pub const FORMAT_PREFIX: &str = "fmt_";

/// The `Number` of a header line, VCF 4.5 section 1.4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Number {
    /// A fixed number of values; 0 for flags.
    Count(u32),
    /// One value for each ALT allele.
    A,
    /// One value for each allele, REF first.
    R,
    /// One value for each possible genotype.
    G,
    /// One value for each local ALT allele.
    LA,
    /// One value for each local allele, REF first.
    LR,
    /// One value for each genotype of the local alleles.
    LG,
    /// One value for each possible base modification.
    M,
    /// One value for each allele of the genotype (`P`).
    P,
    /// Unknown or varying (`.`).
    Unknown,
}

impl Number {
    /// Parses the text of a header line; `None` for a text that VCF does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "A" => Self::A,
            "R" => Self::R,
            "G" => Self::G,
            "LA" => Self::LA,
            "LR" => Self::LR,
            "LG" => Self::LG,
            "M" => Self::M,
            "P" => Self::P,
            "." => Self::Unknown,
            _ if text.bytes().all(|b| b.is_ascii_digit()) => Self::Count(text.parse().ok()?),
            _ => return None,
        })
    }

    /// True when there is exactly one value.
    #[must_use]
    pub fn is_one(self) -> bool {
        self == Self::Count(1)
    }
}

impl std::fmt::Display for Number {
    /// The text as header lines have it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{n}"),
            Self::Unknown => f.write_str("."),
            letters => write!(f, "{letters:?}"),
        }
    }
}

/// The `Type` of a header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FieldType {
    /// 32-bit whole number.
    Integer,
    /// 32-bit float.
    Float,
    /// Present or absent, no value.
    Flag,
    /// One character.
    Character,
    /// Any text.
    String,
}

impl FieldType {
    /// Parses the text of a header line; `None` for a text that VCF does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Integer" => Self::Integer,
            "Float" => Self::Float,
            "Flag" => Self::Flag,
            "Character" => Self::Character,
            "String" => Self::String,
            _ => return None,
        })
    }

    /// The text as header lines have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integer => "Integer",
            Self::Float => "Float",
            Self::Flag => "Flag",
            Self::Character => "Character",
            Self::String => "String",
        }
    }

    fn scalar(self) -> DataType {
        match self {
            Self::Integer => DataType::Int32,
            Self::Float => DataType::Float32,
            Self::Flag => DataType::Boolean,
            Self::Character | Self::String => DataType::Utf8,
        }
    }
}

/// The definition that takes every value of two definitions of one key, as their texts stand.
///
/// Whole numbers and floats are floats, anything else that differs is text; a Number that differs is
/// `.`. Whole numbers of more than six digits need text as well, which only who has the values knows:
/// readers show six digits of a float.
#[must_use]
pub fn widest(one: (Number, FieldType), other: (Number, FieldType)) -> (Number, FieldType) {
    use FieldType::{Float, Integer, String};
    let ty = match (one.1, other.1) {
        (a, b) if a == b => a,
        (Integer, Float) | (Float, Integer) => Float,
        _ => String,
    };
    let number = match (one.0, other.0) {
        (a, b) if a == b => a,
        _ => Number::Unknown,
    };
    match ty {
        FieldType::Flag => (Number::Count(0), ty),
        _ => (number, ty),
    }
}

/// One INFO or FORMAT line of a header and the column it became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDef {
    /// `ID` as the header has it.
    pub key: String,
    /// Physical column name, `info_…` or `fmt_…`; unique in its table. See [`assign_columns`].
    pub column: String,
    /// `Number`.
    pub number: Number,
    /// `Type`.
    pub ty: FieldType,
    /// `Description` without its quotes.
    pub description: String,
}

impl FieldDef {
    /// A field whose column name is the plain one of [`column_name`].
    #[must_use]
    pub fn new(prefix: &str, key: &str, number: Number, ty: FieldType, description: &str) -> Self {
        Self {
            key: key.to_owned(),
            column: column_name(prefix, key),
            number,
            ty,
            description: description.to_owned(),
        }
    }

    /// Type of an INFO column: one value for `Number=1` and `A` (the value of this ALT), the pair
    /// (REF, this ALT) for `R`, Boolean for flags, else a list of all values of the record.
    #[must_use]
    pub fn info_type(&self) -> DataType {
        match (self.ty, self.number) {
            (FieldType::Flag, _) => DataType::Boolean,
            (ty, Number::Count(1) | Number::A) => ty.scalar(),
            (ty, _) => list_of(ty.scalar()),
        }
    }

    /// Type of a FORMAT column of `calls`: one value for `Number=1`, else a list of all values of
    /// the record's sample.
    #[must_use]
    pub fn format_type(&self) -> DataType {
        let scalar = match self.ty {
            FieldType::Flag => DataType::Utf8,
            ty => ty.scalar(),
        };
        match self.number {
            Number::Count(1) => scalar,
            _ => list_of(scalar),
        }
    }
}

/// Column name of a header key: prefix and key in lower case, `_` for every byte not in `[a-z0-9_]`.
#[must_use]
pub fn column_name(prefix: &str, key: &str) -> String {
    let safe = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '_') => c,
        _ => '_',
    };
    prefix.chars().chain(key.chars().map(safe)).collect()
}

/// Sets the columns of `fields` so that no two are alike: of keys that give the same name the first
/// keeps it and the others get `_2`, `_3`, …. Returns the keys that got a number (a named repair).
///
/// Fields that come first keep their names, so append the fields of a later batch at the end.
pub fn assign_columns(prefix: &str, fields: &mut [FieldDef]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut renamed = Vec::new();
    for field in fields {
        let plain = column_name(prefix, &field.key);
        field.column = unused(&taken, plain.clone(), |n| format!("{plain}_{n}"));
        if field.column != plain {
            renamed.push(field.key.clone());
        }
        taken.insert(field.column.clone());
    }
    renamed
}

/// Physical columns of the site table, INFO columns last.
#[must_use]
pub fn site_schema(info: &[FieldDef]) -> SchemaRef {
    use DataType::{Float32, Int8, Int16, Int32, Int64, Utf8};
    let mut fields = vec![
        required("vid", Int64),
        required("record", Int64),
        required("contig", Utf8),
        required("pos", Int32),
        required("end_pos", Int32),
        required("ref", Utf8),
        nullable("alt", Utf8),
        required("vcf_pos", Int32),
        required("vcf_ref", Utf8),
        nullable("vcf_alts", list_of(Utf8)),
        required("alt_index", Int16),
        nullable("ids", list_of(Utf8)),
        nullable("qual", Float32),
        nullable("filters", list_of(Utf8)),
        required("variant_type", Utf8),
        required("ac", Int32),
        required("an", Int32),
        required("n_het", Int32),
        required("n_hom_alt", Int32),
        required("n_missing", Int32),
        required("gt_default", Int8),
        nullable("info_order", Utf8),
        nullable("info_raw", Utf8),
        nullable("format_keys", Utf8),
        nullable("block_from", Int32),
        nullable("block_to", Int32),
        required("source", Int32),
    ];
    fields.extend(info.iter().map(info_field));
    schema(fields)
}

/// Physical columns of the genotype table. Rows are found by `vid`, which rises with the position.
#[must_use]
pub fn genotype_schema() -> SchemaRef {
    use DataType::{Binary, Int32, Int64, Utf8};
    schema(vec![
        required("vid", Int64),
        required("block", Int32),
        required("contig", Utf8),
        required("ac", Int32),
        required("an", Int32),
        required("n_missing", Int32),
        required("gt", Binary),
    ])
}

/// Physical columns of the format table: one array blob column for each FORMAT key but GT.
#[must_use]
pub fn format_schema(format: &[FieldDef]) -> SchemaRef {
    use DataType::{Binary, Int32, Int64, Utf8};
    let mut fields = vec![
        required("record", Int64),
        required("block", Int32),
        required("contig", Utf8),
        required("vcf_pos", Int32),
    ];
    let keys = format.iter().filter(|f| f.key != "GT");
    fields.extend(keys.map(|f| comment(nullable(&f.column, Binary), &f.description)));
    schema(fields)
}

/// Physical columns of the samples table.
#[must_use]
pub fn samples_schema() -> SchemaRef {
    use DataType::{Int32, Int64, Utf8};
    let mut fields = vec![
        comment(
            required("sample_id", Utf8),
            "Sample name as the VCF header has it",
        ),
        comment(required("batch", Int32), "Ingest batch of the dataset"),
        comment(
            required("source", Int32),
            "Input number in the batch, from 0",
        ),
        comment(
            required("block", Int32),
            "Sample block that holds the genotypes",
        ),
        comment(
            required("index_in_block", Int32),
            "0-based place in the block",
        ),
    ];
    for (name, text) in [
        ("n_called", "Genotypes with every allele called"),
        ("n_hom_ref", "Called genotypes without any ALT allele"),
        (
            "n_het",
            "Called genotypes that carry an ALT allele but not only it",
        ),
        ("n_hom_alt", "Called genotypes with only one ALT allele"),
        ("n_missing", "Genotypes with any allele missing"),
        (
            "n_singleton",
            "Variants that nobody else in the batch carries",
        ),
        ("n_ts", "Transitions carried"),
        ("n_tv", "Transversions carried"),
    ] {
        fields.push(comment(required(name, Int64), text));
    }
    fields.push(comment(
        nullable("ploidy_x", Utf8),
        "Ploidy seen on X outside of the PARs",
    ));
    schema(fields)
}

/// Physical columns of the headers table.
#[must_use]
pub fn headers_schema() -> SchemaRef {
    use DataType::{Int32, Utf8};
    schema(vec![
        comment(required("batch", Int32), "Ingest batch of the dataset"),
        comment(
            required("source", Int32),
            "Input number in the batch, from 0",
        ),
        comment(required("line", Int32), "Line of the header, from 1"),
        comment(
            required("key", Utf8),
            "INFO, FORMAT, contig, fileformat, CHROM, …",
        ),
        comment(nullable("id", Utf8), "ID of a structured line"),
        comment(required("text", Utf8), "The whole line as it stood"),
    ])
}

/// Physical columns of the quarantine table: records that were refused.
#[must_use]
pub fn quarantine_schema() -> SchemaRef {
    use DataType::{Int32, Int64, Utf8};
    schema(vec![
        comment(required("batch", Int32), "Ingest batch of the dataset"),
        comment(
            required("source", Int32),
            "Input number in the batch, from 0",
        ),
        comment(
            required("line", Int64),
            "Line (text) or record number (BCF), from 1",
        ),
        comment(nullable("contig", Utf8), "Contig as the record names it"),
        comment(nullable("pos", Utf8), "POS as the record has it"),
        comment(
            required("rule", Utf8),
            "Name of the rule that the record breaks",
        ),
        comment(required("message", Utf8), "What was found and what to do"),
        comment(required("text", Utf8), "The record, at most 64 KiB of it"),
    ])
}

/// What SQL shows as `variants`.
#[must_use]
pub fn variants_schema(info: &[FieldDef]) -> SchemaRef {
    use DataType::{BinaryView, Float32, Float64, Int16, Int32, Utf8};
    let mut fields = vec![
        comment(required("contig", Utf8), "Contig name of the dataset"),
        comment(
            required("pos", Int32),
            "First base of the normalised allele, from 1",
        ),
        comment(required("end_pos", Int32), "Last reference base, included"),
        comment(required("ref", Utf8), "Reference allele, normalised"),
        comment(
            nullable("alt", Utf8),
            "Alternate allele, normalised; NULL when ALT is .",
        ),
        comment(required("vcf_pos", Int32), "POS of the record as it stood"),
        comment(required("vcf_ref", Utf8), "REF of the record as it stood"),
        comment(
            nullable("vcf_alts", list_of(Utf8)),
            "ALT of the record as it stood",
        ),
        comment(
            required("alt_index", Int16),
            "Which ALT of the record this is, from 1",
        ),
        comment(nullable("ids", list_of(Utf8)), "ID of the record"),
        comment(nullable("qual", Float32), "QUAL of the record"),
        comment(nullable("filters", list_of(Utf8)), "FILTER of the record"),
        comment(
            required("variant_type", Utf8),
            "SNV, MNV, INS, DEL, COMPLEX, DUP, INV, CNV, …",
        ),
        comment(required("ac", Int32), "Called copies of this ALT"),
        comment(required("an", Int32), "Called alleles"),
        comment(nullable("af", Float64), "ac / an; NULL when an is 0"),
        comment(
            required("n_het", Int32),
            "Genotypes with this ALT and another allele",
        ),
        comment(
            required("n_hom_alt", Int32),
            "Genotypes with only this ALT, haploid included",
        ),
        comment(
            required("n_missing", Int32),
            "Genotypes with any allele missing",
        ),
        comment(
            nullable("gt", BinaryView),
            "Packed genotypes for the gt_… functions",
        ),
    ];
    fields.extend(info.iter().map(info_field));
    schema(fields)
}

/// What SQL shows as `calls` and `carriers`: one row for each variant row and sample.
///
/// The columns of FORMAT keys come after the fixed ones, in the order of `format` without GT, named
/// by [`calls_columns`].
#[must_use]
pub fn calls_schema(format: &[FieldDef]) -> SchemaRef {
    let mut fields = calls_fixed();
    let keys = format.iter().filter(|f| f.key != "GT");
    for (field, name) in keys.zip(calls_columns(format)) {
        fields.push(comment(
            nullable(&name, field.format_type()),
            &field.description,
        ));
    }
    schema(fields)
}

/// Names of the FORMAT columns of `calls` in the order of `format` without GT: the key in lower
/// case, or `fmt_<key>` when that is the name of a fixed column.
#[must_use]
pub fn calls_columns(format: &[FieldDef]) -> Vec<String> {
    let mut taken: HashSet<String> = calls_fixed().iter().map(|f| f.name().clone()).collect();
    let mut names = Vec::new();
    for field in format.iter().filter(|f| f.key != "GT") {
        let short = field
            .column
            .strip_prefix(FORMAT_PREFIX)
            .unwrap_or(&field.column);
        let name = unused(&taken, short.to_owned(), |n| match n {
            2 => field.column.clone(),
            n => format!("{}_{n}", field.column),
        });
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// A list type whose items may be NULL and are named `item`.
#[must_use]
pub fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

fn calls_fixed() -> Vec<FieldRef> {
    use DataType::{Boolean, Int16, Int32, Utf8};
    vec![
        comment(required("contig", Utf8), "Contig name of the dataset"),
        comment(
            required("pos", Int32),
            "First base of the normalised allele, from 1",
        ),
        comment(required("end_pos", Int32), "Last reference base, included"),
        comment(required("ref", Utf8), "Reference allele, normalised"),
        comment(
            nullable("alt", Utf8),
            "Alternate allele, normalised; NULL when ALT is .",
        ),
        comment(
            required("sample_id", Utf8),
            "Sample name as the VCF header has it",
        ),
        comment(
            nullable("gt", Utf8),
            "Genotype as the VCF has it; NULL without GT",
        ),
        comment(
            nullable("dosage", Int16),
            "Copies of this ALT; NULL when none is called",
        ),
        comment(
            nullable("phased", Boolean),
            "True when every allele is phased; NULL without GT",
        ),
    ]
}

fn info_field(field: &FieldDef) -> FieldRef {
    comment(
        nullable(&field.column, field.info_type()),
        &field.description,
    )
}

fn unused(taken: &HashSet<String>, plain: String, numbered: impl Fn(u32) -> String) -> String {
    if !taken.contains(&plain) {
        return plain;
    }
    let mut n = 2;
    loop {
        let name = numbered(n);
        if !taken.contains(&name) {
            return name;
        }
        n += 1;
    }
}

fn required(name: &str, ty: DataType) -> FieldRef {
    Arc::new(Field::new(name, ty, false))
}

fn nullable(name: &str, ty: DataType) -> FieldRef {
    Arc::new(Field::new(name, ty, true))
}

fn comment(field: FieldRef, text: &str) -> FieldRef {
    if text.is_empty() {
        return field;
    }
    let metadata = HashMap::from([(COMMENT_KEY.to_owned(), text.to_owned())]);
    Arc::new(Field::clone(&field).with_metadata(metadata))
}

fn schema(fields: Vec<FieldRef>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn format(key: &str, number: Number, ty: FieldType) -> FieldDef {
        FieldDef::new(FORMAT_PREFIX, key, number, ty, "")
    }

    #[test]
    fn columns_of_keys_that_differ_only_in_case_get_a_number() {
        let mut fields = ["DP", "dp", "AF-x", "1000G", "dp_2"]
            .map(|key| FieldDef::new(INFO_PREFIX, key, Number::Count(1), FieldType::Integer, ""));
        let renamed = assign_columns(INFO_PREFIX, &mut fields);
        let columns: Vec<_> = fields.iter().map(|f| f.column.as_str()).collect();
        assert_eq!(
            columns,
            [
                "info_dp",
                "info_dp_2",
                "info_af_x",
                "info_1000g",
                "info_dp_2_2"
            ]
        );
        assert_eq!(renamed, ["dp", "dp_2"]);
    }

    #[test]
    fn info_types() {
        let list = list_of(DataType::Float32);
        for (number, ty, expected) in [
            (Number::Count(1), FieldType::Integer, DataType::Int32),
            (Number::A, FieldType::Float, DataType::Float32),
            (Number::R, FieldType::Float, list.clone()),
            (Number::G, FieldType::Float, list.clone()),
            (Number::Count(3), FieldType::Float, list),
            (Number::Count(0), FieldType::Flag, DataType::Boolean),
            (Number::Unknown, FieldType::String, list_of(DataType::Utf8)),
            (Number::Count(1), FieldType::Character, DataType::Utf8),
        ] {
            assert_eq!(
                FieldDef::new(INFO_PREFIX, "K", number, ty, "").info_type(),
                expected
            );
        }
    }

    #[test]
    fn calls_columns_step_aside_for_the_fixed_ones() {
        let one = Number::Count(1);
        let fields = [
            format("GT", one, FieldType::String),
            format("DP", one, FieldType::Integer),
            format("POS", one, FieldType::Integer),
            format("AD", Number::R, FieldType::Integer),
        ];
        assert_eq!(calls_columns(&fields), ["dp", "fmt_pos", "ad"]);
        let calls = calls_schema(&fields);
        assert_eq!(
            calls.field_with_name("ad").unwrap().data_type(),
            &list_of(DataType::Int32)
        );
        let physical = format_schema(&fields);
        let names: Vec<_> = physical
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        assert_eq!(
            names,
            [
                "record", "block", "contig", "vcf_pos", "fmt_dp", "fmt_pos", "fmt_ad"
            ]
        );
    }

    #[test]
    fn numbers_of_header_lines() {
        for (text, expected) in [
            ("1", Some(Number::Count(1))),
            ("A", Some(Number::A)),
            (".", Some(Number::Unknown)),
            ("LG", Some(Number::LG)),
            ("-1", None),
            ("", None),
            ("99999999999", None),
        ] {
            assert_eq!(Number::parse(text), expected, "{text}");
        }
    }
}
