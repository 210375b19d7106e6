//! Annotation: what Ensembl VEP (`CSQ`, `vep`), SnpEff (`ANN`) and `bcftools csq` (`BCSQ`) write into INFO.
//!
//! ```text
//! ##INFO=<ID=CSQ,…,Description="Consequence annotations from Ensembl VEP. Format: Allele|Consequence|IMPACT|…">
//! CSQ=T|missense_variant|MODERATE|…,T|intron_variant|MODIFIER|…
//!     one entry per ALT and feature; subfields by `|`, several values of one subfield by `&`
//! ```
//! The header's Format names the subfields; without it nobody knows what they are. Names are told apart without regard
//! to case.

/// The INFO keys that hold annotations.
pub const ANNOTATION_KEYS: [&str; 4] = ["CSQ", "ANN", "BCSQ", "vep"];

/// True for an INFO key that holds annotations.
#[must_use]
pub fn is_annotation(key: &str) -> bool {
    ANNOTATION_KEYS.contains(&key)
}

/// The type of a subfield.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubfieldType {
    /// As it stands.
    Text,
    /// Values by `&`.
    Texts,
    /// A whole number.
    Integer,
    /// A frequency: the greatest, where VEP gives those of several known variants.
    Frequency,
    /// Scores by `&`, `.` for none.
    Numbers,
    /// True when it is `YES`, `Y`, `1` or `true`; NULL when it is empty.
    Flag,
}

/// A subfield of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subfield {
    /// The name in the header's Format.
    pub name: String,
    /// The column: the key and the name in lower case.
    pub column: String,
    /// Its type.
    pub ty: SubfieldType,
}

/// What subfields mean, whatever a program calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The ALT allele, in the program's own form.
    Allele,
    /// The number of the ALT allele, from 1.
    AlleleNumber,
    /// Terms of the Sequence Ontology by `&`.
    Consequence,
    /// HIGH, MODERATE, LOW or MODIFIER.
    Impact,
    /// Name of the gene.
    Gene,
    /// Accession of the gene.
    GeneId,
    /// Accession of the feature.
    Feature,
    /// Kind of feature.
    FeatureType,
    /// Biotype of the transcript.
    Biotype,
    /// Change of the transcript.
    HgvsC,
    /// Change of the protein.
    HgvsP,
    /// Change of the sequence as `bcftools csq` writes it, `pos ref > alt`.
    DnaChange,
}

/// Every role with the names that programs give it, the first that is there counts.
const ROLES: [(Role, &[&str]); 12] = [
    (Role::Allele, &["Allele"]),
    (Role::AlleleNumber, &["ALLELE_NUM"]),
    (Role::Consequence, &["Consequence", "Annotation"]),
    (Role::Impact, &["IMPACT", "Annotation_Impact"]),
    (Role::Gene, &["SYMBOL", "Gene_Name", "HGNC"]),
    (Role::GeneId, &["Gene", "Gene_ID"]),
    (Role::Feature, &["Feature", "Feature_ID", "transcript"]),
    (Role::FeatureType, &["Feature_type"]),
    (Role::Biotype, &["BIOTYPE", "Transcript_BioType"]),
    (Role::HgvsC, &["HGVSc", "HGVS.c"]),
    (Role::HgvsP, &["HGVSp", "HGVS.p"]),
    (Role::DnaChange, &["dna_change"]),
];

/// Subfields of VEP and its plugins that are whole numbers.
const INTEGERS: [&str; 5] = ["ALLELE_NUM", "DISTANCE", "HGVS_OFFSET", "STRAND", "TSL"];
/// Those that are flags.
const FLAGS: [&str; 4] = ["CANONICAL", "GENE_PHENO", "MINIMISED", "PICK"];
/// Those that are lists of texts.
const LISTS: [&str; 13] = [
    "Consequence",
    "Annotation",
    "CLIN_SIG",
    "Existing_variation",
    "FLAGS",
    "LoF_filter",
    "LoF_flags",
    "LoF_info",
    "PUBMED",
    "DOMAINS",
    "VAR_SYNONYMS",
    "clinvar_clnsig",
    "clinvar_review",
];
/// Those that are numbers and whose names do not show it; names that end in [`NUMBER_ENDS`] or begin with
/// [`NUMBER_STARTS`] do.
const NUMBERS: [&str; 9] = [
    "am_pathogenicity",
    "CADD_PHRED",
    "CADD_RAW",
    "EVE_SCORE",
    "LoFtool",
    "MPC",
    "REVEL",
    "ada_score",
    "rf_score",
];

/// How names of numbers end in lower case: scores, and the counts of alleles of dbNSFP.
const NUMBER_ENDS: [&str; 6] = ["score", "_phred", "_raw", "_ac", "_an", "_nhomalt"];
/// How names of numbers begin in lower case: conservation in dbNSFP, differences and places of SpliceAI.
const NUMBER_STARTS: [&str; 6] = [
    "phylop",
    "phastcons",
    "gerp++_",
    "siphy_",
    "spliceai_pred_ds_",
    "spliceai_pred_dp_",
];
/// How names of lists of texts end in lower case: dbNSFP has a prediction for each transcript.
const LIST_ENDS: [&str; 1] = ["_pred"];

fn is_among(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn type_of(name: &str) -> SubfieldType {
    let lower = name.to_ascii_lowercase();
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| lower.ends_with(suffix));
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| lower.starts_with(prefix));
    match name {
        _ if is_among(name, &INTEGERS) => SubfieldType::Integer,
        _ if is_among(name, &FLAGS) => SubfieldType::Flag,
        _ if is_among(name, &LISTS) => SubfieldType::Texts,
        _ if lower == "af" || ends(&["_af"]) => SubfieldType::Frequency,
        _ if is_among(name, &NUMBERS) || ends(&NUMBER_ENDS) || starts(&NUMBER_STARTS) => {
            SubfieldType::Numbers
        }
        _ if ends(&LIST_ENDS) => SubfieldType::Texts,
        _ => SubfieldType::Text,
    }
}

/// The annotations of one INFO key, by the header's Format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationFormat {
    /// The INFO key.
    pub key: String,
    /// The subfields of an entry in order.
    pub subfields: Vec<Subfield>,
    roles: [Option<usize>; ROLES.len()],
}

/// A record as it stood, which entries are matched with.
#[derive(Debug, Clone, Copy)]
pub struct AnnotatedRecord<'a> {
    /// POS, 1-based.
    pub pos: i32,
    /// REF.
    pub reference: &'a str,
    /// Every ALT in order.
    pub alts: &'a [&'a str],
}

impl AnnotationFormat {
    /// Reads the Format of a header line's Description: what follows `Format:`, or what stands in single quotes (SnpEff).
    /// `None` when there is none: the subfields have no names.
    #[must_use]
    pub fn parse(key: &str, description: &str) -> Option<Self> {
        let names = names(description)?;
        let mut subfields: Vec<Subfield> = Vec::new();
        for name in names {
            let column = unused(&subfields, &column(key, &name));
            let ty = type_of(&name);
            subfields.push(Subfield { name, column, ty });
        }
        let place = |names: &[&str]| {
            let mut found = names.iter().filter_map(|name| {
                let is_it = |s: &Subfield| s.name.eq_ignore_ascii_case(name);
                subfields.iter().position(is_it)
            });
            found.next()
        };
        let mut roles = ROLES.map(|(_, names)| place(names));
        // `gene` of bcftools csq is a name, `Gene` of VEP an accession.
        if subfields
            .iter()
            .any(|s| s.name.eq_ignore_ascii_case("dna_change"))
        {
            roles[Role::Gene as usize] = place(&["gene"]);
            roles[Role::GeneId as usize] = None;
            // And its strand is a sign, not VEP's number.
            let mut strands = subfields.iter_mut();
            if let Some(strand) = strands.find(|s| s.name.eq_ignore_ascii_case("strand")) {
                strand.ty = SubfieldType::Text;
            }
        }
        Some(Self {
            key: key.to_owned(),
            subfields,
            roles,
        })
    }

    /// Place of the subfield of a role.
    #[must_use]
    pub fn place(&self, role: Role) -> Option<usize> {
        self.roles[role as usize]
    }

    /// The text of a role in an entry that is cut up; `None` when it is empty.
    #[must_use]
    pub fn text<'a>(&self, entry: &[&'a str], role: Role) -> Option<&'a str> {
        let text = entry.get(self.place(role)?)?;
        Some(*text).filter(|text| !text.is_empty() && *text != ".")
    }

    /// The ALT that an entry speaks of.
    ///
    /// The number of the allele tells, or its text: as it stands in the record, without the base that an indel's alleles
    /// share (VEP), or cut down to what differs (VEP `--minimal`), `-` for nothing; for `bcftools csq` the change at this
    /// very record. More than one that fits is none.
    ///
    /// The only ALT of a record is it, unless the record was of several when it was annotated and was split since
    /// (`bcftools norm -m`): then it has the entries of all of them. `all` are the entries of the record.
    #[must_use]
    pub fn alt_of(&self, entry: &[&str], record: &AnnotatedRecord<'_>, all: Spoken) -> AltOf {
        let alts = record.alts;
        if let [alt] = alts {
            return self.only_alt(entry, record, alt, all);
        }
        let number = self.text(entry, Role::AlleleNumber);
        let found = match number.and_then(|text| text.parse::<usize>().ok()) {
            Some(number) => number.checked_sub(1).filter(|place| *place < alts.len()),
            None => match self.text(entry, Role::Allele) {
                Some(allele) => only(alts, |alt| *alt == allele)
                    .or_else(|| only(alts, |alt| vep_allele(record, alt) == Some(allele)))
                    .or_else(|| only(alts, |alt| minimal(record.reference, alt) == allele))
                    .or_else(|| only(alts, |alt| symbolic(alt) == Some(allele))),
                None => self.text(entry, Role::DnaChange).and_then(|changes| {
                    only(alts, |alt| {
                        let mut changes = changes.split('+');
                        changes.any(|change| is_change(change, record, alt))
                    })
                }),
            },
        };
        found.map_or(AltOf::Any, AltOf::This)
    }

    fn only_alt(
        &self,
        entry: &[&str],
        record: &AnnotatedRecord<'_>,
        alt: &str,
        all: Spoken,
    ) -> AltOf {
        if let Some(allele) = self.text(entry, Role::Allele) {
            let is_another = are_bases(record, alt, allele) || (all.of_several && all.of_this);
            return if fits(record, alt, allele) {
                AltOf::This(0)
            } else if is_another {
                AltOf::Another
            } else if all.of_several {
                AltOf::Any
            } else {
                AltOf::This(0)
            };
        }
        // A change at this record that leads elsewhere.
        let elsewhere = |changes: &str| {
            let here = changes
                .split('+')
                .filter_map(|change| alt_of_change(change, record));
            let here: Vec<&str> = here.collect();
            !here.is_empty() && !here.contains(&alt)
        };
        match self.text(entry, Role::DnaChange).is_some_and(elsewhere) {
            true => AltOf::Another,
            false => AltOf::This(0),
        }
    }

    /// What the entries of a record of one ALT speak of.
    #[must_use]
    pub fn spoken<'a>(
        &self,
        entries: impl Iterator<Item = &'a str>,
        record: &AnnotatedRecord<'_>,
    ) -> Spoken {
        let (Some(place), [alt]) = (self.place(Role::Allele), record.alts) else {
            return Spoken::default();
        };
        let mut spoken = Spoken::default();
        let mut first = None;
        for allele in entries.filter_map(|entry| entry.split('|').nth(place)) {
            spoken.of_several |= *first.get_or_insert(allele) != allele;
            spoken.of_this |= fits(record, alt, allele);
        }
        spoken
    }
}

/// The ALT that an entry speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AltOf {
    /// This one of the record, counted from 0.
    This(usize),
    /// The entry does not tell: it may be any of the record.
    Any,
    /// None of this record: of an ALT that stood in it before it was split.
    Another,
}

/// What all entries of a record of one ALT speak of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Of more than one allele.
    of_several: bool,
    /// Of the record's ALT, some of them.
    of_this: bool,
}

/// Whether an allele is a way to write this ALT.
fn fits(record: &AnnotatedRecord<'_>, alt: &str, allele: &str) -> bool {
    alt.eq_ignore_ascii_case(allele)
        || vep_allele(record, alt) == Some(allele)
        || minimal(record.reference, alt) == allele
        || symbolic(alt) == Some(allele)
}

/// Whether a substitution of one base and an allele are bases, which are the same or another.
fn are_bases(record: &AnnotatedRecord<'_>, alt: &str, allele: &str) -> bool {
    let is_base = |text: &str| text.len() == 1 && text.bytes().all(|b| b.is_ascii_alphabetic());
    [record.reference, alt, allele].into_iter().all(is_base)
}

/// The place of the only ALT that fits.
fn only(alts: &[&str], fits: impl Fn(&&str) -> bool) -> Option<usize> {
    let mut found = alts.iter().enumerate().filter(|(_, alt)| fits(alt));
    let first = found.next().map(|(place, _)| place);
    first.filter(|_| found.next().is_none())
}

/// VEP's form of an ALT: where alleles differ in length and all but `*` begin alike, they lose their first base.
fn vep_allele<'a>(record: &AnnotatedRecord<'a>, alt: &'a str) -> Option<&'a str> {
    let real = record.alts.iter().filter(|alt| **alt != "*");
    let mut all = real.clone().chain([&record.reference]);
    let first = record.reference.get(..1)?;
    let differ = real.clone().any(|alt| alt.len() != record.reference.len());
    if alt == "*" || !differ || !all.all(|allele| allele.starts_with(first)) {
        return None;
    }
    let rest = alt.get(1..)?;
    Some(if rest.is_empty() { "-" } else { rest })
}

/// What is left of an ALT without the bases at its ends that REF has too.
fn minimal<'a>(reference: &str, alt: &'a str) -> &'a str {
    let (r, a) = (reference.as_bytes(), alt.as_bytes());
    let before = r.iter().zip(a).take_while(|(r, a)| r == a).count();
    let rest = r.len().min(a.len()) - before;
    let both = r.iter().rev().zip(a.iter().rev()).take(rest);
    let behind = both.take_while(|(r, a)| r == a).count();
    match alt.get(before..alt.len() - behind) {
        Some("") | None => "-",
        Some(middle) => middle,
    }
}

/// VEP's words for symbolic alleles.
fn symbolic(alt: &str) -> Option<&'static str> {
    Some(match alt.strip_prefix('<')?.strip_suffix('>')? {
        "DEL" => "deletion",
        "INS" => "insertion",
        "DUP" => "duplication",
        "INV" => "inversion",
        "CNV" => "copy_number_variation",
        "DUP:TANDEM" | "TDUP" => "tandem_duplication",
        _ => return None,
    })
}

/// Whether `pos ref > alt` is this record's ALT.
fn is_change(change: &str, record: &AnnotatedRecord<'_>, alt: &str) -> bool {
    alt_of_change(change, record) == Some(alt)
}

/// The ALT of `pos ref > alt` where it is a change of this record's REF.
fn alt_of_change<'a>(change: &'a str, record: &AnnotatedRecord<'_>) -> Option<&'a str> {
    let digits = change.find(|c: char| !c.is_ascii_digit())?;
    let (pos, alleles) = change.split_at(digits);
    let (reference, alt) = alleles.split_once('>')?;
    (pos.parse() == Ok(record.pos) && reference == record.reference).then_some(alt)
}

/// The names of a Format in order.
fn names(description: &str) -> Option<Vec<String>> {
    let quoted = |text: &str| {
        let mut parts = text.split('\'');
        parts.find(|part| part.contains('|')).map(str::to_owned)
    };
    let format = match find_ignoring_case(description, "format:") {
        Some(at) => {
            let text = description[at..].trim_start();
            match text.strip_prefix('\'') {
                Some(_) => quoted(text)?,
                None => text.split(['"', '\'']).next()?.to_owned(),
            }
        }
        None => quoted(description)?,
    };
    // `[*]` marks what may stand before, brackets what may be left out.
    let bare = format.replace("[*]", "").replace(['[', ']'], "");
    let mut names: Vec<String> = bare.split('|').map(|name| name.trim().to_owned()).collect();
    // A bar behind the last name (VEP's plugins leave one): what stands behind it in entries is nothing.
    if names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    let named = names.iter().all(|name| !name.is_empty());
    (names.len() > 1 && named).then_some(names)
}

/// Where a text that stands in another ends.
fn find_ignoring_case(text: &str, word: &str) -> Option<usize> {
    let at = text.to_ascii_lowercase().find(word)?;
    Some(at + word.len())
}

/// The column of a subfield: letters and digits in lower case, `_` for every run of others.
fn column(key: &str, name: &str) -> String {
    let mut column = format!("{}_", key.to_ascii_lowercase());
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => column.push(c),
            _ if column.ends_with('_') => {}
            _ => column.push('_'),
        }
    }
    column.trim_end_matches('_').to_owned()
}

fn unused(taken: &[Subfield], column: &str) -> String {
    let is_taken = |name: &str| taken.iter().any(|subfield| subfield.column == name);
    if !is_taken(column) {
        return column.to_owned();
    }
    let mut n = 2_u32;
    loop {
        let numbered = format!("{column}_{n}");
        if !is_taken(&numbered) {
            return numbered;
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const VEP: &str = "Consequence annotations from Ensembl VEP. Format: Allele|Consequence|IMPACT|SYMBOL|Gene|\
                       Feature_type|Feature|gnomADe_AFR_AF|CANONICAL|REVEL_score|LoF|LoF_flags";
    const ANN: &str = "Functional annotations: 'Allele | Annotation | Annotation_Impact | Gene_Name | Gene_ID | \
                       cDNA.pos / cDNA.length | ERRORS / WARNINGS / INFO'";
    const BCSQ: &str = "Local consequence annotation from BCFtools/csq. Format: '[*]consequence|gene|transcript|\
                        biotype[|strand|amino_acid_change|dna_change]' or, for consequences of variants split across \
                        multiple sites, a pointer to the record storing the consequences '@position'.";

    #[test]
    fn formats_name_their_subfields() {
        let columns = |key, text| {
            let format = AnnotationFormat::parse(key, text).unwrap();
            let columns = format.subfields.iter().map(|s| s.column.clone());
            columns.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            columns("CSQ", VEP),
            "csq_allele csq_consequence csq_impact csq_symbol csq_gene csq_feature_type csq_feature \
             csq_gnomade_afr_af csq_canonical csq_revel_score csq_lof csq_lof_flags"
        );
        assert_eq!(
            columns("ANN", ANN),
            "ann_allele ann_annotation ann_annotation_impact ann_gene_name ann_gene_id ann_cdna_pos_cdna_length \
             ann_errors_warnings_info"
        );
        assert_eq!(
            columns("BCSQ", BCSQ),
            "bcsq_consequence bcsq_gene bcsq_transcript bcsq_biotype bcsq_strand bcsq_amino_acid_change \
             bcsq_dna_change"
        );
        assert_eq!(columns("CSQ", "Format: A|a|B"), "csq_a csq_a_2 csq_b");
        for without in [
            "",
            "Consequence annotations",
            "Format: ",
            "Format: Allele",
            "Format: A||B",
        ] {
            assert_eq!(AnnotationFormat::parse("CSQ", without), None, "{without}");
        }
    }

    #[test]
    fn subfields_have_types_and_roles() {
        use SubfieldType::{Flag, Frequency, Integer, Numbers, Text, Texts};
        for (name, expected) in [
            ("Consequence", Texts),
            ("gnomADg_AF", Frequency),
            ("MAX_AF", Frequency),
            ("GMAF", Text),
            ("DISTANCE", Integer),
            ("CANONICAL", Flag),
            ("REVEL_score", Numbers),
            ("SIFT_converted_rankscore", Numbers),
            ("CADD_phred", Numbers),
            ("SpliceAI_pred_DS_AG", Numbers),
            ("SpliceAI_pred_DP_AG", Numbers),
            ("SpliceAI_pred_SYMBOL", Text),
            ("phyloP100way_vertebrate", Numbers),
            ("GERP++_RS", Numbers),
            ("SiPhy_29way_logOdds", Numbers),
            ("MetaSVM_pred", Texts),
            ("clinvar_clnsig", Texts),
            ("1000Gp3_AC", Numbers),
            ("gnomAD_exomes_nhomalt", Numbers),
            ("gnomAD_exomes_POPMAX_AF", Frequency),
            ("LoF", Text),
            ("LoF_filter", Texts),
            ("LoF_flags", Texts),
            ("LoF_info", Texts),
            ("HGVSp", Text),
        ] {
            assert_eq!(type_of(name), expected, "{name}");
        }
        let vep = AnnotationFormat::parse("CSQ", VEP).unwrap();
        assert_eq!(vep.place(Role::Gene), Some(3));
        assert_eq!(vep.place(Role::GeneId), Some(4));
        let ann = AnnotationFormat::parse("ANN", ANN).unwrap();
        assert_eq!(ann.place(Role::Consequence), Some(1));
        assert_eq!(ann.place(Role::GeneId), Some(4));
        let bcsq = AnnotationFormat::parse("BCSQ", BCSQ).unwrap();
        assert_eq!(bcsq.place(Role::Gene), Some(1));
        assert_eq!(bcsq.place(Role::GeneId), None);
        assert_eq!(bcsq.place(Role::Feature), Some(2));
    }

    #[test]
    fn entries_find_their_allele() {
        let vep = AnnotationFormat::parse("CSQ", VEP).unwrap();
        let bcsq = AnnotationFormat::parse("BCSQ", BCSQ).unwrap();
        let of = |reference: &str, alts: &[&str], allele: &str| {
            let record = AnnotatedRecord {
                pos: 10,
                reference,
                alts,
            };
            match vep.alt_of(&[allele, "x"], &record, Spoken::default()) {
                AltOf::This(place) => Some(place),
                AltOf::Any => None,
                AltOf::Another => panic!("{alts:?} {allele}"),
            }
        };
        for (reference, alts, allele, expected) in [
            ("A", &["G"][..], "anything", Some(0)),
            ("A", &["G", "T"], "T", Some(1)),
            ("A", &["AT", "ATT"], "T", Some(0)),
            ("A", &["AT", "ATT"], "TT", Some(1)),
            ("AT", &["A", "ATT"], "-", Some(0)),
            ("AT", &["A", "*"], "-", Some(0)),
            ("AT", &["A", "*"], "*", Some(1)),
            ("ATG", &["CTG", "ATGA"], "C", Some(0)),
            ("ATG", &["A", "<DEL>"], "deletion", Some(1)),
            ("A", &["G", "T"], "C", None),
            // Both are a G where REF has something else.
            ("AT", &["GT", "AG"], "G", None),
        ] {
            assert_eq!(
                of(reference, alts, allele),
                expected,
                "{reference} {alts:?} {allele}"
            );
        }
        let numbered = AnnotationFormat::parse("CSQ", "Format: Allele|ALLELE_NUM").unwrap();
        let record = AnnotatedRecord {
            pos: 10,
            reference: "AT",
            alts: &["GT", "AG"],
        };
        let none = Spoken::default();
        assert_eq!(numbered.alt_of(&["G", "2"], &record, none), AltOf::This(1));
        assert_eq!(numbered.alt_of(&["G", "3"], &record, none), AltOf::Any);
        let bcsq_entry = |dna| ["missense", "G", "T", "b", "+", "1A>1B", dna];
        let change = |dna| bcsq.alt_of(&bcsq_entry(dna), &record, none);
        assert_eq!(change("10AT>AG"), AltOf::This(1));
        assert_eq!(change("7C>T+10AT>GT"), AltOf::This(0));
        assert_eq!(change("11AT>GT"), AltOf::Any);
        // The same, split.
        let split = AnnotatedRecord {
            alts: &["GT"],
            ..record
        };
        let change = |dna| bcsq.alt_of(&bcsq_entry(dna), &split, none);
        assert_eq!(change("10AT>AG"), AltOf::Another);
        assert_eq!(change("7C>T+10AT>GT"), AltOf::This(0));
        assert_eq!(change("11AT>GT"), AltOf::This(0));
    }

    #[test]
    fn entries_of_the_alts_that_a_record_was_split_from_are_of_another() {
        let vep = AnnotationFormat::parse("CSQ", "Format: Allele|X|ALLELE_NUM").unwrap();
        let of = |reference: &str, alt: &str, alleles: &[&str]| -> Vec<AltOf> {
            let alts = [alt];
            let record = AnnotatedRecord {
                pos: 10,
                reference,
                alts: &alts,
            };
            let entries: Vec<String> = alleles.iter().map(|a| format!("{a}|x|3")).collect();
            let all = vep.spoken(entries.iter().map(String::as_str), &record);
            let cut = |entry: &String| {
                let cut: Vec<&str> = entry.split('|').collect();
                vep.alt_of(&cut, &record, all)
            };
            entries.iter().map(cut).collect()
        };
        use AltOf::{Another, Any, This};
        // A>G,T split; a base is another whether its own entry is there or not.
        assert_eq!(of("A", "T", &["G", "T"]), [Another, This(0)]);
        assert_eq!(of("A", "T", &["G"]), [Another]);
        assert_eq!(of("A", "g", &["G"]), [This(0)]);
        // AT>A,ATT,GT split.
        assert_eq!(
            of("AT", "A", &["-", "TT", "GT"]),
            [This(0), Another, Another]
        );
        assert_eq!(of("A", "AT", &["-", "TT"]), [Any, Any]);
        // Whatever the only allele is called.
        assert_eq!(of("A", "AT", &["insT", "insT"]), [This(0), This(0)]);
        assert_eq!(of("A", "<DEL>", &["deletion"]), [This(0)]);
    }
}
