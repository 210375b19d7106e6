//! Files as the world writes them: compression, order, several of them.

use super::*;

#[tokio::test]
async fn a_header_without_newline() {
    let text = vcf(&["a"], &[]).trim_end().to_owned();
    let report = Setup::new().load(&text).await.unwrap();
    assert_eq!(report.repairs, [("no-final-newline".to_owned(), 1)]);
    let strict = Setup {
        strict: true,
        ..Setup::new()
    };
    let error = strict.load(&text).await.unwrap_err().to_string();
    assert!(error.contains("input 1, line 12"), "{error}");
}

#[tokio::test]
async fn text_that_the_world_writes() {
    let setup = Setup::new();
    let text = vcf(
        &["a"],
        &["chr1 1 . A C . . . GT 0/1", "chrUn 5 . A C . newf . GT 0/1"],
    );
    let text = text.replace('\n', "\r\n").trim_end().to_owned();
    let report = setup.load(&format!("{text}\r\n\r\n")).await.unwrap();
    let rules: Vec<&str> = report
        .repairs
        .iter()
        .map(|(rule, _)| rule.as_str())
        .collect();
    assert!(
        [
            "crlf",
            "blank-line",
            "contig-undeclared",
            "undeclared-filter"
        ]
        .iter()
        .all(|r| rules.contains(r)),
        "{rules:?}"
    );
    assert_eq!((report.records_read, report.records_stored), (2, 2));
    let last = Setup::new();
    let report = last.load(text.trim_end()).await.unwrap();
    assert_eq!(report.records_stored, 2);
    assert!(report.repairs.contains(&("no-final-newline".to_owned(), 1)));
    let none = Setup::new();
    let report = none.load(&vcf(&["a", "b"], &[])).await.unwrap();
    assert_eq!(
        (report.records_read, report.rows, report.samples),
        (0, 0, 2)
    );
    assert_eq!(
        none.text("samples", &["sample_id", "index_in_block"]).await,
        ["a|0", "b|1"]
    );
    assert_eq!(none.text("site", &["vid"]).await.len(), 0);
}

#[tokio::test]
async fn neither_chunks_nor_threads_nor_compression_matter() {
    let mut records = Vec::new();
    for i in 0..400 {
        let gt = ["0|0", "0|1", "1|1", "./.", "0/1", "1"];
        let calls: Vec<&str> = (0..7)
            .map(|s| gt[(i * 7 + s * s + i * i) % if i % 3 == 0 { 6 } else { 3 }])
            .collect();
        let bad = if i % 97 == 5 { "x" } else { "" };
        records.push(format!(
            "chr1 {bad}{} . A C,G . . DP={i} GT {}",
            10 + i / 2,
            calls.join(" ")
        ));
    }
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let text = vcf(&["a", "b", "c", "d", "e", "f", "g"], &records);
    let dump = async |bytes: Vec<u8>, chunk_bytes, threads| {
        let setup = Setup {
            chunk_bytes,
            threads,
            ..Setup::new()
        };
        let input = setup.file("in.vcf", bytes);
        let report = setup.run(&[input]).await.unwrap();
        assert_eq!((report.records_read, report.records_quarantined), (400, 5));
        setup.dump().await
    };
    let whole = dump(text.clone().into_bytes(), CHUNK_BYTES, 1).await;
    for (chunk_bytes, threads) in [(1 << 10, 1), (1 << 10, 8), (17, 3), (1 << 14, 2)] {
        assert_eq!(
            dump(text.clone().into_bytes(), chunk_bytes, threads).await,
            whole,
            "{chunk_bytes}"
        );
        assert_eq!(
            dump(bgzf(text.as_bytes(), 333), chunk_bytes, threads).await,
            whole,
            "{chunk_bytes}"
        );
    }
    assert_eq!(dump(gzip(text.as_bytes()), 1000, 2).await, whole);
    let (a, b) = text.as_bytes().split_at(text.len() / 2);
    assert_eq!(
        dump([gzip(a), gzip(b)].concat(), 1000, 2).await,
        whole,
        "two gzip members"
    );
}

#[tokio::test]
async fn unsorted_records_give_the_same_tables() {
    let sorted: Vec<String> = (0..300)
        .map(|i| {
            format!(
                "chr{} {} . A C . . DP={i} GT:DP 0|1:{i} 0|0:3",
                1 + i / 200,
                10 + i % 200
            )
        })
        .collect();
    let mut shuffled = sorted.clone();
    shuffled.reverse();
    shuffled.swap(3, 250);
    let load = async |records: &[String]| {
        let setup = Setup {
            chunk_bytes: 700,
            ..Setup::new()
        };
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let report = setup.load(&vcf(&["a", "b"], &records)).await.unwrap();
        let repaired = report.repairs.iter().any(|(rule, _)| rule == "unsorted");
        (setup.dump().await, repaired)
    };
    let (expected, was_repaired) = load(&sorted).await;
    assert!(!was_repaired);
    assert_eq!(load(&shuffled).await, (expected, true));
}

#[test]
fn a_sorter_that_spills_keeps_order_and_rows() {
    let layout = Arc::new(Layout::new(Vec::new(), &[], false));
    let input = Arc::new(InputPlan {
        source: 0,
        n_samples: 0,
        has_format: false,
        version: None,
        blocks: Vec::new(),
        filters: Vec::new(),
        annotations: Vec::new(),
        whole: Default::default(),
    });
    let mut parser = crate::vcf::RecordParser::new(Arc::clone(&layout), input, None);
    let mut sorter = crate::sorter::Sorter::new(1);
    for chunk in 0..5 {
        let mut builder = crate::encode::ChunkBuilder::new(Arc::clone(&layout));
        for i in 0..50 {
            let pos = (i * 37 + chunk * 11) % 50 + 1;
            parser.line(
                format!("1\t{pos}\tr{chunk}_{i}\tA\tC\t.\t.\t.").as_bytes(),
                0,
                &mut builder,
            );
        }
        let parsed = builder.finish(50).unwrap();
        let mut start = crate::encode::RecordEnd::default();
        for end in &parsed.records {
            sorter.push(crate::assemble::RecordRows::between(
                0,
                start,
                *end,
                &parsed.rows,
            ));
            start = *end;
        }
        sorter.end_chunk(100).unwrap();
    }
    let mut seen = Vec::new();
    sorter
        .merge(|record| {
            let sites = &record.rows.sites;
            let pos = sites
                .column_by_name("pos")
                .unwrap()
                .as_primitive::<Int32Type>();
            assert_eq!(pos.value(record.sites.start), record.vcf_pos);
            seen.push(record.vcf_pos);
            Ok(())
        })
        .unwrap();
    assert_eq!(seen.len(), 250);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn several_inputs_are_one_batch() {
    let setup = Setup::new();
    let inputs = [
        setup.file(
            "c2.vcf",
            vcf(&["a", "b"], &["chr2 7 . A C . . . GT 0/1 1/1"]),
        ),
        setup.file(
            "c1.vcf",
            vcf(&["a", "b"], &["chr1 9 . A C . . . GT 0/1 0/0"]),
        ),
        setup.file("other.vcf", vcf(&["c"], &["chr1 9 . A C . . . GT 1/1"])),
    ];
    let report = setup.run(&inputs).await.unwrap();
    assert_eq!(
        (report.samples, report.rows, report.inputs.len()),
        (3, 3, 3)
    );
    assert_eq!(
        setup
            .text(
                "site",
                &[
                    "vid",
                    "contig",
                    "pos",
                    "ac",
                    "an",
                    "source",
                    "block_from",
                    "block_to"
                ]
            )
            .await,
        [
            "0|chr1|9|1|4|1|0|0",
            "1|chr1|9|2|2|2|1|1",
            "2|chr2|7|3|4|0|0|0"
        ]
    );
    assert_eq!(
        setup
            .text(
                "samples",
                &[
                    "sample_id",
                    "block",
                    "index_in_block",
                    "n_het",
                    "n_hom_alt",
                    "n_singleton"
                ]
            )
            .await,
        ["a|0|0|2|0|1", "b|0|1|0|1|0", "c|1|0|0|1|0"]
    );
    let second = setup.file("second.vcf", vcf(&["d"], &["chr1 3 . A C . . . GT 1/1"]));
    let report = setup.run(&[second]).await.unwrap();
    let batch = i64::from(report.batch.unwrap());
    assert!(batch > 0);
    let vids = setup.text("site", &["vid"]).await;
    assert!(vids.contains(&(batch << 40).to_string()), "{vids:?}");
    let blocks = setup.text("samples", &["block"]).await;
    assert!(blocks.contains(&(batch << 12).to_string()), "{blocks:?}");
}

/// Runs only where the public test files are at hand (`GENOKURA_TEST_DATA`).
#[tokio::test]
async fn bcf_and_vcf_of_the_same_data_give_the_same_lines() {
    for (a, b) in [("bio2zarr/vcf/sample.vcf.gz", "bio2zarr/vcf/sample.bcf")] {
        let (Some(a), Some(b)) = (shared(a), shared(b)) else {
            return;
        };
        let mut dumps = Vec::new();
        for path in [a, b] {
            let setup = Setup::new();
            N_SAMPLES.with(|n| n.set(3));
            setup
                .run(&[path.to_str().unwrap().to_owned()])
                .await
                .unwrap();
            dumps.push(setup.lines().await);
        }
        assert_eq!(dumps[0], dumps[1]);
    }
}

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GENOKURA_TEST_DATA")?;
    Some(Path::new(&root).join(path)).filter(|p| p.exists())
}
