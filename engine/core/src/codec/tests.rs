//! Tests of the codec against a model that keeps every call as text.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;
use crate::codec::counted::CohortCounts;
use crate::error::Error;
use crate::genotype::{CallClass, Genotype};

/// One record of one block: a text for each sample.
#[derive(Debug, Clone)]
struct Record {
    default: DefaultCall,
    n_alts: u16,
    calls: Vec<String>,
}

impl Record {
    fn n_samples(&self) -> u32 {
        u32::try_from(self.calls.len()).unwrap()
    }

    /// The blob of an ALT, or `None` when the row is all default.
    fn encode(&self, encoder: &mut RecordEncoder, alt: u16) -> (EncodedRow, Option<Vec<u8>>) {
        encoder.begin(self.n_samples(), self.n_alts, self.default);
        for (sample, text) in (0u32..).zip(&self.calls) {
            if text != self.default.text() || sample % 3 == 0 {
                encoder.call(sample, text.as_bytes()).unwrap();
            }
        }
        let mut blob = vec![0xee];
        let row = encoder.finish(alt, &mut blob);
        assert_eq!(row.is_default, blob.len() == 1);
        blob.remove(0);
        (row, (!row.is_default).then_some(blob))
    }

    fn counts(&self, alt: u16, keep: impl Fn(u32) -> bool) -> AlleleCounts {
        let mut counts = AlleleCounts::default();
        for (_, text) in (0u32..).zip(&self.calls).filter(|(s, _)| keep(*s)) {
            let gt = Genotype::parse(text.as_bytes()).unwrap();
            counts.n_samples += 1;
            counts.ac += i32::from(gt.dosage(alt).unwrap_or(0));
            counts.an += i32::try_from(gt.alleles.iter().flatten().count()).unwrap();
            counts.n_het += i32::from(gt.is_het(alt));
            counts.n_hom_alt += i32::from(gt.is_hom_alt(alt));
            counts.n_missing += i32::from(gt.is_missing());
        }
        counts
    }
}

fn text_of(call: &CallRef<'_>) -> String {
    let mut text = Vec::new();
    call.write_text(&mut text);
    String::from_utf8(text).unwrap()
}

/// Everything a row answers must be what the texts say.
fn check(record: &Record, alt: u16, mask: &SampleMask) {
    let (encoded, blob) = record.encode(&mut RecordEncoder::new(), alt);
    let row = match &blob {
        Some(blob) => GenotypeRow::parse(blob).unwrap(),
        None => GenotypeRow::of_default(record.n_samples(), record.default),
    };
    let all = record.counts(alt, |_| true);
    assert_eq!(encoded.counts, all);
    assert_eq!(row.counts(), all);
    assert_eq!(row.counts_in(&SampleMask::all(record.n_samples())), all);
    assert_eq!(
        row.counts_in(mask),
        record.counts(alt, |s| mask.contains(s))
    );
    if let Some(listed) = blob.as_ref().and_then(|b| CohortCounts::of_listed(b, mask)) {
        assert_eq!(listed, CohortCounts::of(&row, Some(mask)));
    }
    check_calls(record, alt, &row, mask);
    check_single(record, alt, &row);
}

#[test]
fn a_default_row_may_be_written() {
    for number in 1..=6 {
        let default = DefaultCall::from_u8(number).unwrap();
        let mut blob = Vec::new();
        write_default(70, default, 3, &mut blob);
        let row = GenotypeRow::parse(&blob).unwrap();
        assert_eq!((row.alt_index(), row.default_call()), (3, default));
        assert_eq!(row.counts(), GenotypeRow::of_default(70, default).counts());
    }
    let mut blob = Vec::new();
    write_default(70, DefaultCall::None, 1, &mut blob);
    assert!(blob.is_empty());
}

/// The classes of the samples, those that a row names and the default's of all others.
fn check_classes(record: &Record, alt: u16, row: &GenotypeRow<'_>) {
    let mut named = vec![None; record.calls.len()];
    row.for_each_unlike(|sample, class, dosage| {
        let before = named[sample as usize].replace((class, dosage));
        assert_eq!(before, None, "sample {sample} came twice");
    });
    let class_of = |text: &str| {
        let gt = Genotype::parse(text.as_bytes()).unwrap();
        let dosage = gt.tally(alt).copies;
        (CallClass::of(gt.alleles).unwrap(), dosage)
    };
    for (text, named) in record.calls.iter().zip(named) {
        let default = record.default.text();
        let got = named.unwrap_or_else(|| class_of(default));
        assert_eq!(got, class_of(text), "{text} of default {default}");
    }
}

fn check_calls(record: &Record, alt: u16, row: &GenotypeRow<'_>, mask: &SampleMask) {
    check_classes(record, alt, row);
    let mut texts = Vec::new();
    row.for_each_call(None, |sample, call| {
        let text = text_of(&call);
        let gt = Genotype::parse(text.as_bytes()).unwrap();
        assert_eq!(call.alleles().collect::<Vec<_>>(), gt.alleles, "{text}");
        assert_eq!(call.dosage(), gt.dosage(alt), "{text}");
        assert_eq!(call.phased(), gt.is_phased(), "{text}");
        assert_eq!(call.is_missing(), gt.is_missing(), "{text}");
        assert_eq!(call.tally(), gt.tally(alt), "{text}");
        assert_eq!(sample as usize, texts.len());
        texts.push(text);
    });
    assert_eq!(texts, record.calls);
    let mut masked = Vec::new();
    row.for_each_call(Some(mask), |sample, call| {
        masked.push((sample, text_of(&call)))
    });
    let expected = mask.iter().map(|s| (s, record.calls[s as usize].clone()));
    assert_eq!(masked, expected.collect::<Vec<_>>());
    let mut differing = Vec::new();
    row.for_each_difference(|sample, call| differing.push((sample, text_of(&call))));
    let unlike = (0u32..).zip(record.calls.iter().cloned());
    let unlike = unlike.filter(|(_, text)| text != record.default.text());
    assert_eq!(differing, unlike.collect::<Vec<_>>());
    let mut carriers = Vec::new();
    row.for_each_carrier(|sample, dosage| carriers.push((sample, dosage)));
    let dosages = (0u32..).zip(&record.calls).map(|(sample, text)| {
        (
            sample,
            Genotype::parse(text.as_bytes())
                .unwrap()
                .dosage(alt)
                .unwrap_or(0),
        )
    });
    assert_eq!(
        carriers,
        dosages.filter(|(_, d)| *d > 0).collect::<Vec<_>>()
    );
}

fn check_single(record: &Record, alt: u16, row: &GenotypeRow<'_>) {
    let n = record.n_samples();
    let step = (n / 40).max(1) as usize;
    for sample in (0..n).step_by(step) {
        let gt = Genotype::parse(record.calls[sample as usize].as_bytes()).unwrap();
        assert_eq!(row.dosage(sample), gt.dosage(alt));
        assert_eq!(row.genotype(sample), Some(gt));
    }
    assert_eq!(row.genotype(n), None);
}

fn bytes_of(record: &Record, alt: u16) -> Vec<u8> {
    record.encode(&mut RecordEncoder::new(), alt).1.unwrap()
}

fn record(default: DefaultCall, n_alts: u16, calls: &[&str]) -> Record {
    Record {
        default,
        n_alts,
        calls: calls.iter().map(|c| (*c).to_owned()).collect(),
    }
}

/// `n` samples with the default call, but those named.
fn sparse(default: DefaultCall, n: usize, named: &[(usize, &str)]) -> Record {
    let mut calls = vec![default.text().to_owned(); n];
    for (sample, text) in named {
        calls[*sample] = (*text).to_owned();
    }
    Record {
        default,
        n_alts: 3,
        calls,
    }
}

#[test]
fn golden_bytes() {
    use DefaultCall::{Haploid, Missing, Phased, Unphased};
    // The worked example of the module.
    let example = record(Unphased, 2, &["0/0", "0/1", "./.", "1|1", "0/2", "1"]);
    let bytes = [
        0x01, 0xaa, 0x29, 0x06, 0x01, 0x28, 0x0a, 0x04, 0x08, 0x20, 0x01, 0x09, 0x02,
    ];
    assert_eq!(bytes_of(&example, 1), bytes);
    // A singleton in 4,096 phased samples: haplotype 2001 as one gap.
    let singleton = sparse(Phased, 4096, &[(1000, "0|1")]);
    assert_eq!(
        bytes_of(&singleton, 1),
        [0x01, 0x01, 0x02, 0x80, 0x20, 0x01, 0x02, 0xd1, 0x0f]
    );
    // A missing sample and a half call among 4,096.
    let missing = sparse(Unphased, 4096, &[(2, "./."), (130, "./1")]);
    assert_eq!(
        bytes_of(&missing, 1),
        [
            0x01, 0x04, 0x41, 0x80, 0x20, 0x01, 0x01, 0x02, 0x06, 0x82, 0x01, 0x03, b'.', b'/',
            b'1'
        ]
    );
    // One called sample where nobody else is; a diploid one among haploid ones.
    let called = sparse(Missing, 100, &[(7, "0/0")]);
    assert_eq!(
        bytes_of(&called, 1),
        [0x01, 0x04, 0x04, 100, 0x01, 0x01, 0x07]
    );
    let diploid = sparse(Haploid, 100, &[(7, "0/1")]);
    assert_eq!(
        bytes_of(&diploid, 1),
        [0x01, 0x41, 0x03, 100, 0x01, 0x01, 0x0f, 0x01, 0x07]
    );
    // Two other ALTs, seen from the row of ALT 1.
    let others = sparse(Unphased, 100, &[(1, "0/2"), (2, "3/1")]);
    assert_eq!(
        bytes_of(&others, 1),
        [
            0x01, 0x01, 0x09, 100, 0x01, 0x01, 0x05, 0x02, 0x03, 0x00, 0x02, 0x02, 0x03
        ]
    );
}

#[test]
fn every_text_round_trips_under_every_default() {
    use DefaultCall::{Haploid, Missing, MissingHaploid, MissingPhased, Phased, Unphased};
    let texts = [
        "0/0", "0|0", "0", "./.", ".|.", ".", "0/1", "1/0", "0|1", "1|0", "1/1", "1|1", "1", "2",
        "0/2", "2|0", "1/2", "2|1", "2/3", "./1", "1|.", ".|0", "0/0/1", "1|1|1", "./././.",
        "/0|1", "|0/1", "/1", "|.", "0/3", "3",
    ];
    for default in [
        Unphased,
        Phased,
        Haploid,
        Missing,
        MissingPhased,
        MissingHaploid,
    ] {
        for n in [1usize, 31, 63, 64, 65, 300] {
            let calls = (0..n).map(|i| texts[(i * 7) % texts.len()].to_owned());
            let record = Record {
                default,
                n_alts: 3,
                calls: calls.collect(),
            };
            let mask = SampleMask::from_indices(record.n_samples(), (0..400).step_by(3));
            for alt in 0..=3 {
                check(&record, alt, &mask);
            }
            for text in texts {
                let one = Record {
                    default,
                    n_alts: 3,
                    calls: vec![text.to_owned(); n],
                };
                check(&one, 1, &mask);
            }
        }
    }
}

#[test]
fn a_row_without_gt_has_no_calls() {
    let row = GenotypeRow::of_default(3, DefaultCall::None);
    assert_eq!(
        row.counts(),
        AlleleCounts {
            n_samples: 3,
            ..AlleleCounts::default()
        }
    );
    assert_eq!((row.genotype(0), row.dosage(0)), (None, None));
    let mut n = 0;
    row.for_each_call(None, |_, call| {
        assert!(!call.has_gt() && !call.phased() && text_of(&call).is_empty());
        n += 1;
    });
    assert_eq!(n, 3);
    let mut encoder = RecordEncoder::new();
    encoder.begin(3, 1, DefaultCall::None);
    assert!(encoder.call(0, b"0/0").is_err());
    assert!(encoder.finish(1, &mut Vec::new()).is_default);
}

#[test]
fn an_allele_that_the_record_lacks_is_called_and_counts_for_no_alt() {
    for (n_alts, alt_index) in [(0, 0), (1, 1)] {
        let calls = ["0/2", "2|2", "3", "0/0/2", "0/0"];
        let mut encoder = RecordEncoder::new();
        encoder.begin(5, n_alts, DefaultCall::Unphased);
        for (sample, call) in (0..).zip(calls) {
            encoder.call(sample, call.as_bytes()).unwrap();
        }
        let mut blob = Vec::new();
        let row = encoder.finish(alt_index, &mut blob);
        assert_eq!((row.counts.ac, row.counts.an), (0, 10));
        assert_eq!(
            (row.counts.n_het, row.counts.n_hom_alt, row.counts.n_missing),
            (0, 0, 0)
        );
        let parsed = GenotypeRow::parse(&blob).unwrap();
        for (sample, call) in (0..).zip(calls) {
            assert_eq!(parsed.genotype(sample).unwrap().to_string(), call);
        }
    }
}

#[test]
fn calls_that_break_the_rules_are_refused() {
    let mut encoder = RecordEncoder::new();
    encoder.begin(3, 1, DefaultCall::Unphased);
    assert!(matches!(
        encoder.call(0, b"0//1"),
        Err(Error::Genotype { .. })
    ));
    assert!(matches!(
        encoder.call(3, b"0/1"),
        Err(Error::SampleIndex { .. })
    ));
    encoder.call(1, b"0/1").unwrap();
    assert!(matches!(
        encoder.call(1, b"0/1"),
        Err(Error::SampleIndex { .. })
    ));
    assert_eq!(encoder.finish(1, &mut Vec::new()).counts.ac, 1);
}

#[test]
fn carriers_among_diploid_calls_are_counted_without_a_row() {
    let mask = SampleMask::from_indices(300, [0, 2, 3, 200, 299]);
    let calls = [(0, "1/1"), (1, "1/1"), (2, "1/0"), (3, "0/1"), (299, "0/1")];
    let listed = |record: &Record| {
        let blob = bytes_of(record, 1);
        CohortCounts::of_listed(&blob, &mask)
    };
    let counts = listed(&sparse(DefaultCall::Phased, 300, &calls.map(phased))).unwrap();
    assert_eq!(
        (counts.alleles.ac, counts.alleles.an, counts.genotypes),
        (5, 10, 5)
    );
    assert_eq!((counts.alleles.n_het, counts.alleles.n_hom_alt), (3, 1));
    // Half a call, a haploid one, a missing one, another ALT: they need the row.
    for other in ["./1", "1", "./.", "0/2"] {
        let record = sparse(DefaultCall::Unphased, 300, &[(7, other), (9, "0/1")]);
        assert_eq!(listed(&record), None, "{other}");
    }
    assert_eq!(
        listed(&sparse(DefaultCall::Haploid, 300, &[(7, "1")])),
        None
    );
    let other_size = sparse(DefaultCall::Phased, 301, &[(7, "0|1")]);
    assert_eq!(listed(&other_size), None);
}

fn phased((sample, call): (usize, &'static str)) -> (usize, &'static str) {
    match call {
        "1/1" => (sample, "1|1"),
        "1/0" => (sample, "1|0"),
        _ => (sample, "0|1"),
    }
}

#[test]
fn masks_of_another_size_are_cut_to_the_block() {
    let one = sparse(DefaultCall::Unphased, 70, &[(69, "0/1"), (3, "1")]);
    let blob = bytes_of(&one, 1);
    let row = GenotypeRow::parse(&blob).unwrap();
    assert_eq!(row.counts_in(&SampleMask::all(500)), row.counts());
    assert_eq!(row.counts_in(&SampleMask::all(4)), one.counts(1, |s| s < 4));
}

/// A text drawn by weight: mostly `common`, some missing, some of anything.
fn call_text(
    common: &'static str,
    n_alts: u16,
    missing: u32,
    carrying: u32,
    odd: u32,
) -> impl Strategy<Value = String> {
    let allele = move || prop_oneof![3 => Just(0u16), 3 => 1..=n_alts];
    let any_allele = move || {
        prop_oneof![
            3 => (0..=n_alts).prop_map(|a| a.to_string()),
            1 => Just(".".to_owned())
        ]
    };
    let polyploid = (
        prop::collection::vec((any_allele(), any::<bool>()), 1..6),
        any::<bool>(),
    );
    prop_oneof![
        100 => Just(common.to_owned()),
        missing => prop_oneof![Just("./."), Just(".|."), Just(".")].prop_map(str::to_owned),
        carrying => (allele(), any::<bool>(), allele())
            .prop_map(|(a, p, b)| format!("{a}{}{b}", if p { '|' } else { '/' })),
        odd => allele().prop_map(|a| a.to_string()),
        odd => polyploid.prop_map(|(alleles, prefix)| {
            let mut text = String::new();
            for (i, (allele, phased)) in alleles.iter().enumerate() {
                if i > 0 || prefix {
                    text.push(if *phased { '|' } else { '/' });
                }
                text.push_str(allele);
            }
            text
        }),
    ]
}

fn any_record(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Record> {
    let weight = || prop_oneof![Just(0u32), Just(2), Just(60), Just(1000)];
    let shape = (1u8..=6, 1u16..300, weight(), weight(), weight(), sizes);
    shape.prop_flat_map(|(default, n_alts, missing, carrying, odd, n)| {
        let default = DefaultCall::from_u8(default).unwrap();
        let call = call_text(default.text(), n_alts, missing, carrying, odd);
        prop::collection::vec(call, n).prop_map(move |calls| Record {
            default,
            n_alts,
            calls,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn small_blocks_round_trip(record in any_record(1..200), seed: u64, alt in 0u16..4) {
        let keep = |s: &u32| seed.rotate_left(*s % 64) & 3 == 1;
        let mask = SampleMask::from_indices(record.n_samples(), (0..record.n_samples()).filter(keep));
        check(&record, alt.min(record.n_alts), &mask);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn large_blocks_round_trip(record in any_record(1000..9000), step in 1usize..50) {
        let mask = SampleMask::from_indices(record.n_samples(), (0..record.n_samples()).step_by(step));
        check(&record, 1, &mask);
    }
}

/// Reads everything there is to read; used on damaged bytes, where it must merely end.
fn read_all(bytes: &[u8]) {
    drive_genotype_row(bytes);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        read_all(&bytes);
        let mut framed = vec![1];
        framed.extend(&bytes);
        read_all(&framed);
    }

    #[test]
    fn damaged_bytes_never_panic(record in any_record(1..100), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut: prop::sample::Index) {
        if let (_, Some(blob)) = record.encode(&mut RecordEncoder::new(), 1) {
            let mut damaged = blob.clone();
            for (at, byte) in flips {
                let at = at.index(damaged.len());
                damaged[at] ^= byte;
            }
            read_all(&damaged);
            read_all(&blob[..cut.index(blob.len())]);
        }
    }
}
