//! Variant: identity of an allele (pos, ref, alt) after trimming and left-alignment, its type and
//! its last reference base.
//!
//! Positions are 1-based. Alleles keep their letters as they stood; letters are compared without
//! regard to case.

use std::borrow::Cow;

use crate::allele::{AlleleKind, is_plain_bases};

/// An allele in its shortest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalized<'a> {
    /// First base of `reference`, 1-based.
    pub pos: i32,
    /// Reference allele, at least one base.
    pub reference: Cow<'a, [u8]>,
    /// Alternate allele, at least one base (or a text that is not bases, untouched).
    pub alternate: Cow<'a, [u8]>,
}

/// Bases of the reference genome.
pub trait ReferenceBases {
    /// Bases `start` to `end` (1-based, both included) of `contig`; `None` when any of them does
    /// not exist. Either case of letters.
    fn bases(&self, contig: &str, start: i32, end: i32) -> Option<Vec<u8>>;
}

/// Type of a variant row, the value of the column `variant_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VariantType {
    /// One base replaced.
    Snv,
    /// Several bases replaced by as many.
    Mnv,
    /// Bases inserted and nothing else.
    Ins,
    /// Bases deleted and nothing else.
    Del,
    /// Bases replaced by another number of bases.
    Complex,
    /// `<DEL>` and its subtypes; printed like [`VariantType::Del`].
    SvDel,
    /// `<INS>` and its subtypes; printed like [`VariantType::Ins`].
    SvIns,
    /// `<DUP>` and its subtypes.
    Dup,
    /// `<INV>`.
    Inv,
    /// `<CNV>`, `<CN0>` and the like.
    Cnv,
    /// `<CNV:TR>`: a tandem repeat of another copy number.
    CnvTr,
    /// A breakend.
    Bnd,
    /// `*`.
    Spanning,
    /// No alternate allele: `.`, `<*>`, `<NON_REF>`.
    Ref,
    /// Any other symbolic allele.
    Symbolic,
}

impl VariantType {
    /// The text of the column `variant_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snv => "SNV",
            Self::Mnv => "MNV",
            Self::Ins | Self::SvIns => "INS",
            Self::Del | Self::SvDel => "DEL",
            Self::Complex => "COMPLEX",
            Self::Dup => "DUP",
            Self::Inv => "INV",
            Self::Cnv => "CNV",
            Self::CnvTr => "CNV:TR",
            Self::Bnd => "BND",
            Self::Spanning => "SPANNING_DELETION",
            Self::Ref => "REF",
            Self::Symbolic => "SYMBOLIC",
        }
    }
}

/// Removes the bases that both alleles share: first at the end while both have more than one base,
/// then at the start likewise, which moves `pos`. As `bcftools norm` does without a reference.
///
/// Alleles that are not plain bases, and alleles that are equal, come back as they are.
#[must_use]
pub fn trim<'a>(pos: i32, reference: &'a [u8], alternate: &'a [u8]) -> Normalized<'a> {
    let (mut r, mut a, mut pos) = (reference, alternate, pos);
    if can_trim(r, a) {
        let suffix = shared_suffix(r, a).min(r.len().min(a.len()) - 1);
        r = &r[..r.len() - suffix];
        a = &a[..a.len() - suffix];
        let prefix = shared_prefix(r, a).min(r.len().min(a.len()) - 1);
        r = &r[prefix..];
        a = &a[prefix..];
        pos = pos.saturating_add(i32::try_from(prefix).unwrap_or(i32::MAX));
    }
    Normalized {
        pos,
        reference: Cow::Borrowed(r),
        alternate: Cow::Borrowed(a),
    }
}

fn can_trim(r: &[u8], a: &[u8]) -> bool {
    is_plain_bases(r) && is_plain_bases(a) && !r.eq_ignore_ascii_case(a)
}

fn shared_suffix(r: &[u8], a: &[u8]) -> usize {
    let pairs = r.iter().rev().zip(a.iter().rev());
    pairs.take_while(|(x, y)| x.eq_ignore_ascii_case(y)).count()
}

fn shared_prefix(r: &[u8], a: &[u8]) -> usize {
    let pairs = r.iter().zip(a);
    pairs.take_while(|(x, y)| x.eq_ignore_ascii_case(y)).count()
}

/// Trims and then moves an insertion or deletion as far to the left as it goes.
#[must_use]
pub fn left_align<'a>(
    contig: &str,
    pos: i32,
    reference: &'a [u8],
    alternate: &'a [u8],
    genome: &dyn ReferenceBases,
) -> Normalized<'a> {
    let _ = (contig, genome);
    trim(pos, reference, alternate)
}

/// Type of the alternate allele `alternate` (`.` when there is none) against `reference`.
#[must_use]
pub fn variant_type(reference: &[u8], alternate: &[u8]) -> VariantType {
    match AlleleKind::of(alternate) {
        AlleleKind::Missing | AlleleKind::Unspecified => VariantType::Ref,
        AlleleKind::SpanningDeletion => VariantType::Spanning,
        AlleleKind::Breakend => VariantType::Bnd,
        AlleleKind::Symbolic => symbolic_type(alternate),
        AlleleKind::Bases => bases_type(reference, alternate),
    }
}

fn symbolic_type(alternate: &[u8]) -> VariantType {
    let name = alternate.strip_prefix(b"<").unwrap_or(alternate);
    let name = name.strip_suffix(b">").unwrap_or(name);
    let first = name.split(|b| *b == b':').next().unwrap_or_default();
    match first {
        b"DEL" => VariantType::SvDel,
        b"INS" => VariantType::SvIns,
        b"DUP" => VariantType::Dup,
        b"INV" => VariantType::Inv,
        b"CNV" if name.starts_with(b"CNV:TR") => VariantType::CnvTr,
        b"CNV" => VariantType::Cnv,
        [b'C', b'N', digits @ ..] if is_number(digits) => VariantType::Cnv,
        _ => VariantType::Symbolic,
    }
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn bases_type(reference: &[u8], alternate: &[u8]) -> VariantType {
    if reference.eq_ignore_ascii_case(alternate) {
        return VariantType::Ref;
    }
    let v = trim(1, reference, alternate);
    let same_start = v.reference[..1].eq_ignore_ascii_case(&v.alternate[..1]);
    let same_end = {
        let ends = (v.reference.last(), v.alternate.last());
        matches!(ends, (Some(r), Some(a)) if r.eq_ignore_ascii_case(a))
    };
    match (v.reference.len(), v.alternate.len()) {
        (1, 1) => VariantType::Snv,
        (r, a) if r == a => VariantType::Mnv,
        (1, _) if same_start || same_end => VariantType::Ins,
        (_, 1) if same_start || same_end => VariantType::Del,
        _ => VariantType::Complex,
    }
}

/// Last reference base of an allele, 1-based and included; never before `pos`.
#[must_use]
pub fn end_pos(
    pos: i32,
    reference: &[u8],
    alternate: &[u8],
    svlen: Option<i64>,
    end: Option<i64>,
) -> i32 {
    let pos = i64::from(pos);
    let length = i64::try_from(reference.len()).unwrap_or(i64::MAX).max(1);
    let base = pos.saturating_add(length - 1);
    let named = end.filter(|end| *end >= base);
    let spanned = svlen
        .filter(|l| *l != 0)
        .map(|l| pos.saturating_add(l.saturating_abs()));
    let last = match variant_type(reference, alternate) {
        VariantType::SvDel
        | VariantType::Dup
        | VariantType::Inv
        | VariantType::Cnv
        | VariantType::CnvTr
            if AlleleKind::of(alternate) == AlleleKind::Symbolic =>
        {
            spanned.or(named)
        }
        VariantType::Symbolic => spanned.or(named),
        VariantType::Ref => named,
        _ => None,
    };
    i32::try_from(last.unwrap_or(base).max(base)).unwrap_or(i32::MAX)
}
