//! Hand-made records, damaged records, and every BCF of the shared data against bcftools.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;

use super::*;

fn header() -> Header {
    let text = concat!(
        "##fileformat=VCFv4.3\n##contig=<ID=1>\n##contig=<ID=X>\n",
        "##FILTER=<ID=q10,Description=\"\">\n",
        "##INFO=<ID=DP,Number=1,Type=Integer,Description=\"\">\n",
        "##INFO=<ID=AF,Number=A,Type=Float,Description=\"\">\n",
        "##INFO=<ID=DB,Number=0,Type=Flag,Description=\"\">\n",
        "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"\">\n",
        "##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"\">\n",
        "##FORMAT=<ID=FT,Number=1,Type=String,Description=\"\">\n",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\n",
    );
    Header::parse(text.as_bytes()).unwrap()
}

/// X:100 rs1 AC A,G 29.5 q10 DP=300;AF=0.5,.;DB GT:AD:FT 0|1:10,20,0:PASS ./.:.:.
fn record() -> Vec<u8> {
    let mut shared = Vec::new();
    for value in [1_i32, 99, 2] {
        shared.extend(value.to_le_bytes());
    }
    shared.extend(29.5_f32.to_le_bytes());
    shared.extend((3_u32 << 16 | 3).to_le_bytes());
    shared.extend((3_u32 << 24 | 2).to_le_bytes());
    shared.extend([0x37]);
    shared.extend(b"rs1");
    shared.extend([0x27, b'A', b'C', 0x17, b'A', 0x17, b'G']);
    shared.extend([0x11, 1]);
    shared.extend([0x11, 2, 0x12, 0x2c, 0x01]);
    shared.extend([0x11, 3, 0x25]);
    shared.extend(0.5_f32.to_le_bytes());
    shared.extend(typed::FLOAT_MISSING.to_le_bytes());
    shared.extend([0x11, 4, 0x00]);
    let mut individual = vec![0x11, 5, 0x21, 2, 5, 0, 0];
    individual.extend([0x11, 6, 0x31, 10, 20, 0, 0x80, 0x81, 0x81]);
    individual.extend([0x11, 7, 0x47]);
    individual.extend(b"PASS\0\0\0\0");
    let mut record = (shared.len() as u32).to_le_bytes().to_vec();
    record.extend((individual.len() as u32).to_le_bytes());
    record.extend(shared);
    record.extend(individual);
    record
}

fn decoded(record: &[u8]) -> Result<String, BadRecord> {
    let mut out = b"before".to_vec();
    let result = Decoder::new(&header()).decode(record, &mut out);
    if result.is_err() {
        assert_eq!(out, b"before");
    }
    result.map(|()| String::from_utf8_lossy(&out[6..]).into_owned())
}

#[test]
fn decodes_every_kind_of_value() {
    assert_eq!(
        decoded(&record()).unwrap(),
        "X\t100\trs1\tAC\tA,G\t29.5\tq10\tDP=300;AF=0.5,.;DB\tGT:AD:FT\t0|1:10,20,0:PASS\t./.:.:."
    );
}

#[test]
fn floats_print_with_the_fewest_digits() {
    let cases = [
        (0.1_f32, "0.1"),
        (0.0, "0"),
        (-3.0, "-3"),
        (1e-10, "1e-10"),
        (1e20, "1e20"),
    ];
    for (value, expected) in cases {
        let mut out = Vec::new();
        write_f32(value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn records_are_split_wherever_the_stream_is_cut() {
    let stream = record().repeat(3);
    let one = record().len();
    for cut in 0..=stream.len() {
        let (whole, rest) = split_records(&stream[..cut]).unwrap();
        assert_eq!(whole.len(), cut / one * one);
        assert_eq!(whole.len() + rest.len(), cut);
        assert_eq!(records(whole).map(Result::unwrap).count(), cut / one);
    }
    assert_eq!(
        split_records(&[0xff; 8]).unwrap_err().rule,
        "bcf-record-length"
    );
}

#[test]
fn versions_and_cut_headers_are_told_apart() {
    let mut file = b"BCF\x02\x02\x05\0\0\0abc\0\0rest".to_vec();
    assert_eq!(file_header(&file).unwrap(), Some((&b"abc"[..], 14)));
    assert_eq!(file_header(&file[..12]).unwrap(), None);
    file[4] = 4;
    assert!(file_header(&file).is_err());
    assert!(file_header(b"BCF\x04\x01\0\0").is_err());
}

proptest! {
    #[test]
    fn flipped_bytes_never_panic(flips in proptest::collection::vec((0_usize..120, any::<u8>()), 1..6)) {
        let mut bytes = record();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        let _ = decoded(&bytes);
        let _ = split_records(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decoded(&bytes);
        let _ = file_header(&bytes);
        for record in records(&bytes).flatten() {
            let _ = decoded(record);
        }
    }

    #[test]
    fn printed_floats_parse_back(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        let mut out = Vec::new();
        write_f32(value, &mut out);
        let back: f32 = std::str::from_utf8(&out).unwrap().parse().unwrap();
        prop_assert!(back == value || (back.is_nan() && value.is_nan()));
    }
}
