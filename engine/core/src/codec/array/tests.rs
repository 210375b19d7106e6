//! Tests of the FORMAT array blob against the texts it was made of.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn encode(kind: ArrayKind, texts: &[&str]) -> Option<Vec<u8>> {
    let mut encoder = ArrayEncoder::new();
    encoder.begin(kind, u32::try_from(texts.len()).unwrap());
    for (sample, text) in (0u32..).zip(texts) {
        encoder.push_text(sample, text.as_bytes());
    }
    let mut blob = Vec::new();
    encoder.finish(&mut blob).then_some(blob)
}

fn texts_of(row: &ArrayRow<'_>) -> Vec<String> {
    let texts = (0..row.n_samples()).map(|sample| {
        let mut text = Vec::new();
        row.write_text(sample, &mut text);
        String::from_utf8(text).unwrap()
    });
    texts.collect()
}

/// What a text reads back as: the empty one and `.` are absent.
fn plain(text: &str) -> String {
    if text.is_empty() {
        ".".to_owned()
    } else {
        text.to_owned()
    }
}

#[test]
fn golden_bytes() {
    use ArrayKind::{Float, Integer, Text};
    // The worked example of the module.
    let example = [2, 0x20, 3, 0x05, 2, 1, 0, 12, 0x2c, 0, 1, 0, 5, 0];
    assert_eq!(encode(Integer, &["12,0", ".", "300,5"]).unwrap(), example);
    for (kind, texts, expected) in [
        (
            Integer,
            &["30", "0", "."][..],
            vec![2, 0x00, 3, 1, 0, 30, 0, 0xff, 0],
        ),
        (
            Integer,
            &["-5", "7"],
            vec![2, 0x00, 2, 1, 1, 0xfb, 7, 0xff, 0, 0],
        ),
        (
            Integer,
            &["100000"],
            vec![2, 0x00, 1, 1, 2, 0xa0, 0x86, 1, 0, 0],
        ),
        (
            Integer,
            &["1", "2,3"],
            vec![1, 0x10, 2, 0, 0, 0, 0, 0, 1, 2, 1, 2, 3, 0],
        ),
        (
            Float,
            &["1.5", "."],
            vec![2, 0x01, 2, 1, 2, 0, 1, 0, 0, 0xc0, 0x80, 0x3f, 0x7f, 0],
        ),
        (
            Text,
            &["PASS", "q10"],
            b"\x01\x12\x02\0\0\0\0\0\x04\x03PASSq10".to_vec(),
        ),
        (
            Text,
            &["ab", ".", "cd"],
            b"\x01\x22\x03\x05\x02abcd".to_vec(),
        ),
    ] {
        assert_eq!(encode(kind, texts).unwrap(), expected, "{texts:?}");
    }
    assert_eq!(encode(Integer, &[".", ""]), None);
}

/// Forty samples: a plane of nearly one value costs its value and an escape for each other one.
#[test]
fn golden_bytes_of_a_plane_of_one_value() {
    let mut texts = vec!["0"; 40];
    texts[7] = "12";
    let blob = encode(ArrayKind::Integer, &texts).unwrap();
    let expected = [2, 0, 40, 1, 3, 0, 0, 0, 0, 1, 7, 0, 0, 0, 12, 0, 0, 0];
    assert_eq!(blob, expected);
    let row = ArrayRow::parse(&blob).unwrap();
    assert_eq!(
        (row.integer_scalar(7), row.integer_scalar(8)),
        (Some(12), Some(0))
    );
}

/// Blobs of version 1 that today's writer makes as version 2.
#[test]
fn golden_bytes_of_version_1_are_still_read() {
    for (blob, expected) in [
        (
            &[1, 0x24, 3, 0x05, 2, 12, 0, 0, 0, 0x2c, 1, 5, 0, 0][..],
            &["12,0", ".", "300,5"][..],
        ),
        (&[1, 0x00, 3, 1, 30, 0, 0xff, 0], &["30", "0", "."]),
        (&[1, 0x04, 2, 1, 0xfb, 0xff, 7, 0, 0], &["-5", "7"]),
        (&[1, 0x08, 1, 1, 0xa0, 0x86, 1, 0], &["100000"]),
        (
            &[1, 0x00, 2, 1, 20, 0xfe, 1, 1, 0, 0, 0, 0x2c, 1, 0, 0],
            &["20", "300"],
        ),
        (&[1, 0x29, 2, 0x01, 1, 0, 0, 0xc0, 0x3f], &["1.5", "."]),
    ] {
        assert_eq!(texts_of(&ArrayRow::parse(blob).unwrap()), expected);
    }
}

fn encode_given(relation: Relation, base: &[u8], texts: &[&str]) -> Option<Vec<u8>> {
    let mut encoder = ArrayEncoder::new();
    encoder.begin(ArrayKind::Integer, u32::try_from(texts.len()).unwrap());
    for (sample, text) in (0u32..).zip(texts) {
        encoder.push_text(sample, text.as_bytes());
    }
    let mut blob = Vec::new();
    let base = ArrayRow::parse(base).unwrap();
    encoder
        .finish_given(relation, &base, &mut blob)
        .then_some(blob)
}

#[test]
fn golden_bytes_of_relations() {
    let depth = encode(ArrayKind::Integer, &["30", "31", "."]).unwrap();
    let depths = ["30,0", "15,14", "0,0"];
    let blob = encode_given(Relation::RestOfBase, &depth, &depths).unwrap();
    // 30 - 0 - 30 = 0, 31 - 14 - 15 = 2, 0 - 0 - 0 = 0.
    assert_eq!(blob, [2, 0x40, 3, 2, 0, 0, 0, 2, 0, 0, 14, 0, 0]);
    let row = ArrayRow::parse_given(&blob, Some(&depth)).unwrap();
    assert_eq!(texts_of(&row), depths);

    // The example of docs/storage-format.md.
    let depth = encode(ArrayKind::Integer, &["12", ".", "305"]).unwrap();
    let blob = encode_given(Relation::RestOfBase, &depth, &["12,0", ".", "300,5"]).unwrap();
    assert_eq!(blob, [2, 0x60, 3, 5, 2, 0, 0, 0, 0, 0, 5, 0]);

    let quality = encode(ArrayKind::Integer, &["60", "99", "."]).unwrap();
    let likelihoods = ["0,60,9", "0,103,9", "."];
    let blob = encode_given(Relation::AboveBase, &quality, &likelihoods).unwrap();
    assert_eq!(blob, [2, 0xa0, 3, 0x03, 3, 0, 0, 0, 0, 0, 0, 4, 9, 9, 0]);
    let row = ArrayRow::parse_given(&blob, Some(&quality)).unwrap();
    assert_eq!(texts_of(&row), likelihoods);
}

#[test]
fn a_related_blob_is_not_read_without_its_base() {
    let depth = encode(ArrayKind::Integer, &["30", "31"]).unwrap();
    let blob = encode_given(Relation::RestOfBase, &depth, &["30,0", "16,15"]).unwrap();
    let refused = |base: Option<&[u8]>| {
        let error = ArrayRow::parse_given(&blob, base).unwrap_err();
        error.to_string()
    };
    assert!(refused(None).contains("not there"), "{}", refused(None));
    let three = encode(ArrayKind::Integer, &["30", "31", "32"]).unwrap();
    let pairs = encode(ArrayKind::Integer, &["30,1", "31,1"]).unwrap();
    let texts = encode(ArrayKind::Text, &["30", "31"]).unwrap();
    for base in [&three, &pairs, &texts, &blob] {
        assert!(refused(Some(base)).contains("does not fit"));
    }
    // One that stands alone takes any base, or none.
    assert!(ArrayRow::parse_given(&depth, Some(&texts)).is_ok());
}

/// A relation that would cost bits, or meet a reserved number, is not used.
#[test]
fn a_relation_is_used_only_when_it_pays() {
    for (base, texts) in [
        (["1000", "2000"], ["1,1", "2,2"]),
        (["-1", "5"], ["2147483647,0", "5,0"]),
    ] {
        let base = encode(ArrayKind::Integer, &base).unwrap();
        let blob = encode_given(Relation::RestOfBase, &base, &texts).unwrap();
        let row = ArrayRow::parse(&blob).unwrap();
        assert_eq!(
            (row.relation(), texts_of(&row)),
            (Relation::Alone, texts.map(str::to_owned).to_vec())
        );
    }
}

#[test]
fn a_few_large_values_are_escaped() {
    let mut texts = ["20", "21"].repeat(50);
    texts[40] = "300";
    texts[99] = "-7";
    let blob = encode(ArrayKind::Integer, &texts).unwrap();
    assert_eq!(blob.len(), 5 + 100 + 1 + 16);
    let row = ArrayRow::parse(&blob).unwrap();
    assert_eq!(row.integer_scalar(40), Some(300));
    assert_eq!(row.integer_scalar(99), Some(-7));
    assert_eq!(row.integer_scalar(98), Some(20));
    assert_eq!(row.integer_scalar(100), None);
}

#[test]
fn what_does_not_fit_falls_back_to_text_for_all() {
    for (kind, text) in [
        (ArrayKind::Integer, "12x"),
        (ArrayKind::Integer, "1e3"),
        (ArrayKind::Integer, "+5"),
        (ArrayKind::Integer, "1,,2"),
        (ArrayKind::Integer, "2147483648"),
        (ArrayKind::Integer, "-2147483648"),
        (ArrayKind::Integer, "99999999999999999999"),
        (ArrayKind::Integer, "-"),
        (ArrayKind::Float, "1.5x"),
        (ArrayKind::Float, "1,"),
        (ArrayKind::Float, "1e99"),
        (ArrayKind::Float, "0x10"),
    ] {
        let mut encoder = ArrayEncoder::new();
        encoder.begin(kind, 4);
        assert!(encoder.push_text(0, b"7,."));
        assert!(!encoder.push_text(2, text.as_bytes()), "{text}");
        assert!(encoder.push_text(3, b"8"));
        let mut blob = Vec::new();
        assert!(encoder.finish(&mut blob));
        let row = ArrayRow::parse(&blob).unwrap();
        assert_eq!(row.kind(), ArrayKind::Text);
        assert_eq!(texts_of(&row), ["7,.", ".", text, "8"]);
        assert_eq!(row.values(2), ArrayValue::Text(text.as_bytes()));
        assert_eq!(row.integer_scalar(3), None);
    }
}

#[test]
fn absent_and_missing_values_differ() {
    let blob = encode(ArrayKind::Integer, &[".", ".,.", "", "1,."]).unwrap();
    let row = ArrayRow::parse(&blob).unwrap();
    assert_eq!(row.values(0), ArrayValue::Absent);
    assert_eq!(row.values(1), ArrayValue::Integers(vec![None, None]));
    assert_eq!(row.values(2), ArrayValue::Absent);
    assert_eq!(row.values(3), ArrayValue::Integers(vec![Some(1), None]));
    assert_eq!(texts_of(&row), [".", ".,.", ".", "1,."]);
    assert_eq!(row.values(4), ArrayValue::Absent);
}

#[test]
fn floats_print_so_that_they_read_back() {
    for (text, expected) in [
        ("0.1", "0.1"),
        ("0.10", "0.1"),
        ("1e-3", "0.001"),
        ("1e-30", "1e-30"),
        ("3.4028235e38", "3.4028235e38"),
        ("-0", "-0"),
        ("1e5", "100000"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+2", "2"),
        ("nan", "nan"),
        ("NaN", "nan"),
        ("inf", "inf"),
        ("-Inf", "-inf"),
        ("INFINITY", "inf"),
        ("16777217", "16777216"),
    ] {
        let blob = encode(ArrayKind::Float, &[text]).unwrap();
        let row = ArrayRow::parse(&blob).unwrap();
        assert_eq!(
            (row.kind(), texts_of(&row)),
            (ArrayKind::Float, vec![expected.to_owned()])
        );
    }
}

fn integer_text() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => (0i32..254).prop_map(|v| v.to_string()),
        3 => (-40_000i32..40_000).prop_map(|v| v.to_string()),
        1 => (LEAST_I32..=i32::MAX).prop_map(|v| v.to_string()),
        4 => Just(".".to_owned()),
    ]
}

fn joined(
    value: impl Strategy<Value = String>,
    counts: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = String> {
    prop::collection::vec(value, counts).prop_map(|values| values.join(","))
}

/// Integers of one count for all or of any, some samples absent.
fn integer_texts() -> impl Strategy<Value = Vec<String>> {
    let counts = prop_oneof![Just(1..=1usize), Just(2..=2), Just(3..=3), Just(1..=5)];
    (counts, 0u32..20, 1usize..300).prop_flat_map(|(counts, absent, n)| {
        let text = prop_oneof![
            absent => Just(String::new()),
            10 => joined(integer_text(), counts),
        ];
        prop::collection::vec(text, n)
    })
}

proptest! {
    #[test]
    fn integers_round_trip(texts in integer_texts()) {
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let expected: Vec<String> = texts.iter().map(|t| plain(t)).collect();
        let Some(blob) = encode(ArrayKind::Integer, &borrowed) else {
            prop_assert!(expected.iter().all(|t| t == "."));
            return Ok(());
        };
        let row = ArrayRow::parse(&blob).unwrap();
        prop_assert_eq!(row.kind(), ArrayKind::Integer);
        prop_assert_eq!(&texts_of(&row), &expected);
        for (sample, text) in (0u32..).zip(&expected) {
            prop_assert_eq!(row.integer_scalar(sample), text.parse::<i32>().ok());
            let mut values = Vec::new();
            let n = row.for_each_integer(sample, |v| values.push(v));
            prop_assert_eq!(n, values.len());
            match row.values(sample) {
                ArrayValue::Absent => prop_assert!(text == "." && n == 0),
                other => prop_assert_eq!(other, ArrayValue::Integers(values)),
            }
        }
    }

    /// Whatever the base holds, a related blob reads back as its texts.
    #[test]
    fn related_integers_round_trip(
        rows in (1usize..=4, 1usize..200).prop_flat_map(|(count, n)| {
            let text = prop_oneof![9 => joined(integer_text(), count..=count), 1 => Just(".".to_owned())];
            prop::collection::vec((integer_text(), text), n)
        }),
        follows: bool,
        relation in prop_oneof![Just(Relation::RestOfBase), Just(Relation::AboveBase)],
    ) {
        let base: Vec<&str> = rows.iter().map(|(base, _)| base.as_str()).collect();
        // As real files have it: the first value is the base's, and so is the second.
        let texts: Vec<String> = rows.iter().map(|(base, text)| {
            let mut values: Vec<&str> = text.split(',').collect();
            if follows {
                let n = values.len().min(2);
                values[..n].fill(base);
            }
            values.join(",")
        }).collect();
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let Some(base) = encode(ArrayKind::Integer, &base) else { return Ok(()) };
        let Some(blob) = encode_given(relation, &base, &borrowed) else { return Ok(()) };
        let row = ArrayRow::parse_given(&blob, Some(&base)).unwrap();
        let expected: Vec<String> = texts.iter().map(|t| plain(t)).collect();
        prop_assert_eq!(texts_of(&row), expected);
        for (sample, text) in (0u32..).zip(&texts) {
            prop_assert_eq!(row.integer_scalar(sample), text.parse::<i32>().ok());
        }
        drive_array_row(&blob);
    }

    #[test]
    fn floats_round_trip(values in prop::collection::vec(prop::collection::vec(prop::num::f32::ANY, 0..4), 1..100)) {
        let texts: Vec<String> = values.iter().map(|vs| {
            vs.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(",")
        }).collect();
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        if let Some(blob) = encode(ArrayKind::Float, &borrowed) {
            let row = ArrayRow::parse(&blob).unwrap();
            for (sample, (values, text)) in (0u32..).zip(values.iter().zip(texts_of(&row))) {
                let read: Vec<Option<f32>> = text.split(',').map(|t| parse_float(t.as_bytes())).collect();
                let bits = |v: f32| if v.is_nan() { NAN_F32 } else { v.to_bits() };
                if !values.is_empty() {
                    let expected: Vec<_> = values.iter().map(|v| Some(bits(*v))).collect();
                    prop_assert_eq!(read.iter().map(|v| v.map(bits)).collect::<Vec<_>>(), expected);
                } else {
                    prop_assert_eq!(row.values(sample), ArrayValue::Absent);
                }
            }
        }
    }

    #[test]
    fn texts_round_trip(texts in prop::collection::vec("[a-z|/.,]{0,6}|x{300}", 1..150)) {
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let expected: Vec<String> = texts.iter().map(|t| plain(t)).collect();
        match encode(ArrayKind::Text, &borrowed) {
            Some(blob) => prop_assert_eq!(texts_of(&ArrayRow::parse(&blob).unwrap()), expected),
            None => prop_assert!(expected.iter().all(|t| t == ".")),
        }
    }

    #[test]
    fn damaged_bytes_never_panic(texts in integer_texts(), random in prop::collection::vec(any::<u8>(), 0..60), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        if let Some(mut blob) = encode(ArrayKind::Integer, &borrowed) {
            prop_assert!(!drive_array_row(&blob[..cut.index(blob.len())]));
            let at = at.index(blob.len());
            blob[at] ^= byte;
            drive_array_row(&blob);
        }
        drive_array_row(&random);
        for version in [1, 2] {
            let mut framed = vec![version];
            framed.extend(&random);
            drive_array_row(&framed);
        }
    }
}
