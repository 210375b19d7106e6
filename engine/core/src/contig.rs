//! Contig: names, aliases and lengths of the human primaries, assemblies, position bins.
//!
//! A *primary* is one of 1 to 22, X, Y and MT. Its key is the plain name (`1`, `MT`), whichever alias
//! a file uses: `chr1`, `NC_000001.11` (RefSeq), `CM000663.2` (GenBank).

mod assembly_name;

use std::fmt;

/// A human assembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assembly {
    /// GRCh37 (hg19).
    GRCh37,
    /// GRCh38 (hg38).
    GRCh38,
    /// T2T-CHM13v2.0.
    Chm13,
}

impl Assembly {
    /// Every assembly known here.
    pub const ALL: [Self; 3] = [Self::GRCh37, Self::GRCh38, Self::Chm13];

    /// The name that datasets carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GRCh37 => "GRCh37",
            Self::GRCh38 => "GRCh38",
            Self::Chm13 => "T2T-CHM13v2.0",
        }
    }

    /// The assembly that a user means: its name, a patch release of it or the UCSC name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let is = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));
        match name.as_str() {
            "hg19" | "b37" | "hs37d5" | "hs37" | "37" => Some(Self::GRCh37),
            "hg38" | "b38" | "hs38" | "38" => Some(Self::GRCh38),
            "hs1" => Some(Self::Chm13),
            _ if is(&["grch37"]) => Some(Self::GRCh37),
            _ if is(&["grch38"]) => Some(Self::GRCh38),
            _ if is(&["t2t-chm13", "chm13"]) => Some(Self::Chm13),
            _ => None,
        }
    }

    /// The assembly that a header means: its name among others, in a path, as an accession. `None` where it names none
    /// that is known here, or several.
    #[must_use]
    pub fn named_in(text: &str) -> Option<Self> {
        assembly_name::named_in(text)
    }

    /// The assembly whose primaries have these lengths, in bases.
    ///
    /// Only primaries with a length count. All of them must agree with one assembly and at least one
    /// must not be MT, which assemblies share.
    #[must_use]
    pub fn detect<'a>(contigs: impl IntoIterator<Item = (&'a str, Option<u64>)>) -> Option<Self> {
        let mut fits = [true; 3];
        let mut n_seen = 0;
        for (name, length) in contigs {
            let (Some(primary), Some(length)) = (primary(name), length) else {
                continue;
            };
            if primary.key == "MT" {
                continue;
            }
            n_seen += 1;
            for (fit, expected) in fits.iter_mut().zip(primary.lengths) {
                *fit &= u64::from(expected) == length;
            }
        }
        let at = fits.iter().position(|fit| *fit).filter(|_| n_seen > 0)?;
        Some(Self::ALL[at])
    }

    /// Length of a primary, in bases; any alias. `None` for other contigs.
    #[must_use]
    pub fn length_bp(self, name: &str) -> Option<u32> {
        Some(primary(name)?.lengths[self as usize])
    }

    /// RefSeq accession of a primary; any alias. `None` for other contigs.
    #[must_use]
    pub fn refseq(self, name: &str) -> Option<String> {
        let primary = primary(name)?;
        Some(match (primary.number(), self) {
            (None, _) => "NC_012920.1".to_owned(),
            (Some(n), Self::GRCh37) => format!("NC_{n:06}.{}", primary.refseq_version_37),
            (Some(n), Self::GRCh38) => format!("NC_{n:06}.{}", primary.refseq_version_37 + 1),
            (Some(n), Self::Chm13) => format!("NC_0609{}.1", 24 + n),
        })
    }

    /// The pseudoautosomal regions of X or Y (any alias): 1-based, both ends included. Empty for
    /// other contigs.
    ///
    /// # Source
    /// GRCh37, GRCh38: Genome Reference Consortium, human assembly pages. CHM13: `chm13v2.0_PAR.bed`
    /// of the T2T consortium (0-based there); its Y is that of HG002, so X and Y differ in length.
    #[must_use]
    pub fn pseudoautosomal(self, name: &str) -> &'static [(u32, u32)] {
        match (self, canonical_key(name)) {
            (Self::GRCh37, Some("X")) => &[(60_001, 2_699_520), (154_931_044, 155_260_560)],
            (Self::GRCh37, Some("Y")) => &[(10_001, 2_649_520), (59_034_050, 59_363_566)],
            (Self::GRCh38, Some("X")) => &[(10_001, 2_781_479), (155_701_383, 156_030_895)],
            (Self::GRCh38, Some("Y")) => &[(10_001, 2_781_479), (56_887_903, 57_217_415)],
            (Self::Chm13, Some("X")) => &[(1, 2_394_410), (153_925_835, 154_259_566)],
            (Self::Chm13, Some("Y")) => &[(1, 2_458_320), (62_122_810, 62_460_029)],
            _ => &[],
        }
    }

    /// True when a position (1-based) of X or Y lies in a pseudoautosomal region.
    #[must_use]
    pub fn is_pseudoautosomal(self, name: &str, pos: u32) -> bool {
        let regions = self.pseudoautosomal(name);
        regions
            .iter()
            .any(|(start, end)| (*start..=*end).contains(&pos))
    }
}

impl fmt::Display for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

struct Primary {
    key: &'static str,
    /// GRCh37, GRCh38, CHM13v2.0.
    lengths: [u32; 3],
    /// Version of the RefSeq accession in GRCh37; GRCh38 has the next one.
    refseq_version_37: u32,
}

impl Primary {
    /// 1 to 24 in the accession numbers; `None` for MT.
    fn number(&self) -> Option<usize> {
        match self.key {
            "MT" => None,
            "X" => Some(23),
            "Y" => Some(24),
            key => key.parse().ok(),
        }
    }
}

const fn primary_of(key: &'static str, lengths: [u32; 3], refseq_version_37: u32) -> Primary {
    Primary {
        key,
        lengths,
        refseq_version_37,
    }
}

#[rustfmt::skip]
const PRIMARIES: [Primary; 25] = [
    primary_of("1",  [249_250_621, 248_956_422, 248_387_328], 10),
    primary_of("2",  [243_199_373, 242_193_529, 242_696_752], 11),
    primary_of("3",  [198_022_430, 198_295_559, 201_105_948], 11),
    primary_of("4",  [191_154_276, 190_214_555, 193_574_945], 11),
    primary_of("5",  [180_915_260, 181_538_259, 182_045_439], 9),
    primary_of("6",  [171_115_067, 170_805_979, 172_126_628], 11),
    primary_of("7",  [159_138_663, 159_345_973, 160_567_428], 13),
    primary_of("8",  [146_364_022, 145_138_636, 146_259_331], 10),
    primary_of("9",  [141_213_431, 138_394_717, 150_617_247], 11),
    primary_of("10", [135_534_747, 133_797_422, 134_758_134], 10),
    primary_of("11", [135_006_516, 135_086_622, 135_127_769], 9),
    primary_of("12", [133_851_895, 133_275_309, 133_324_548], 11),
    primary_of("13", [115_169_878, 114_364_328, 113_566_686], 10),
    primary_of("14", [107_349_540, 107_043_718, 101_161_492], 8),
    primary_of("15", [102_531_392, 101_991_189, 99_753_195], 9),
    primary_of("16", [90_354_753, 90_338_345, 96_330_374], 9),
    primary_of("17", [81_195_210, 83_257_441, 84_276_897], 10),
    primary_of("18", [78_077_248, 80_373_285, 80_542_538], 9),
    primary_of("19", [59_128_983, 58_617_616, 61_707_364], 9),
    primary_of("20", [63_025_520, 64_444_167, 66_210_255], 10),
    primary_of("21", [48_129_895, 46_709_983, 45_090_682], 8),
    primary_of("22", [51_304_566, 50_818_468, 51_324_926], 10),
    primary_of("X",  [155_270_560, 156_040_895, 154_259_566], 10),
    primary_of("Y",  [59_373_566, 57_227_415, 62_460_029], 9),
    primary_of("MT", [16_569, 16_569, 16_569], 0),
];

fn primary(name: &str) -> Option<&'static Primary> {
    let key = canonical_key(name)?;
    PRIMARIES.iter().find(|primary| primary.key == key)
}

/// The plain name (`1` to `22`, `X`, `Y`, `MT`) of a human primary from any of its aliases:
/// with or without `chr` in any case, `M`, or an accession of RefSeq or GenBank.
#[must_use]
pub fn canonical_key(name: &str) -> Option<&'static str> {
    let plain = match name.as_bytes() {
        [b'c' | b'C', b'h' | b'H', b'r' | b'R', ..] => name.get(3..)?,
        _ => name,
    };
    let plain = if plain.eq_ignore_ascii_case("M") {
        "MT"
    } else {
        plain
    };
    let named = PRIMARIES.iter().find(|p| p.key.eq_ignore_ascii_case(plain));
    named.map(|p| p.key).or_else(|| key_of_accession(name))
}

/// The human primary that a name means which no assembly has: with zeros before its number or something between it and
/// `chr` (`chr01`, `chr_1`, `Chr-X`, `chromosome1`), or blanks around it. `None` of its own names. Other species have such
/// names.
#[must_use]
pub fn odd_key(name: &str) -> Option<&'static str> {
    if canonical_key(name).is_some() {
        return None;
    }
    if let Some(key) = canonical_key(name.trim()) {
        return Some(key);
    }
    let name = name.trim();
    let after = |word: &str| {
        let front = name.get(..word.len())?;
        front
            .eq_ignore_ascii_case(word)
            .then(|| &name[word.len()..])
    };
    let rest = after("chromosome").or_else(|| after("chr")).unwrap_or(name);
    let plain = rest.trim_start_matches(['_', '-', ' ']);
    let bare = plain.trim_start_matches('0');
    let is_plain = |key: &&str| bare.eq_ignore_ascii_case(key) || (*key == "MT" && bare == "M");
    canonical_key(bare).filter(is_plain)
}

/// What other tables call a human primary that has a name of its own here: `chr1` for `chr01`, `chrM` for `chrMT`. `None`
/// where the name is one of the usual ones, or none of a primary.
#[must_use]
pub fn usual_name(name: &str) -> Option<String> {
    let spelled = match odd_key(name) {
        Some(_) => name
            .trim()
            .get(..3)
            .filter(|front| front.eq_ignore_ascii_case("chr")),
        None => spelling(name).filter(|_| canonical_key(name) == Some("MT")),
    };
    let names = match spelled {
        Some("") => ContigNames::Plain,
        Some(spelled) if spelled.eq_ignore_ascii_case("chr") => ContigNames::Chr,
        None if odd_key(name).is_some() => ContigNames::Plain,
        _ => return None,
    };
    let usual = names.of(name);
    (usual != name).then(|| usual.into_owned())
}

/// How a name spells a human primary: what stands before the plain name (`chr`, nothing), or the letters of the
/// accession (`NC_`, `CM`). Names of different spelling are never equal. `None` for other contigs.
#[must_use]
pub fn spelling(name: &str) -> Option<&str> {
    canonical_key(name)?;
    let is_accession = key_of_accession(name).is_some();
    let prefix = match name.as_bytes() {
        [b'c' | b'C', b'h' | b'H', b'r' | b'R', ..] => 3,
        _ if is_accession => name.find(|c: char| c.is_ascii_digit())?,
        _ => 0,
    };
    name.get(..prefix)
}

/// The spelling of the primaries among these names, if there are any and all have the same.
#[must_use]
pub fn common_spelling<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut spellings = names.into_iter().filter_map(spelling);
    let first = spellings.next()?;
    spellings.all(|spelling| spelling == first).then_some(first)
}

/// Whether a column is called as contigs are in the tables of other programs.
#[must_use]
pub fn names_contigs(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    let whole = ["chr", "seqid", "seqname", "seqnames", "sequence_name"];
    column.contains("contig") || column.contains("chrom") || whole.contains(&column.as_str())
}

/// Whether a column of this name holds contigs and nothing else, so that `1` to `22` in it are names and no numbers.
/// `chrom_count` is called like contigs ([`names_contigs`]) and counts.
#[must_use]
pub fn is_contig_column(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    let names = [
        "contig",
        "chrom",
        "chr",
        "chromosome",
        "seqid",
        "seqname",
        "seqnames",
    ];
    names.contains(&column.trim_start_matches('#'))
}

/// The two usual ways to name the human primaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContigNames {
    /// `chr1`, `chrX`, `chrM`, as UCSC and GENCODE.
    Chr,
    /// `1`, `X`, `MT`, as Ensembl and ClinVar.
    Plain,
}

impl ContigNames {
    /// The name of a primary this way, `chr01` and the like too; any other name as it stands.
    #[must_use]
    pub fn of(self, name: &str) -> std::borrow::Cow<'_, str> {
        match (self, canonical_key(name).or_else(|| odd_key(name))) {
            (Self::Chr, Some("MT")) => "chrM".into(),
            (Self::Chr, Some(key)) => format!("chr{key}").into(),
            (Self::Plain, Some(key)) => key.into(),
            (_, None) => name.into(),
        }
    }

    /// `chr` or `plain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chr => "chr",
            Self::Plain => "plain",
        }
    }
}

fn key_of_accession(name: &str) -> Option<&'static str> {
    let (accession, version) = name.split_once('.')?;
    let version: u32 = version.parse().ok()?;
    let digits = accession.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_');
    let number: usize = digits.parse().ok()?;
    let place = match accession.strip_suffix(digits)? {
        "NC_" if number == 12_920 => 25,
        "NC_" if number > 60_000 => number.checked_sub(60_924)?,
        "NC_" if number <= 24 => return refseq_key(number, version),
        "CM" => number.checked_sub(662)?,
        "CP" if number == 86_569 => 24,
        "CP" => 68_278usize.checked_sub(number)?,
        "J" if number == 1_415 => 25,
        _ => return None,
    };
    let primary = PRIMARIES.get(place.checked_sub(1)?)?;
    // Only the accession of MT itself stands for MT.
    let is_mt = matches!(accession, "NC_012920" | "J01415");
    (is_mt == (primary.key == "MT")).then_some(primary.key)
}

fn refseq_key(number: usize, version: u32) -> Option<&'static str> {
    let primary = PRIMARIES.get(number.checked_sub(1)?)?;
    let known = primary.refseq_version_37..=primary.refseq_version_37 + 1;
    known.contains(&version).then_some(primary.key)
}

/// The name among `known` that `name` most likely means: another alias of the same primary, else
/// the one with the fewest edits, at most two (and fewer than half of the letters). The first one
/// of equals. `None` when nothing is near.
#[must_use]
pub fn suggest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if let Some(key) = canonical_key(name) {
        let alias = known.iter().find(|k| canonical_key(k) == Some(key));
        if alias.is_some() {
            return alias.copied();
        }
    }
    let most = 2.min(name.chars().count().saturating_sub(1) / 2);
    // Whatever else they are, names are as far apart as their lengths.
    let near = known
        .iter()
        .filter(|k| k.len().abs_diff(name.len()) <= 4 * most)
        .map(|k| (strsim::levenshtein(name, k), *k));
    let best = near
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits);
    best.map(|(_, k)| k)
}

/// Contigs at least this long get position bins of their own.
pub const LONG_CONTIG_BP: u64 = 10_000_000;
/// A position bin spans 2^26 bases.
pub const POS_BIN_SHIFT: u32 = 26;
/// Bin of all contigs that are not long.
pub const OTHER_BIN: &str = "other";

/// True when the contig gets position bins of its own: it has [`LONG_CONTIG_BP`], or no length is
/// known and it is a human primary but MT.
#[must_use]
pub fn is_long(name: &str, length_bp: Option<u64>) -> bool {
    match length_bp {
        Some(length) => length >= LONG_CONTIG_BP,
        None => canonical_key(name).is_some_and(|key| key != "MT"),
    }
}

/// Value of the partition column for a 1-based position: `<contig>:<pos / 2^26>`, or `other`.
#[must_use]
pub fn pos_bin(name: &str, length_bp: Option<u64>, pos: i32) -> String {
    if is_long(name, length_bp) {
        format!("{name}:{}", pos.max(0) >> POS_BIN_SHIFT)
    } else {
        OTHER_BIN.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_of_the_primaries() {
        for (name, key) in [
            ("1", Some("1")),
            ("chr1", Some("1")),
            ("CHRX", Some("X")),
            ("chrM", Some("MT")),
            ("MT", Some("MT")),
            ("NC_000001.10", Some("1")),
            ("NC_000001.11", Some("1")),
            ("NC_000001.9", None),
            ("NC_000024.10", Some("Y")),
            ("NC_012920.1", Some("MT")),
            ("NC_060925.1", Some("1")),
            ("NC_060948.1", Some("Y")),
            ("NC_060949.1", None),
            ("CM000663.2", Some("1")),
            ("CM000686.2", Some("Y")),
            ("CM000687.2", None),
            ("CP068277.2", Some("1")),
            ("CP068255.2", Some("X")),
            ("CP086569.2", Some("Y")),
            ("J01415.2", Some("MT")),
            ("chr1_KI270706v1_random", None),
            ("23", None),
            ("chr", None),
            ("", None),
            ("NC_000000.1", None),
        ] {
            assert_eq!(canonical_key(name), key, "{name}");
        }
    }

    #[test]
    fn mt_has_one_usual_name_in_each_way() {
        for (name, usual) in [
            ("M", Some("MT")),
            ("MT", None),
            ("chrM", None),
            ("chrMT", Some("chrM")),
            ("J01415.2", None),
        ] {
            assert_eq!(usual_name(name).as_deref(), usual, "{name}");
        }
    }

    #[test]
    fn odd_names_of_the_primaries() {
        for (name, key, chr) in [
            ("chr01", Some("1"), "chr1"),
            ("01", Some("1"), "chr1"),
            ("Chr_1", Some("1"), "chr1"),
            ("chr-X", Some("X"), "chrX"),
            ("chromosome22", Some("22"), "chr22"),
            ("chromosome 2", Some("2"), "chr2"),
            ("chr_M", Some("MT"), "chrM"),
            ("chrMT", None, "chrM"),
            ("chr1", None, "chr1"),
            ("1", None, "chr1"),
            ("chr00", None, "chr00"),
            ("chr023", None, "chr023"),
            ("chr_chr1", None, "chr_chr1"),
            ("chr_NC_000001.11", None, "chr_NC_000001.11"),
            ("chrUn_1", None, "chrUn_1"),
            ("", None, ""),
        ] {
            assert_eq!(odd_key(name), key, "{name}");
            let usual = (name == "chrMT" || key.is_some()).then(|| {
                ContigNames::of(
                    if name == "01" {
                        ContigNames::Plain
                    } else {
                        ContigNames::Chr
                    },
                    name,
                )
                .into_owned()
            });
            assert_eq!(usual_name(name), usual, "{name}");
            assert_eq!(ContigNames::Chr.of(name), chr, "{name}");
        }
    }

    #[test]
    fn columns_of_contigs_are_known_by_name() {
        for (name, only, called) in [
            ("contig", true, true),
            ("#CHROM", true, true),
            ("Chr", true, true),
            ("chromosome", true, true),
            ("seqnames", true, true),
            ("chrom_count", false, true),
            ("chrisomal", false, false),
            ("pos", false, false),
        ] {
            assert_eq!(
                (is_contig_column(name), names_contigs(name)),
                (only, called),
                "{name}"
            );
        }
    }

    #[test]
    fn names_are_spelled_in_ways() {
        for (name, expected, chr, plain) in [
            ("chr1", Some("chr"), "chr1", "1"),
            ("CHR1", Some("CHR"), "chr1", "1"),
            ("1", Some(""), "chr1", "1"),
            ("X", Some(""), "chrX", "X"),
            ("chrM", Some("chr"), "chrM", "MT"),
            ("MT", Some(""), "chrM", "MT"),
            ("NC_000001.11", Some("NC_"), "chr1", "1"),
            ("CM000663.2", Some("CM"), "chr1", "1"),
            ("J01415.2", Some("J"), "chrM", "MT"),
            ("GL000191.1", None, "GL000191.1", "GL000191.1"),
            (
                "chrUn_KI270302v1",
                None,
                "chrUn_KI270302v1",
                "chrUn_KI270302v1",
            ),
        ] {
            assert_eq!(spelling(name), expected, "{name}");
            assert_eq!(ContigNames::Chr.of(name), chr);
            assert_eq!(ContigNames::Plain.of(name), plain);
        }
        for (names, expected) in [
            (&["chr1", "HLA-A*01:01", "chrX"][..], Some("chr")),
            (&["1", "GL000191.1", "Y"], Some("")),
            (&["1", "chr2"], None),
            (&["HLA-A*01:01"], None),
            (&[], None),
        ] {
            assert_eq!(
                common_spelling(names.iter().copied()),
                expected,
                "{names:?}"
            );
        }
    }

    #[test]
    fn accessions_name_their_primary() {
        for assembly in Assembly::ALL {
            for primary in &PRIMARIES {
                let accession = assembly.refseq(primary.key).unwrap_or_default();
                assert_eq!(canonical_key(&accession), Some(primary.key), "{accession}");
            }
        }
        assert_eq!(
            Assembly::GRCh38.refseq("chr1").as_deref(),
            Some("NC_000001.11")
        );
        assert_eq!(
            Assembly::GRCh37.refseq("X").as_deref(),
            Some("NC_000023.10")
        );
        assert_eq!(Assembly::Chm13.refseq("Y").as_deref(), Some("NC_060948.1"));
    }

    #[test]
    fn assemblies_are_detected_by_length() {
        let lengths = |list: &[(&'static str, u64)]| {
            Assembly::detect(list.iter().map(|(name, length)| (*name, Some(*length))))
        };
        assert_eq!(
            lengths(&[("1", 249_250_621), ("GL000191.1", 9)]),
            Some(Assembly::GRCh37)
        );
        assert_eq!(
            lengths(&[("chr22", 50_818_468), ("chrM", 16_571)]),
            Some(Assembly::GRCh38)
        );
        assert_eq!(lengths(&[("chr1", 248_387_328)]), Some(Assembly::Chm13));
        assert_eq!(
            lengths(&[("chr1", 248_956_422), ("chr2", 243_199_373)]),
            None
        );
        assert_eq!(lengths(&[("MT", 16_569)]), None);
        assert_eq!(lengths(&[]), None);
        assert_eq!(Assembly::detect([("chr1", None)]), None);
        assert_eq!(Assembly::from_name("GRCh38.p14"), Some(Assembly::GRCh38));
        assert_eq!(Assembly::from_name("hg19"), Some(Assembly::GRCh37));
        assert_eq!(
            Assembly::from_name(Assembly::Chm13.as_str()),
            Some(Assembly::Chm13)
        );
        assert_eq!(Assembly::from_name("mm10"), None);
    }

    #[test]
    fn pseudoautosomal_regions_are_closed() {
        let g38 = Assembly::GRCh38;
        for (pos, inside) in [
            (10_000, false),
            (10_001, true),
            (2_781_479, true),
            (2_781_480, false),
            (155_701_383, true),
            (156_030_896, false),
        ] {
            assert_eq!(g38.is_pseudoautosomal("chrX", pos), inside, "{pos}");
        }
        assert!(!g38.is_pseudoautosomal("chr1", 20_000));
        // Each region of X is as long as its partner on Y.
        for assembly in [Assembly::GRCh37, Assembly::GRCh38] {
            let lengths = |name| -> Vec<u32> {
                assembly
                    .pseudoautosomal(name)
                    .iter()
                    .map(|(s, e)| e - s + 1)
                    .collect()
            };
            assert_eq!(lengths("X"), lengths("Y"));
        }
    }

    #[test]
    fn a_contig_by_another_name_is_suggested() {
        for (name, known, expected) in [
            ("1", &["chr1", "chr2"][..], Some("chr1")),
            ("chrMT", &["chrM"], Some("chrM")),
            ("NC_000022.11", &["21", "22"], Some("22")),
            ("chr23", &["chr22", "chr1"], Some("chr22")),
            ("scaffold_12", &["scaffold_112", "x"], Some("scaffold_112")),
            ("chr1", &["scaffold_1"], None),
            ("1", &["2"], None),
            ("", &["1"], None),
        ] {
            assert_eq!(suggest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn position_bins() {
        for (name, length, pos, bin) in [
            ("chr1", Some(248_956_422), 1, "chr1:0"),
            ("chr1", Some(248_956_422), 67_108_863, "chr1:0"),
            ("chr1", Some(248_956_422), 67_108_864, "chr1:1"),
            ("chrX", None, 150_000_000, "chrX:2"),
            ("MT", None, 5, "other"),
            ("MT", Some(16_569), 5, "other"),
            ("chr1", Some(1_000), 5, "other"),
            ("ctgA", None, 5, "other"),
            ("ctgA", Some(10_000_000), 0, "ctgA:0"),
        ] {
            assert_eq!(pos_bin(name, length, pos), bin, "{name} {pos}");
        }
    }
}
