//! The same samples and files again.

use super::*;

#[tokio::test]
async fn a_rerun_is_a_no_op() {
    let setup = Setup::new();
    let input = setup.file("a.vcf", vcf(&["a"], &["chr1 1 . A C . . . GT 0/1"]));
    let first = setup.run(std::slice::from_ref(&input)).await.unwrap();
    let again = setup.run(std::slice::from_ref(&input)).await.unwrap();
    assert!(again.already_done && !first.already_done);
    assert_eq!(again.lake_version, first.lake_version);
    assert_eq!(again.inputs[0].digest, first.inputs[0].digest);
    let other = setup.file("b.vcf", vcf(&["b"], &["chr1 2 . A C . . . GT 0/1"]));
    let error = setup
        .run(&[input, other.clone()])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("input(s) 1 have landed"), "{error}");
    let second = setup.run(std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(
        (second.batch.is_some(), second.lake_version),
        (true, Some(1))
    );
    let third = setup.file("c.vcf", vcf(&["c"], &["chr1 3 . A C . . . GT 0/1"]));
    let copy = setup.file("d.vcf", std::fs::read(&third).unwrap());
    let error = setup.run(&[third, copy]).await.unwrap_err().to_string();
    assert!(error.contains("in input 1 of this job already"), "{error}");
    let sites = |name| setup.file(name, vcf(&[], &["chr1 3 . A C . . ."]));
    let error = setup.run(&[sites("e.vcf"), sites("f.vcf")]).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("inputs 1 and 2 are the same"), "{error}");
    assert_eq!(setup.version().await, Some(1));
}

/// A call set of some samples: records as `(contig, pos, alt)`.
fn called(samples: &[&str], records: &[(&str, i32, &str)]) -> String {
    let mut text = "##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=2>\n\
                    ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
                    #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
        .to_owned();
    for sample in samples {
        write!(text, "\t{sample}").unwrap();
    }
    for (contig, pos, alt) in records {
        write!(text, "\n{contig}\t{pos}\t.\tA\t{alt}\t.\t.\t.\tGT").unwrap();
        text.push_str(&"\t0/1".repeat(samples.len()));
    }
    text.push('\n');
    text
}

/// Collects what a job tells.
#[derive(Default)]
struct Told(parking_lot::Mutex<Vec<String>>);

impl Progress for Told {
    fn bytes(&self, _: u64, _: Option<u64>) {}
    fn records(&self, _: u64) {}
    fn message(&self, text: &str) {
        self.0.lock().push(text.to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_not_called_twice_at_a_variant() {
    let first = called(&BOTH, &[("1", 5, "C"), ("1", 9, "G"), ("2", 5, "C")]);
    for (samples, records, at) in [
        // The same variant, whatever else the file holds.
        (
            &["B", "C"][..],
            &[("1", 1, "C"), ("1", 9, "G"), ("2", 9, "C")][..],
            Some("1:9"),
        ),
        (&["A"], &[("2", 5, "C,G")], Some("2:5")),
        // Another region, another contig, another allele, other samples.
        (&["A", "B"], &[("1", 6, "C"), ("1", 10, "G")], None),
        (&["A", "B"], &[("2", 6, "C")], None),
        (&["A", "B"], &[("1", 5, "G"), ("2", 5, "T")], None),
        (&["C", "D"], &[("1", 5, "C"), ("1", 9, "G")], None),
        (&[], &[("1", 5, "C")], None),
    ] {
        let mut setup = Setup::new();
        setup.load(&first).await.unwrap();
        let before = setup.version().await;
        let second = called(samples, records);
        let outcome = setup.load(&second).await;
        match (at, outcome) {
            (None, Ok(_)) => {}
            (Some(at), Err(error)) => {
                let text = error.to_string();
                let expected = format!(
                    "input 1, {at}: a sample of the input is called at this variant in batch "
                );
                assert!(text.starts_with(&expected), "{text}");
                assert!(
                    text.contains("(rule sample-called-again); dataset \"ds\""),
                    "{text}"
                );
                assert!(text.contains("--repeated-samples"), "{text}");
                assert_eq!(setup.version().await, before, "{text}");
                setup.repeated_samples = true;
                setup.load(&second).await.unwrap();
            }
            (at, outcome) => panic!("{samples:?} {records:?}: {at:?} {outcome:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_one_job_call_a_sample_once_at_a_variant() {
    let by_chromosome = [
        called(&BOTH, &[("1", 5, "C"), ("1", 9, "G")]),
        called(&BOTH, &[("2", 5, "C")]),
    ];
    let other_samples = called(&["C"], &[("1", 5, "C"), ("2", 5, "C")]);
    let again = called(&["C", "A"], &[("1", 7, "C"), ("1", 9, "G")]);
    let setup = Setup::new();
    let mut inputs: Vec<String> = Vec::new();
    for (i, text) in by_chromosome.iter().chain([&other_samples]).enumerate() {
        inputs.push(setup.file(&format!("{i}.vcf"), text));
    }
    let with_again = [&inputs[..], &[setup.file("again.vcf", &again)]].concat();
    let error = setup.run(&with_again).await.unwrap_err().to_string();
    let expected = "input 4, 1:9: a sample of the input is called at this variant in input 1 of this job already";
    assert!(error.starts_with(expected), "{error}");
    setup.run(&inputs).await.unwrap();
}

/// Rows far into a file that is cut into many batches of rows are compared as well, those beside the cuts too.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_compared() {
    let records = |from: i32, to: i32| -> Vec<(&str, i32, &str)> {
        (from..to).map(|pos| ("1", pos, "C")).collect()
    };
    for unsorted in [false, true] {
        let setup = Setup::new();
        let mut first = records(1, 40_000);
        if unsorted {
            first.reverse();
        }
        setup.load(&called(&["A"], &first)).await.unwrap();
        let second = records(39_999, 60_000);
        let error = setup.load(&called(&["A"], &second)).await.unwrap_err();
        assert!(
            error.to_string().starts_with("input 1, 1:39999: "),
            "{error}"
        );
        setup.load(&called(&["A"], &second[1..])).await.unwrap();
        let mut third = records(60_000, 99_000);
        third.push(("1", 59_999, "C"));
        let error = setup.load(&called(&["A"], &third)).await.unwrap_err();
        assert!(
            error.to_string().starts_with("input 1, 1:59999: "),
            "{error}"
        );
    }
}

/// Who calls other alleles at a position is told how often.
#[tokio::test(flavor = "multi_thread")]
async fn other_alleles_of_a_sample_are_told() {
    let setup = Setup::new();
    let first = called(&BOTH, &[("1", 5, "C"), ("1", 9, "G"), ("2", 5, "C")]);
    setup.load(&first).await.unwrap();
    let second = called(&["B"], &[("1", 5, "G"), ("1", 6, "C"), ("2", 5, "G,T")]);
    let told = Arc::new(Told::default());
    let job = VcfJob {
        progress: Arc::clone(&told) as Arc<dyn Progress>,
        ..setup.job(&[setup.file("second.vcf", &second)])
    };
    job.run().await.unwrap();
    let said =
        "at 2 positions a sample of this job has other alleles from an earlier batch; both stand";
    assert_eq!(*told.0.lock(), [said]);
}

/// Of two jobs at once that call the same sample, the one that lands later must look again.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_lands_meanwhile_may_not_bring_its_samples() {
    let setup = Setup::new();
    let base = setup.lake.snapshot().await.unwrap();
    setup.load(&called(&["A"], &[("1", 5, "C")])).await.unwrap();
    let path = setup.file("later.vcf", called(&["A"], &[("1", 5, "C"), ("1", 6, "C")]));
    let job = setup.job(&[path]);
    let sources: Vec<Arc<Source>> = resolve(&job.inputs)
        .await
        .unwrap()
        .into_iter()
        .map(Arc::new)
        .collect();
    let opened = job.open_all(&sources, SCAN_BYTES).await.unwrap();
    let report = IngestReport::default();
    let error = job
        .meets_nobody_new(&base, &opened, &report)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let now = setup.lake.snapshot().await.unwrap();
    job.meets_nobody_new(&now, &opened, &report).await.unwrap();
}
