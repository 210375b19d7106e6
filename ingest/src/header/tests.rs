//! What the header reader takes, repairs and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

const CHROM: &str = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\n";

fn parse(meta: &str) -> Header {
    Header::parse(format!("##fileformat=VCFv4.3\n{meta}{CHROM}").as_bytes()).unwrap()
}

fn rules(header: &Header) -> Vec<(u32, &'static str)> {
    header
        .repairs
        .iter()
        .map(|repair| (repair.line, repair.rule))
        .collect()
}

fn refused(text: &str) -> (u64, &'static str) {
    match Header::parse(text.as_bytes()) {
        Err(Error::Header { line, rule, .. }) => (line, rule),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn reads_a_plain_header() {
    let header = parse(concat!(
        "##contig=<ID=chr1,length=248956422>\n",
        "##INFO=<ID=DP,Number=1,Type=Integer,Description=\"Depth, \\\"raw\\\"\">\n",
        "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n",
        "##FILTER=<ID=q10,Description=\"low\">\n",
        "##source=caller=1.0\n",
    ));
    assert_eq!(header.version, Some((4, 3)));
    assert_eq!(
        header.contigs,
        [HeaderContig {
            name: "chr1".into(),
            length: Some(248_956_422)
        }]
    );
    assert_eq!(header.info[0].column, "info_dp");
    assert_eq!(header.info[0].description, "Depth, \"raw\"");
    assert_eq!(header.format[0].key, "GT");
    assert_eq!(header.samples, ["A", "B"]);
    assert_eq!(header.lines.len(), 7);
    assert_eq!(header.lines[5].text, "##source=caller=1.0");
    assert_eq!(header.lines[5].line, 6);
    assert!(
        header.repairs.is_empty() && header.strict_violations.is_empty(),
        "{header:?}"
    );
}

#[test]
fn repairs_under_named_rules() {
    let cases = [
        (
            "##INFO=<ID=X,Number=1,Type=Integer,Description=\"a\">\n##INFO=<ID=X,Number=1,Type=Float,Description=\"a\">\n",
            (3, repair::DUPLICATE_ID),
        ),
        (
            "##INFO=<ID=X,Description=\"a\">\n",
            (2, repair::MISSING_TYPE),
        ),
        (
            "##INFO=<ID=X,Number=1,Type=Int,Description=\"a\">\n",
            (2, repair::UNKNOWN_TYPE),
        ),
        (
            "##INFO=<ID=X,Number=-1,Type=Integer,Description=\"a\">\n",
            (2, repair::UNKNOWN_NUMBER),
        ),
        (
            "##INFO=<ID=DB,Number=1,Type=Flag,Description=\"a\">\n",
            (2, repair::FLAG_NUMBER),
        ),
        (
            "##INFO=<ID=AC,Number=1,Type=Integer,Description=\"a\">\n",
            (2, repair::RESERVED_REDEFINED),
        ),
        (
            "##FILTER=<ID=DUP,Description=\"no end>\n",
            (2, repair::BROKEN_QUOTES),
        ),
        (
            "##FILTER=<ID=DUP,Description=\"no end\"\n",
            (2, repair::MISSING_BRACKET),
        ),
        ("##Some text\n", (2, repair::NOT_KEY_VALUE)),
        ("##INFO=<Number=1,Type=Integer>\n", (2, repair::MISSING_ID)),
        ("\n", (2, repair::BLANK_LINE)),
        ("##contig=<ID=1,length=?>\n", (2, repair::CONTIG_LENGTH)),
        (
            "##INFO=<ID=x.y,Number=1,Type=Float,Description=\"\">\n##INFO=<ID=X_Y,Number=1,Type=Float,Description=\"\">\n",
            (3, repair::COLUMN_COLLISION),
        ),
    ];
    for (meta, expected) in cases {
        assert!(
            rules(&parse(meta)).contains(&expected),
            "{meta}: {:?}",
            rules(&parse(meta))
        );
    }
    assert_eq!(
        rules(&Header::parse(CHROM.as_bytes()).unwrap()),
        [(1, repair::UNKNOWN_VERSION)]
    );
    let crlf = format!("##fileformat=VCFv4.2\r\n{}", CHROM.replace('\n', "\r\n"));
    let header = Header::parse(crlf.as_bytes()).unwrap();
    assert_eq!(rules(&header), [(1, repair::CRLF)]);
    assert_eq!(header.samples, ["A", "B"]);
}

#[test]
fn refuses_what_no_reader_can_take() {
    let first = "##fileformat=VCFv4.4\n";
    assert_eq!(refused("!##fileformat=VCFv4.1\n"), (1, "not-vcf"));
    assert_eq!(refused(""), (1, "no-chrom-line"));
    assert_eq!(refused(first), (1, "no-chrom-line"));
    assert_eq!(
        refused(&format!("##fileformat=\n{CHROM}")),
        (1, "empty-fileformat")
    );
    assert_eq!(
        refused(&format!("{first}{}", CHROM.replace("\tB", "\tA"))),
        (2, "duplicate-sample")
    );
    assert_eq!(
        refused(&format!("{first}{}", CHROM.replace("POS", "POSITION"))),
        (2, "chrom-line")
    );
    assert_eq!(
        refused(&format!("{first}#CHROM\tPOS\tID\n")),
        (2, "chrom-line")
    );
    assert_eq!(
        refused(&format!("{first}{}", CHROM.replace('\t', " "))),
        (2, "chrom-line")
    );
    assert_eq!(
        refused(&format!(
            "{first}##ALT=<ID=DEL,Description=\"with\nbreak\">\n{CHROM}"
        )),
        (3, "line-break")
    );
    assert_eq!(
        refused(&format!("{first}plain text\n{CHROM}")),
        (2, "not-meta-line")
    );
    assert_eq!(
        refused(&format!("{first}1\t5\t.\tA\tC\t.\t.\t.\n")),
        (2, "not-meta-line")
    );
}

#[test]
fn awkward_values_keep_their_text() {
    let header = parse(
        "##contig=<ID=chr,1>\n##META=<ID=Assay,Type=String,Number=.,Values=[a, b]>\n##INFO=<ID=Q,Number=1,Type=String,Description=\"one of \"a\", \"b\"\">\n",
    );
    assert_eq!(header.contigs[0].name, "chr,1");
    assert_eq!(header.lines[2].value.get("Values"), Some("[a, b]"));
    assert_eq!(header.info[0].description, "one of \"a\", \"b\"");
}

#[test]
fn header_end_is_found_in_pieces() {
    let text = format!("##fileformat=VCFv4.3\n##a=b\n{CHROM}1\t5\n");
    let end = text.find("1\t5").unwrap();
    for cut in 0..text.len() {
        let expected = if cut >= end {
            HeaderEnd::At(end)
        } else {
            HeaderEnd::More
        };
        for scanned in [0, cut / 2, cut.saturating_sub(1)] {
            if scanned < end {
                assert_eq!(
                    find_header_end(&text.as_bytes()[..cut], scanned, false),
                    expected
                );
            }
        }
    }
    assert_eq!(find_header_end(b"##a\n", 0, true), HeaderEnd::At(4));
    assert_eq!(
        find_header_end(b"##a\nplain\n##b\n", 0, false),
        HeaderEnd::At(10)
    );
}

#[test]
fn bcf_dictionaries_honour_idx() {
    let header = parse(concat!(
        "##contig=<ID=2,IDX=1>\n##contig=<ID=1,IDX=0>\n",
        "##FILTER=<ID=PASS,Description=\"ok\",IDX=0>\n",
        "##INFO=<ID=DP,Number=1,Type=Integer,Description=\"\",IDX=3>\n",
        "##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"\",IDX=3>\n",
        "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"\",IDX=1>\n",
    ));
    let names = |d: Vec<Option<String>>| {
        d.into_iter()
            .map(Option::unwrap_or_default)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(header.bcf_strings()), ["PASS", "GT", "", "DP"]);
    assert_eq!(names(header.bcf_contigs()), ["1", "2"]);
    let plain = parse(
        "##INFO=<ID=A1,Number=1,Type=Integer,Description=\"\">\n##FILTER=<ID=q,Description=\"\">\n",
    );
    assert_eq!(names(plain.bcf_strings()), ["PASS", "A1", "q"]);
}

#[test]
fn the_dataset_wins_a_clash_of_types() {
    let dataset = parse("##INFO=<ID=X,Number=1,Type=Integer,Description=\"\">\n").info;
    let input = parse("##INFO=<ID=X,Number=.,Type=Float,Description=\"d\">\n##INFO=<ID=x,Number=1,Type=Float,Description=\"\">\n").info;
    let merged = merge_fields(FieldKind::Info, &dataset, &input);
    let columns: Vec<&str> = merged.fields.iter().map(|f| f.column.as_str()).collect();
    assert_eq!(columns, ["info_x", "info_x_2"]);
    assert_eq!(merged.fields[0].ty, FieldType::Integer);
    assert_eq!(merged.fields[0].description, "d");
    assert_eq!(merged.clashes.len(), 1);
}

#[test]
fn undeclared_keys_take_the_reserved_definition() {
    let dp = undeclared_field(FieldKind::Info, "DP", true, &[]);
    assert_eq!((dp.number, dp.ty), (Number::Count(1), FieldType::Integer));
    let flag = undeclared_field(FieldKind::Info, "mine", false, &[]);
    assert_eq!((flag.number, flag.ty), (Number::Count(0), FieldType::Flag));
    let text = undeclared_field(FieldKind::Format, "mine", true, &[]);
    assert_eq!(
        (text.column.as_str(), text.number, text.ty),
        ("fmt_mine", Number::Unknown, FieldType::String)
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Header::parse(&text);
        let _ = find_header_end(&text, 0, true);
    }

    #[test]
    fn no_meta_lines_make_the_reader_panic(text in "(##(INFO|FORMAT|contig|ALT|x)=?<?(ID|Number|Type|Description)?=?[\"\\\\,=<>\\[\\]A-Za-z0-9. \u{e9}]{0,30}>?\r?\n?){0,6}") {
        let _ = Header::parse(text.as_bytes());
        let _ = Header::parse(format!("{text}\n{CHROM}").as_bytes()).map(|h| (h.bcf_strings(), h.bcf_contigs()));
    }
}
