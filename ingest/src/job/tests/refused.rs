//! What is refused, kept aside and told.

use super::*;

#[tokio::test]
async fn refused_records_are_kept_with_their_rule() {
    let bad = [
        ("too_few_columns", "chr1 5 . A C"),
        ("bad_position", "chr1 12x . A C . . . GT 0/0 0/0"),
        ("bad_position", "chr1 -1 . A C . . . GT 0/0 0/0"),
        (
            "position_out_of_range",
            "chr1 2147483648 . A C . . . GT 0/0 0/0",
        ),
        ("bad_ref", "chr1 5 . A# C . . . GT 0/0 0/0"),
        ("bad_alt", "chr1 5 . A C,,G . . . GT 0/0 0/0"),
        ("bad_alt", "chr1 5 . A <DEL . . . GT 0/0 0/0"),
        ("bad_qual", "chr1 5 . A C high . . GT 0/0 0/0"),
        ("bad_qual", "chr1 5 . A C nan . . GT 0/0 0/0"),
        ("bad_genotype", "chr1 5 . A C . . . GT 0/0 0/x"),
        ("bad_genotype", "chr1 5 . A C . . . GT 0/0 0/"),
        ("sample_count", "chr1 5 . A C . . . GT 0/0"),
        ("sample_count", "chr1 5 . A C . . . GT 0/0 0/0 0/0"),
        (
            "duplicate_format_key",
            "chr1 5 . A C . . . GT:DP:GT 0/0 0/0",
        ),
        ("bad_format", "chr1 5 . A C . . . GT::DP 0/0 0/0"),
        (
            "too_many_format_values",
            "chr1 5 . A C . . . GT:DP 0/0:1:2 0/0",
        ),
        ("too_many_format_values", "chr1 5 . A C . . . GT 0/0:1 0/0"),
    ];
    for (rule, record) in bad {
        let setup = Setup::new();
        let good = "chr1 4 . A C . . . GT 0/0 0/1";
        let text = vcf(&["a", "b"], &[good, record, good]);
        let report = setup.load(&text).await.unwrap();
        assert_eq!(
            (report.records_stored, report.records_quarantined),
            (2, 1),
            "{record}"
        );
        assert_eq!(report.quarantined, [(rule.to_owned(), 1)], "{record}");
        let rows = setup
            .text("quarantine", &["line", "contig", "rule", "text"])
            .await;
        let kept = record.split_whitespace().collect::<Vec<_>>().join("\t");
        assert_eq!(rows, [format!("14|chr1|{rule}|{kept}")], "{record}");
        let strict = Setup {
            strict: true,
            ..Setup::new()
        };
        let error = strict.load(&text).await.unwrap_err().to_string();
        assert!(
            error.contains("input 1, line 14") && error.contains(rule),
            "{error}"
        );
        assert_eq!(strict.version().await, None);
    }
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_refused_and_kept() {
    let setup = Setup::new();
    let mut bytes = vcf(
        &["a"],
        &["chr1 4 . A C . . . GT 0/1", "chr1 5 idX A C . . . GT 0/1"],
    )
    .into_bytes();
    let at = bytes.iter().rposition(|b| *b == b'X').unwrap();
    bytes[at] = 0xe9;
    let input = setup.file("latin1.vcf", bytes);
    let report = setup.run(&[input]).await.unwrap();
    assert_eq!(report.quarantined, [("bad_utf8".to_owned(), 1)]);
}

#[tokio::test]
async fn damage_leaves_the_lake_as_it_was() {
    let setup = Setup::new();
    setup
        .load(&vcf(&["a"], &["chr1 1 . A C . . . GT 0/1"]))
        .await
        .unwrap();
    let records: Vec<String> = (1..2000)
        .map(|i| format!("chr1 {i} . A C . . DP={} GT 0/1", i * 7919 % 1000))
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let text = vcf(&["b"], &records);
    let whole = bgzf(text.as_bytes(), 4000);
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 0x55;
    let gz = gzip(text.as_bytes());
    for (name, bytes, expected) in [
        (
            "no end block",
            whole[..whole.len() - 28].to_vec(),
            "end-of-file block is missing",
        ),
        ("cut block", whole[..whole.len() - 100].to_vec(), "cut off"),
        ("broken", broken, "damaged"),
        ("cut gzip", gz[..gz.len() / 2].to_vec(), "cut off"),
        ("empty", Vec::new(), "empty"),
        ("no header", b"chr1\t1\t.\tA\tC\n".to_vec(), "VCF"),
        ("xz", b"\xfd7zXZ\0\0\0\0".to_vec(), "xz"),
    ] {
        for chunk_bytes in [1 << 10, CHUNK_BYTES] {
            let input = setup.file("damaged", &bytes);
            let error = setup
                .job(&[input])
                .run_with(chunk_bytes)
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("input 1") && error.contains(expected),
                "{name}: {error}"
            );
            assert_eq!(setup.version().await, Some(0), "{name}");
        }
    }
    let cancelled = setup.job(&[setup.file("whole", &whole)]);
    cancelled.cancel.cancel();
    assert!(matches!(
        cancelled.run().await.unwrap_err(),
        Error::Cancelled
    ));
    assert_eq!(setup.version().await, Some(0));
    setup.run(&[setup.file("whole", &whole)]).await.unwrap();
}

#[tokio::test]
async fn format_keys_beyond_the_columns_are_quarantined_and_not_dropped() {
    let setup = Setup::new();
    let keys: Vec<String> = (0..1000).map(|i| format!("K{i}")).collect();
    let values = vec!["1"; 1000].join(":");
    let first = format!("chr1 1 . A C . . . GT:{} 0/1:{values}", keys.join(":"));
    let records = [
        first.as_str(),
        "chr1 2 . A C . . . GT:LAST 0/1:7",
        "chr1 3 . A C . . . GT 0/0",
    ];
    let report = setup.load(&vcf(&["a"], &records)).await.unwrap();
    assert_eq!(
        report.quarantined,
        [("too_many_undeclared_keys".to_owned(), 1)]
    );
    assert_eq!((report.records_stored, report.is_conserved()), (2, true));
    let kept = setup.text("quarantine", &["line", "text"]).await;
    assert!(kept[0].ends_with("GT:LAST\t0/1:7"), "{kept:?}");
}

#[tokio::test]
async fn undeclared_keys_become_columns_wherever_they_stand() {
    let setup = Setup::new();
    let text = vcf(
        &["a"],
        &[
            "chr1 1 . A C . . XX=a,b;NS=3 GT:ZZ 0/1:hello",
            "chr1 2 . A C . . YF GT 0/0",
        ],
    );
    let report = setup.load(&text).await.unwrap();
    assert!(
        report.repairs.contains(&("undeclared-key".to_owned(), 4)),
        "{:?}",
        report.repairs
    );
    assert_eq!(
        setup
            .text(
                "site",
                &["pos", "info_xx", "info_ns", "info_yf", "info_raw"]
            )
            .await,
        ["1|[a, b]|3|false|NULL", "2|NULL|NULL|true|NULL"]
    );
    assert_eq!(setup.text("format", &["vcf_pos"]).await, ["1"]);
}

#[tokio::test]
async fn typed_issues_are_null_and_counted() {
    let setup = Setup::new();
    let records = [
        "chr1 1 . A C,G . . DP=ten;AF=0.5 GT:DP:AD 0/1:5:1,2 0/1:x:1,2,3",
        "chr1 2 . A C . . DP=3;DP=4;DB=1 GT 0/1 0/0",
    ];
    let report = setup.load(&vcf(&["a", "b"], &records)).await.unwrap();
    let issue = |key: &str, rule: &str| (key.to_owned(), rule.to_owned(), 1);
    assert_eq!(
        report.typed_issues,
        [
            issue("FORMAT/AD", "number_mismatch"),
            issue("FORMAT/DP", "not_integer"),
            issue("INFO/AF", "number_mismatch"),
            issue("INFO/DB", "flag_with_value"),
            issue("INFO/DP", "duplicate_key"),
            issue("INFO/DP", "not_integer"),
        ]
    );
    assert_eq!(
        setup
            .text(
                "site",
                &[
                    "pos",
                    "alt_index",
                    "info_dp",
                    "info_af",
                    "info_db",
                    "info_order",
                    "info_raw"
                ]
            )
            .await,
        [
            "1|1|NULL|NULL|false|DP;AF|DP=ten;AF=0.5",
            "1|2|NULL|NULL|false|DP;AF|DP=ten;AF=0.5",
            "2|1|NULL|NULL|NULL|DP;DP;DB|DP=3;DP=4;DB=1",
        ]
    );
    let lines = setup.lines().await;
    assert!(
        lines[0].ends_with("GT:DP:AD\t0/1:5:1,2\t0/1:x:1,2,3"),
        "{}",
        lines[0]
    );
}
