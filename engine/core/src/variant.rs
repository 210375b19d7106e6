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

/// An allele with its bases in upper case, as rows of variants hold them: case means nothing in VCF (4.5, section 1.6.1).
///
/// Of a breakend what is not within brackets is bases. Symbolic alleles and letters that are no bases come back as they
/// are.
#[must_use]
pub fn upper_case(allele: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if !allele.iter().any(u8::is_ascii_lowercase) {
        return allele;
    }
    let is_bracket = |b: &u8| matches!(b, b'[' | b']');
    let (head, tail) = match AlleleKind::of(&allele) {
        AlleleKind::Bases if is_plain_bases(&allele) => (allele.len(), 0),
        AlleleKind::Breakend => match allele.iter().position(is_bracket) {
            Some(first) => {
                let behind = allele.iter().rev().position(is_bracket);
                (first, behind.unwrap_or(0))
            }
            None => (allele.len(), 0),
        },
        _ => return allele,
    };
    let mut upper = allele.into_owned();
    let behind = upper.len() - tail;
    upper[..head].make_ascii_uppercase();
    upper[behind..].make_ascii_uppercase();
    Cow::Owned(upper)
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

/// Trims and then moves an insertion or deletion as far to the left as it goes, as `bcftools norm`
/// does (Tan, Abecasis, Kang 2015, <https://doi.org/10.1093/bioinformatics/btv112>).
///
/// Comes back trimmed only: alleles that are not plain bases, replacements (nothing to move), a
/// REF that differs from the genome, and a locus the genome does not have. At the first base of a
/// contig the base after the event is the anchor, as VCF asks.
///
/// # Cost
/// The genome is read in chunks of 128 to 4,096 bases, as far as the event moves.
#[must_use]
pub fn left_align<'a>(
    contig: &str,
    pos: i32,
    reference: &'a [u8],
    alternate: &'a [u8],
    genome: &dyn ReferenceBases,
) -> Normalized<'a> {
    let trimmed = trim(pos, reference, alternate);
    let Some(indel) = Indel::of(pos, reference, alternate) else {
        return trimmed;
    };
    if !matches_reference(contig, pos, reference, genome) {
        return trimmed;
    }
    indel.shift_left(contig, genome).unwrap_or(trimmed)
}

/// True when REF is what the genome has at `pos`, without regard to case. False for a locus that the
/// genome does not have.
#[must_use]
pub fn matches_reference(
    contig: &str,
    pos: i32,
    reference: &[u8],
    genome: &dyn ReferenceBases,
) -> bool {
    let mut start = pos;
    reference.chunks(CHUNK_BP_MAX).all(|chunk| {
        let end = start.saturating_add(i32::try_from(chunk.len()).unwrap_or(i32::MAX) - 1);
        let bases = genome.bases(contig, start, end);
        start = end.saturating_add(1);
        bases.is_some_and(|bases| bases.eq_ignore_ascii_case(chunk))
    })
}

const CHUNK_BP_MIN: i32 = 128;
const CHUNK_BP_MAX: usize = 4096;

/// A pure insertion or deletion without its anchor base.
struct Indel<'a> {
    /// 1-based place of the first base of `bases` (deletion), or of the base that they come before.
    pos: i32,
    /// What is inserted or deleted.
    bases: &'a [u8],
    is_deletion: bool,
}

impl<'a> Indel<'a> {
    /// The event once both alleles have lost all they share at the end and then at the start;
    /// `None` unless that leaves one of them empty.
    fn of(pos: i32, reference: &'a [u8], alternate: &'a [u8]) -> Option<Self> {
        if !can_trim(reference, alternate) {
            return None;
        }
        let suffix = shared_suffix(reference, alternate);
        let (r, a) = (
            &reference[..reference.len() - suffix],
            &alternate[..alternate.len() - suffix],
        );
        let prefix = shared_prefix(r, a);
        let (r, a) = (&r[prefix..], &a[prefix..]);
        if !r.is_empty() && !a.is_empty() {
            return None;
        }
        let is_deletion = a.is_empty();
        Some(Self {
            pos: pos.checked_add(i32::try_from(prefix).ok()?)?,
            bases: if is_deletion { r } else { a },
            is_deletion,
        })
    }

    /// Rotates the bases while the one before them equals their last, then anchors them.
    fn shift_left(&self, contig: &str, genome: &dyn ReferenceBases) -> Option<Normalized<'a>> {
        let mut left = Leftwards::new(contig, self.pos, genome);
        let n = self.bases.len();
        let mut moved = 0usize;
        let last = |moved: usize| self.bases[(n - 1).wrapping_sub(moved % n)];
        while let Some(base) = left.peek() {
            if !base.eq_ignore_ascii_case(&last(moved)) {
                break;
            }
            left.step();
            moved += 1;
        }
        let turn = n - moved % n;
        let bases = || {
            self.bases[turn..]
                .iter()
                .chain(&self.bases[..turn])
                .copied()
        };
        let pos = self.pos - i32::try_from(moved).ok()?;
        if pos > 1 {
            let anchor = left.peek()?;
            Some(self.anchored(
                pos - 1,
                [anchor].into_iter().chain(bases()).collect(),
                anchor,
            ))
        } else {
            let after = if self.is_deletion {
                i32::try_from(n).ok()?
            } else {
                0
            };
            let after = pos.checked_add(after)?;
            let anchor = *genome.bases(contig, after, after)?.first()?;
            Some(self.anchored(pos, bases().chain([anchor]).collect(), anchor))
        }
    }

    fn anchored(&self, pos: i32, long: Vec<u8>, anchor: u8) -> Normalized<'a> {
        let (long, short) = (Cow::Owned(long), Cow::Owned(vec![anchor]));
        let (reference, alternate) = if self.is_deletion {
            (long, short)
        } else {
            (short, long)
        };
        Normalized {
            pos,
            reference,
            alternate,
        }
    }
}

/// Bases of the genome from a position towards the start of the contig.
struct Leftwards<'g> {
    contig: &'g str,
    genome: &'g dyn ReferenceBases,
    /// Bases that end right before `pos`.
    chunk: Vec<u8>,
    /// The base to the left of here is next.
    pos: i32,
    chunk_bp: i32,
}

impl<'g> Leftwards<'g> {
    fn new(contig: &'g str, pos: i32, genome: &'g dyn ReferenceBases) -> Self {
        Self {
            contig,
            genome,
            chunk: Vec::new(),
            pos,
            chunk_bp: CHUNK_BP_MIN,
        }
    }

    /// The base before `pos`; `None` at the start of the contig or where the genome has none.
    fn peek(&mut self) -> Option<u8> {
        if self.chunk.is_empty() && self.pos > 1 {
            let start = (self.pos - self.chunk_bp).max(1);
            self.chunk = self.genome.bases(self.contig, start, self.pos - 1)?;
            let most = i32::try_from(CHUNK_BP_MAX).unwrap_or(i32::MAX);
            self.chunk_bp = (self.chunk_bp * 2).min(most);
        }
        self.chunk.last().copied()
    }

    fn step(&mut self) {
        self.chunk.pop();
        self.pos -= 1;
    }
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

/// Last reference base of an allele, 1-based and included; never before the end of REF.
///
/// `svlen` is this ALT's value of SVLEN, `end` the record's END. The rule (`rlen` of VCF 4.5,
/// section 1.6.1, for one ALT):
///
/// | ALT | last base |
/// |---|---|
/// | bases, `*`, breakend, `<INS>` | `pos + len(ref) - 1`, whatever END says |
/// | `<DEL>`, `<DUP>`, `<INV>`, `<CNV>` and their subtypes, `<CN0>` | `pos + abs(svlen)`; without SVLEN `end` |
/// | other symbolic, `.`, `<*>`, `<NON_REF>` | `end` |
///
/// SVLEN goes before END since it belongs to the one ALT, while END is the furthest of all; but an
/// END one base short of SVLEN wins: its writer counts SVLEN from `pos` itself
/// (samtools/htslib#2019). A value that is absent, 0 (SVLEN) or before the end of REF (END) does not
/// count; then REF decides.
#[must_use]
pub fn end_pos(
    pos: i32,
    reference: &[u8],
    alternate: &[u8],
    svlen: Option<i64>,
    end: Option<i64>,
) -> i32 {
    let pos = i64::from(pos);
    let length = i64::try_from(reference.len()).unwrap_or(i64::MAX);
    let of_ref = pos.saturating_add(length.max(1) - 1);
    let of_svlen = svlen.filter(|length| *length != 0);
    let of_svlen = of_svlen.map(|length| pos.saturating_add(length.saturating_abs()));
    let end_is_one_short = of_svlen.zip(end).is_some_and(|(last, end)| end == last - 1);
    let last = match AlleleKind::of(alternate) {
        AlleleKind::Missing | AlleleKind::Unspecified => end,
        AlleleKind::Symbolic => match symbolic_type(alternate) {
            VariantType::SvIns => None,
            VariantType::Symbolic => end,
            _ if end_is_one_short => end,
            _ => of_svlen.or(end),
        },
        AlleleKind::Bases | AlleleKind::SpanningDeletion | AlleleKind::Breakend => None,
    };
    i32::try_from(last.unwrap_or(of_ref).max(of_ref)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// A genome of one contig, `1`.
    struct Genome(Vec<u8>);

    impl ReferenceBases for Genome {
        fn bases(&self, contig: &str, start: i32, end: i32) -> Option<Vec<u8>> {
            let start = usize::try_from(start).ok()?.checked_sub(1)?;
            let end = usize::try_from(end).ok()?;
            (contig == "1").then(|| self.0.get(start..end).map(<[u8]>::to_vec))?
        }
    }

    impl Genome {
        /// The sequence with the variant in it.
        fn with(&self, v: &Normalized<'_>) -> Vec<u8> {
            let start = usize::try_from(v.pos).unwrap() - 1;
            let mut bases = self.0[..start].to_vec();
            bases.extend_from_slice(&v.alternate);
            bases.extend_from_slice(&self.0[start + v.reference.len()..]);
            bases.make_ascii_uppercase();
            bases
        }
    }

    fn shown(v: &Normalized<'_>) -> (i32, String, String) {
        let text = |bases: &[u8]| String::from_utf8_lossy(bases).into_owned();
        (v.pos, text(&v.reference), text(&v.alternate))
    }

    #[test]
    fn bases_are_in_upper_case_and_names_as_they_are() {
        for (allele, expected) in [
            ("acgtn", "ACGTN"),
            ("ACG", "ACG"),
            ("aR", "AR"),
            ("<DEL:me>", "<DEL:me>"),
            ("*", "*"),
            ("azq", "azq"),
            ("g]chr17:198982]", "G]chr17:198982]"),
            ("[chrX:5[at", "[chrX:5[AT"),
            ("]<ctga>:5]c", "]<ctga>:5]C"),
            ("c[chr2:1[", "C[chr2:1["),
            ("t.", "T."),
            (".t", ".T"),
        ] {
            let upper = upper_case(Cow::Borrowed(allele.as_bytes()));
            assert_eq!(String::from_utf8_lossy(&upper), expected);
        }
    }

    #[test]
    fn trimming() {
        for (pos, r, a, expected) in [
            (10, "A", "C", (10, "A", "C")),
            (10, "AT", "CT", (10, "A", "C")),
            (10, "TA", "TC", (11, "A", "C")),
            (10, "GCACA", "GCA", (10, "GCA", "G")),
            (10, "CAC", "C", (10, "CAC", "C")),
            (10, "ACGT", "AGT", (10, "AC", "A")),
            (10, "AAA", "AA", (10, "AA", "A")),
            (10, "aT", "At", (10, "aT", "At")),
            (10, "ATG", "aCg", (11, "T", "C")),
            (10, "AT", "<DEL>", (10, "AT", "<DEL>")),
            (10, "AT", "*", (10, "AT", "*")),
            (10, "AT", "A[chr1:5[", (10, "AT", "A[chr1:5[")),
        ] {
            let v = trim(pos, r.as_bytes(), a.as_bytes());
            let (pos, r, a) = expected;
            assert_eq!(shown(&v), (pos, r.to_owned(), a.to_owned()));
        }
    }

    #[test]
    fn left_alignment() {
        let genome = Genome(b"GGGCACACACAGGG".to_vec());
        for (pos, r, a, expected) in [
            // The example of Tan et al.: every form of one deleted CA.
            (6, "CAC", "C", (3, "GCA", "G")),
            (7, "ACA", "A", (3, "GCA", "G")),
            (2, "GGCA", "GG", (3, "GCA", "G")),
            (3, "GCA", "G", (3, "GCA", "G")),
            (11, "A", "ACA", (3, "G", "GCA")),
            (14, "G", "GG", (11, "A", "AG")),
            (3, "G", "GG", (1, "G", "GG")),
            (2, "GG", "G", (1, "GG", "G")),
            (4, "C", "T", (4, "C", "T")),
            (4, "CA", "TT", (4, "CA", "TT")),
            // REF is not what the genome has: trimmed only.
            (7, "TCA", "T", (7, "TCA", "T")),
            (13, "GGT", "GG", (14, "GT", "G")),
        ] {
            let v = left_align("1", pos, r.as_bytes(), a.as_bytes(), &genome);
            let (pos, r, a) = expected;
            assert_eq!(shown(&v), (pos, r.to_owned(), a.to_owned()));
        }
        let elsewhere = left_align("2", 6, b"CAC", b"C", &genome);
        assert_eq!(elsewhere.pos, 6);
    }

    #[test]
    fn a_long_repeat_is_crossed_in_chunks() {
        let mut bases = b"GT".to_vec();
        bases.extend(std::iter::repeat_n(b'A', 20_000));
        let genome = Genome(bases);
        let v = left_align("1", 19_990, b"AA", b"A", &genome);
        assert_eq!(shown(&v), (2, "TA".to_owned(), "T".to_owned()));
    }

    #[test]
    fn types() {
        for (r, a, expected) in [
            ("A", "C", "SNV"),
            ("AC", "AT", "SNV"),
            ("AC", "GT", "MNV"),
            ("A", "AT", "INS"),
            ("AT", "A", "DEL"),
            ("GA", "A", "DEL"),
            ("ACT", "GG", "COMPLEX"),
            ("A", "TG", "COMPLEX"),
            ("A", ".", "REF"),
            ("A", "<*>", "REF"),
            ("A", "<NON_REF>", "REF"),
            ("A", "a", "REF"),
            ("A", "*", "SPANNING_DELETION"),
            ("A", "<DEL>", "DEL"),
            ("A", "<DEL:ME:ALU>", "DEL"),
            ("A", "<INS:ME>", "INS"),
            ("A", "<DUP:TANDEM>", "DUP"),
            ("A", "<INV>", "INV"),
            ("A", "<CNV>", "CNV"),
            ("A", "<CN0>", "CNV"),
            ("A", "<CNV:TR>", "CNV:TR"),
            ("A", "A[chr2:5[", "BND"),
            ("A", "<FOO>", "SYMBOLIC"),
        ] {
            assert_eq!(
                variant_type(r.as_bytes(), a.as_bytes()).as_str(),
                expected,
                "{r} {a}"
            );
        }
    }

    #[test]
    fn end_positions() {
        for (r, a, svlen, end, expected) in [
            ("A", "C", None, None, 100),
            ("ACG", "A", None, None, 102),
            ("ACG", "A", Some(-2), Some(102), 102),
            ("A", "C", None, Some(500), 100),
            ("A", "<DEL>", Some(-50), None, 150),
            ("A", "<DEL>", Some(50), Some(150), 150),
            ("A", "<DEL>", None, Some(150), 150),
            ("A", "<DEL>", Some(50), Some(900), 150),
            ("A", "<DEL>", None, Some(7), 100),
            ("N", "<DEL>", Some(7000), Some(7099), 7099),
            ("A", "<FOO>", Some(50), Some(120), 120),
            ("A", "<CN0>", None, Some(120), 120),
            ("A", "<DUP:TANDEM>", Some(20), None, 120),
            ("A", "<CNV:TR>", Some(20), None, 120),
            ("A", "<INV>", Some(0), Some(130), 130),
            ("A", "<INS>", Some(300), Some(100), 100),
            ("A", "<INS>", Some(300), Some(400), 100),
            ("A", "A[chr2:5[", None, Some(900), 100),
            ("AC", "*", None, Some(900), 101),
            ("A", "<NON_REF>", None, Some(180), 180),
            ("A", "<*>", Some(5), None, 100),
            ("A", ".", None, Some(180), 180),
            ("A", "<DEL>", Some(i64::MIN), None, i32::MAX),
            ("A", "<DEL>", None, Some(i64::MAX), i32::MAX),
        ] {
            let last = end_pos(100, r.as_bytes(), a.as_bytes(), svlen, end);
            assert_eq!(last, expected, "{r} {a} {svlen:?} {end:?}");
        }
        assert_eq!(end_pos(0, b"N", b"<DEL>", None, None), 0);
    }

    /// Bases of few letters, so that repeats are common.
    fn bases(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![4 => Just(b'A'), 2 => Just(b'C'), 1 => Just(b'a')],
            len,
        )
    }

    fn locus() -> impl Strategy<Value = (Genome, i32, Vec<u8>, Vec<u8>)> {
        (
            bases(20..400),
            any::<prop::sample::Index>(),
            1usize..6,
            bases(1..6),
        )
            .prop_map(|(genome, at, len, alt)| {
                let start = at.index(genome.len() - len);
                let reference = genome[start..start + len].to_vec();
                (
                    Genome(genome),
                    i32::try_from(start).unwrap() + 1,
                    reference,
                    alt,
                )
            })
    }

    impl std::fmt::Debug for Genome {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&String::from_utf8_lossy(&self.0))
        }
    }

    proptest! {
        #[test]
        fn the_haplotype_stays_the_same((genome, pos, reference, alternate) in locus()) {
            let written = Normalized {
                pos,
                reference: Cow::Borrowed(&reference[..]),
                alternate: Cow::Borrowed(&alternate[..]),
            };
            let trimmed = trim(pos, &reference, &alternate);
            let aligned = left_align("1", pos, &reference, &alternate, &genome);
            prop_assert_eq!(genome.with(&trimmed), genome.with(&written));
            prop_assert_eq!(genome.with(&aligned), genome.with(&written));
            prop_assert!(aligned.pos <= trimmed.pos);
            prop_assert!(matches_reference("1", aligned.pos, &aligned.reference, &genome));
            // Once aligned, nothing moves any more.
            let again = left_align("1", aligned.pos, &aligned.reference, &aligned.alternate, &genome);
            prop_assert_eq!(shown(&again), shown(&aligned));
        }

        #[test]
        fn every_form_of_an_event_aligns_to_one((genome, pos, reference, alternate) in locus()) {
            let aligned = left_align("1", pos, &reference, &alternate, &genome);
            // The same event with more bases around it.
            let start = usize::try_from(pos).unwrap() - 1;
            let (left, right) = (start.min(7), (genome.0.len() - start - reference.len()).min(9));
            let pad = |allele: &[u8]| {
                let mut padded = genome.0[start - left..start].to_vec();
                padded.extend_from_slice(allele);
                padded.extend_from_slice(&genome.0[start + reference.len()..][..right]);
                padded
            };
            let (r, a) = (pad(&reference), pad(&alternate));
            let padded = left_align("1", pos - i32::try_from(left).unwrap(), &r, &a, &genome);
            let upper = |v| { let (pos, r, a) = shown(v); (pos, r.to_uppercase(), a.to_uppercase()) };
            // An allele that equals the reference stays as written.
            prop_assume!(!reference.eq_ignore_ascii_case(&alternate));
            prop_assert_eq!(upper(&padded), upper(&aligned));
        }
    }
}
