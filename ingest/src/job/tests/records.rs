//! What becomes of records: alleles, counts, and their text again.

use super::*;

#[tokio::test]
async fn records_come_back_as_they_stood() {
    let setup = Setup::new();
    let report = setup
        .load(&vcf(&["S1", "S2", "S3"], RECORDS))
        .await
        .unwrap();
    assert_eq!(
        (report.records_read, report.records_stored, report.rows),
        (6, 6, 8)
    );
    assert_eq!(report.batch, Some(0));
    assert_eq!(report.lake_version, Some(0));
    let expected = [
        "chr1\t100\trs1;x\tA\tG\t50.0\tPASS\tDP;AF;DB\tGT:DP:AD\t0|1:10:5,5\t0/0:8:.\t./.:.:.",
        "chr1\t200\t.\tAT\tA,ATT\t.\tq10\tDP;AF\tGT\t1/2\t0|2\t0/0/1",
        "chr1\t200\t.\tAT\tA,ATT\t3.0\t.\t.\tGT:DP\t.:5\t.:.\t0:.",
        "chr1\t300\t.\tC\t.\t20.0\tPASS\tAD\tGT\t0/0\t0/0\t./0",
        "chr2\t1\t.\tG\t<DEL>\t.\t.\tDB\tGT\t0|0\t0|0\t0|0",
        "chr2\t5\t.\tG\tT\t.\t.\tDP\tDP\t1\t2\t.",
    ];
    assert_eq!(setup.lines().await, expected);
}

#[tokio::test]
async fn alleles_are_split_trimmed_and_counted() {
    let setup = Setup::new();
    setup
        .load(&vcf(&["S1", "S2", "S3"], RECORDS))
        .await
        .unwrap();
    let columns = [
        "vid",
        "record",
        "pos",
        "ref",
        "alt",
        "alt_index",
        "variant_type",
        "ac",
        "an",
        "n_het",
        "n_hom_alt",
        "n_missing",
        "info_af",
        "info_db",
    ];
    assert_eq!(
        setup.text("site", &columns).await,
        [
            "0|0|100|A|G|1|SNV|1|4|1|0|1|0.5|true",
            "1|1|200|A|AT|2|INS|2|7|2|0|0|0.125|false",
            "2|2|200|A|AT|2|INS|0|1|0|0|2|NULL|false",
            "3|1|200|AT|A|1|DEL|2|7|2|0|0|0.25|false",
            "4|2|200|AT|A|1|DEL|0|1|0|0|2|NULL|false",
            "5|3|300|C|NULL|0|REF|0|5|0|0|1|NULL|false",
            "6|4|1|G|<DEL>|1|DEL|0|6|0|0|0|NULL|true",
            "7|5|5|G|T|1|SNV|0|0|0|0|0|NULL|false",
        ]
    );
    // The row without a carrier and without anybody missing is left out.
    let vids = setup.text("genotype", &["vid"]).await;
    assert!(!vids.contains(&"6".to_owned()), "{vids:?}");
}

/// Records against the specification that bcftools reads too: kept, counted, refused when strict.
#[tokio::test]
async fn odd_records_are_kept_as_they_stood_and_counted() {
    let out_of_range = ("FORMAT/GT", "genotype_allele_out_of_range");
    for (key, rule, record) in [
        (
            out_of_range.0,
            out_of_range.1,
            "chr1 5 . A C . . . GT 0/0 0/2",
        ),
        (
            out_of_range.0,
            out_of_range.1,
            "chr1 5 . A C . . . GT 0|0 0|12",
        ),
        (
            out_of_range.0,
            out_of_range.1,
            "chr1 5 . A . . . . GT 0/0 0/1",
        ),
        (
            out_of_range.0,
            out_of_range.1,
            "chr1 5 . A . . . . GT ./2 0/0/3",
        ),
        (
            "QUAL",
            "negative_qual",
            "chr1 5 . A C -100.5 . . GT 0/0 0/1",
        ),
        ("QUAL", "negative_qual", "chr1 5 . A C -inf . . GT 0/0 0/1"),
        ("QUAL", "infinite_qual", "chr1 5 . A C inf . . GT 0/0 0/1"),
        ("ALT", "not_bases", "chr1 5 . C I . . . GT 0/0 0/1"),
        ("", "ref_missing", "chr1 5 . . C . . . GT 0/0 0/1"),
    ] {
        let setup = Setup::new();
        let text = vcf(&["a", "b"], &[record]);
        let report = setup.load(&text).await.unwrap();
        assert_eq!(report.records_stored, 1, "{record}");
        if key.is_empty() {
            assert_eq!(report.repairs, [("ref-missing".to_owned(), 1)]);
        } else {
            let n = report.typed_issues[0].2;
            assert_eq!(report.typed_issues, [(key.to_owned(), rule.to_owned(), n)]);
        }
        let kept = record.split_whitespace().collect::<Vec<_>>().join("\t");
        assert_eq!(setup.lines().await, [kept]);
        let strict = Setup {
            strict: true,
            ..Setup::new()
        };
        let error = strict.load(&text).await.unwrap_err().to_string();
        assert!(error.contains(rule) || key == "ALT", "{error}");
    }
}

#[tokio::test]
async fn an_allele_that_the_record_lacks_is_called() {
    let setup = Setup::new();
    let text = vcf(&["a", "b"], &["chr1 5 . A C . . . GT 0/2 1/2"]);
    setup.load(&text).await.unwrap();
    assert_eq!(setup.text("site", &["ac", "an"]).await, ["1|4"]);
}

#[tokio::test]
async fn left_alignment_holds_rows_back() {
    let mut setup = Setup::new();
    let fasta = setup.file("ref.fa", ">chr1\nGGGCACACACACTTTACGTACGT\n");
    setup.reference = Some(fasta);
    let records = [
        "chr1 5 . A T . . . GT 0/1",
        "chr1 9 . ACA A . . . GT 0/1",
        "chr1 14 . G C . . . GT 0/1",
    ];
    let report = setup.load(&vcf(&["a"], &records)).await.unwrap();
    assert_eq!(
        report.typed_issues,
        [("REF".to_owned(), "ref_mismatch".to_owned(), 1)]
    );
    let rows = setup
        .text("site", &["vid", "pos", "ref", "alt", "vcf_pos"])
        .await;
    assert_eq!(rows, ["0|3|GCA|G|9", "1|5|A|T|5", "2|14|G|C|14"]);
}

#[tokio::test]
async fn sample_counts() {
    let setup = Setup::new();
    let records = [
        "chr1 1 . A G . . . GT 0/1 0/0 ./.",
        "chr1 2 . A C . . . GT 1/1 0/1 0",
        "chr1 3 . A T,G . . . GT 1/2 0/0 0/.",
    ];
    setup.load(&vcf(&["a", "b", "c"], &records)).await.unwrap();
    let columns = [
        "sample_id",
        "n_called",
        "n_hom_ref",
        "n_het",
        "n_hom_alt",
        "n_missing",
        "n_singleton",
        "n_ts",
        "n_tv",
    ];
    assert_eq!(
        setup.text("samples", &columns).await,
        [
            "a|3|0|2|1|0|3|2|2",
            "b|3|2|1|0|0|0|0|1",
            "c|1|1|0|0|2|0|0|0"
        ]
    );
}
