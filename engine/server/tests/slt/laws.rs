//! Plain SQL over `calls` and the packed functions give the same answers, whoever asks.

use proptest::prelude::*;

use super::*;

/// Genotype texts of records with two ALT alleles: plain ones often, the awkward ones too.
fn any_genotype() -> impl Strategy<Value = &'static str> {
    let plain = prop::sample::select(vec!["0/0", "0/1", "1/1", "0|1", "./.", "1/2", "0/2"]);
    let rare = prop::sample::select(vec![
        "0", "1", ".", "./1", "2/.", "0/1/2", "|0", ".|.", "1|2",
    ]);
    prop_oneof![8 => plain, 1 => rare]
}

/// Records of a file: position (few, so that files meet), whether ALT has a second allele, a text per sample.
pub(super) type Records = Vec<(u8, bool, Vec<&'static str>)>;

fn any_file() -> impl Strategy<Value = Records> {
    (1usize..5).prop_flat_map(|samples| {
        let texts = prop::collection::vec(any_genotype(), samples);
        prop::collection::vec((0u8..6, any::<bool>(), texts), 1..8)
    })
}

/// The file as VCF text; samples are named by `prefix`.
pub(super) fn vcf(records: &Records, prefix: &str) -> String {
    let samples = records[0].2.len();
    let names: Vec<String> = (0..samples).map(|i| format!("{prefix}{i}")).collect();
    let mut text = String::from(
        "##fileformat=VCFv4.4\n##contig=<ID=chr1,length=248956422>\n\
         ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n",
    );
    text += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t";
    text += &(names.join("\t") + "\n");
    for (place, two, texts) in records {
        let alts = if *two { "C,G" } else { "C" };
        let fits = |gt: &&str| {
            if *two {
                (*gt).to_owned()
            } else {
                gt.replace('2', "1")
            }
        };
        let texts: Vec<String> = texts.iter().map(fits).collect();
        let pos = 100 + 10 * i32::from(*place);
        text += &format!(
            "chr1\t{pos}\t.\tA\t{alts}\t.\t.\t.\tGT\t{}\n",
            texts.join("\t")
        );
    }
    text
}

/// Pairs of an aggregation that rows of `calls` are made for, because its groups are expressions, and the one that
/// is counted on packed genotypes.
fn counting_laws(list: &str) -> Vec<(String, String)> {
    let values = "count(*), count(dosage), sum(dosage), avg(dosage), count(*) FILTER (WHERE dosage = 1), \
                  sum(dosage) FILTER (WHERE dosage <> 1), count(*) FILTER (WHERE dosage IS NULL)";
    let filters = [
        String::new(),
        "WHERE dosage = 2".to_owned(),
        "WHERE dosage IS NULL OR dosage = 0".to_owned(),
        format!("WHERE sample_id IN ({list}) AND pos > 3"),
        "WHERE sample_id NOT LIKE 'A%'".to_owned(),
    ];
    let mut laws = Vec::new();
    for table in ["d.calls", "d.carriers"] {
        for filter in &filters {
            for keys in [
                &["sample_id"][..],
                &["contig", "pos", "alt"],
                &["pos"],
                &["dosage"],
            ] {
                let query = |keys: &[String]| {
                    let keys = keys.join(", ");
                    format!(
                        "SELECT {keys}, {values} FROM {table} {filter} GROUP BY {keys} ORDER BY {keys}"
                    )
                };
                let long_way = |key: &&str| match *key {
                    "pos" | "dosage" => format!("{key} + 0"),
                    // What looks at more of a call than whose it is.
                    "sample_id" => "concat(sample_id, left(gt, 0))".to_owned(),
                    key => format!("{key} || ''"),
                };
                let plain: Vec<String> = keys.iter().map(long_way).collect();
                let packed: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
                laws.push((query(&plain), query(&packed)));
            }
            laws.push((
                format!(
                    "SELECT count(*) FILTER (WHERE gt IS NULL OR gt <> '') FROM {table} {filter}"
                ),
                format!("SELECT count(*) FROM {table} {filter}"),
            ));
        }
    }
    laws
}

/// Pairs of a plain query over `calls` and one on packed genotypes that must agree, for a cohort of samples.
fn laws(cohort: &[String]) -> Vec<(String, String)> {
    let list = cohort
        .iter()
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(", ");
    let key = "contig, pos, ref, alt";
    let plain = |value: &str, from: &str| {
        format!(
            "SELECT {key}, {value} FROM {from} GROUP BY {key} HAVING count(*) > 0 ORDER BY {key}"
        )
    };
    let packed = |value: &str| format!("SELECT {key}, {value} FROM d.variants ORDER BY {key}");
    let members = format!("d.calls WHERE sample_id IN ({list})");
    let mut laws = vec![
        (
            plain("coalesce(sum(dosage), 0)", "d.calls"),
            packed("gt_allele_count(gt)"),
        ),
        (plain("coalesce(sum(dosage), 0)", "d.calls"), packed("ac")),
        (
            plain("count(*) FILTER (WHERE gt LIKE '%.%')", "d.calls"),
            packed("n_missing"),
        ),
        (
            plain("count(*) FILTER (WHERE dosage > 0)", "d.calls"),
            packed("coalesce(array_length(gt_carriers(gt)), 0)"),
        ),
        (
            format!(
                "SELECT {key}, coalesce(sum(dosage) FILTER (WHERE sample_id IN ({list})), 0) \
                 FROM d.calls GROUP BY {key} ORDER BY {key}"
            ),
            packed(&format!("gt_allele_count(gt, ARRAY[{list}])")),
        ),
        (
            format!("SELECT {key} FROM {members} AND dosage > 0 GROUP BY {key} ORDER BY {key}"),
            format!(
                "SELECT {key} FROM d.variants WHERE gt_allele_count(gt, ARRAY[{list}]) > 0 \
                 ORDER BY {key}"
            ),
        ),
    ];
    laws.extend(class_laws(&list));
    laws.push(sample_law());
    laws.extend(cohort.iter().map(|name| {
        (
            format!("SELECT {key}, gt, dosage, phased FROM d.calls WHERE sample_id = '{name}' ORDER BY {key}"),
            format!(
                "SELECT {key}, gt_text(gt, '{name}'), gt_dosage(gt, '{name}'), gt_is_phased(gt, '{name}') \
                 FROM d.variants WHERE gt_text(gt, '{name}') IS NOT NULL ORDER BY {key}"
            ),
        )
    }));
    laws
}

/// Counts of genotypes by class, from their texts: an allele is one character here.
fn class_laws(list: &str) -> Vec<(String, String)> {
    let key = "contig, pos, ref, alt";
    let calls = format!(
        "(SELECT {key}, dosage, sample_id IN ({list}) AS member, \
         replace(replace(gt, '/', ''), '|', '') AS alleles FROM d.calls)"
    );
    let whole = "member AND alleles NOT LIKE '%.%'";
    let (none, het, hom) = (
        "dosage = 0",
        "dosage > 0 AND dosage < length(alleles)",
        "dosage = length(alleles)",
    );
    let n = |class: &str| format!("count(*) FILTER (WHERE {whole} AND {class})");
    let two = |class: &str| n(&format!("length(alleles) = 2 AND {class}"));
    let alt = format!("(2 * {} + {})", two(hom), two(het));
    let other = format!("(2 * {} + {})", two(none), two(het));
    let expected = format!(
        "({alt}::float8 * {other}::float8 / (2.0 * {}::float8))",
        two("true")
    );
    let inbreeding = format!(
        "CASE WHEN {alt} > 0 AND {other} > 0 THEN 1.0 - {}::float8 / {expected} END",
        two(het)
    );
    let missing = "count(*) FILTER (WHERE member AND alleles LIKE '%.%')";
    let members = "count(*) FILTER (WHERE member)";
    let rate = format!("CASE WHEN {members} > 0 THEN {missing}::float8 / {members}::float8 END");
    let cohort = format!("ARRAY(SELECT sample_id FROM d.samples WHERE sample_id IN ({list}))");
    let same = [
        ("gt_hom_ref_count", n("ltrim(alleles, '0') = ''")),
        ("gt_het_count", n(het)),
        ("gt_hom_alt_count", n(hom)),
        ("gt_missing_count", missing.to_owned()),
        ("gt_missing_rate", rate),
        ("gt_inbreeding", inbreeding),
    ];
    let law = |(function, plain): (&str, String)| {
        (
            format!("SELECT {key}, {plain} FROM {calls} GROUP BY {key} ORDER BY {key}"),
            format!("SELECT {key}, {function}(gt, {cohort}) FROM d.variants ORDER BY {key}"),
        )
    };
    same.into_iter().map(law).collect()
}

/// Every function that needs counts only, over a cohort and over everybody: on counts that the scan makes, and on
/// genotypes, which a function that needs them keeps in the plan.
fn counts_law(list: &str) -> (String, String) {
    let key = "contig, pos, ref, alt";
    let functions = [
        "allele_count",
        "allele_number",
        "allele_frequency",
        "call_rate",
        "het_count",
        "hom_alt_count",
        "missing_count",
        "missing_rate",
    ];
    let values = functions.map(|name| format!("gt_{name}(gt), gt_{name}(gt, ARRAY[{list}])"));
    let counted = format!("SELECT {key}, {} FROM d.variants", values.join(", "));
    let on_genotypes =
        format!("{counted} WHERE coalesce(gt_hom_ref_count(gt), 0) >= 0 ORDER BY {key}");
    (on_genotypes, format!("{counted} ORDER BY {key}"))
}

/// Counts by what samples are joined with: calls joined one by one, and counted below the join.
fn joined_laws(samples: &[String]) -> Vec<(String, String)> {
    // Samples are in no group, in one, or in two; a group has nobody, and a row names none.
    let mut rows = vec!["('nobody', 'x', 1)".to_owned(), "(NULL, 'y', 2)".to_owned()];
    for (number, sample) in samples.iter().enumerate().filter(|(n, _)| n % 4 != 3) {
        let group = ["x", "y"][number % 2];
        rows.push(format!("('{sample}', '{group}', {number})"));
        if number % 3 == 0 {
            rows.push(format!("('{sample}', 'z', 7)"));
        }
    }
    let groups = format!("(VALUES {}) AS g(sample_id, grp, w)", rows.join(", "));
    let on = "ON g.sample_id = c.sample_id";
    let questions = [
        format!(
            "SELECT g.grp, count(*), sum(c.dosage), count(c.dosage), count(DISTINCT c.sample_id), max(g.w) \
             FROM CALLS c JOIN {groups} {on} GROUP BY g.grp ORDER BY 1"
        ),
        format!(
            "SELECT g.grp, c.sample_id, count(*) FROM {groups} JOIN CALLS c {on} GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        format!(
            "SELECT count(*), sum(dosage), count(*) FILTER (WHERE dosage = 1) FROM CALLS c JOIN {groups} {on} \
             WHERE g.grp = 'y'"
        ),
        format!("SELECT count(*), sum(dosage) FROM CALLS c JOIN {groups} {on} WHERE g.w = 1"),
        format!("SELECT count(*) FROM CALLS c WHERE sample_id IN (SELECT sample_id FROM {groups})"),
        format!(
            "SELECT sample_id, count(*) FROM CALLS c WHERE NOT EXISTS (SELECT 1 FROM {groups} WHERE \
             g.sample_id = c.sample_id) GROUP BY sample_id ORDER BY 1"
        ),
        format!(
            "SELECT g.grp, c.pos, c.alt, count(*), sum(c.dosage), avg(c.dosage) FROM CALLS c JOIN {groups} {on} \
             GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ),
        format!(
            "SELECT c.pos, c.ref, c.alt, sum(c.dosage) FILTER (WHERE g.grp = 'x'), count(g.w) FILTER (WHERE c.dosage = 1), \
             sum(CASE WHEN g.w > 5 THEN c.dosage ELSE 0 END) FROM CALLS c LEFT JOIN {groups} {on} \
             GROUP BY c.pos, c.ref, c.alt ORDER BY 1, 2, 3"
        ),
        format!(
            "SELECT c.pos, c.alt, sum(c.dosage) FROM CALLS c WHERE c.sample_id IN (SELECT sample_id FROM {groups}) \
             GROUP BY c.pos, c.alt ORDER BY 1, 2"
        ),
        format!(
            "SELECT c.pos, count(*) FROM CALLS c WHERE c.sample_id NOT IN (SELECT sample_id FROM {groups} \
             WHERE sample_id IS NOT NULL) GROUP BY c.pos ORDER BY 1"
        ),
        format!(
            "SELECT g.grp, c.pos, c.alt, count(*), sum(c.dosage) FROM d.variants v \
             JOIN CALLS c USING (contig, pos, ref, alt) JOIN {groups} {on} \
             WHERE v.ac BETWEEN 1 AND 4 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ),
        format!(
            "SELECT left(g.grp, 1), c.dosage, count(*) FROM CALLS c JOIN {groups} {on} AND g.w > length(c.sample_id) \
             GROUP BY 1, 2 ORDER BY 1, 2"
        ),
    ];
    let tables = ["d.carriers", "d.calls"].into_iter().cycle();
    let both = |(question, table): (&String, &str)| {
        let apart = format!("(SELECT * FROM {table} LIMIT 1000000000)");
        (
            question.replace("CALLS", &apart),
            question.replace("CALLS", table),
        )
    };
    questions.iter().zip(tables).map(both).collect()
}

/// Counts of every sample: records through the row of ALT C, which every record has first; A to G is the transition.
fn sample_law() -> (String, String) {
    let whole = "alt = 'C' AND alleles NOT LIKE '%.%'";
    let uniform = "ltrim(alleles, substr(alleles, 1, 1)) = ''";
    let n = |what: &str| format!("count(*) FILTER (WHERE {what})");
    let plain = format!(
        "WITH c AS (SELECT sample_id, alt, dosage, replace(replace(gt, '/', ''), '|', '') AS alleles, \
         sum(dosage) OVER (PARTITION BY contig, pos, ref, alt) AS ac FROM d.calls) \
         SELECT sample_id, {}, {}, {}, {}, {}, {}, {} FROM c GROUP BY sample_id ORDER BY sample_id",
        n(&format!("{whole} AND ltrim(alleles, '0') = ''")),
        n(&format!("{whole} AND NOT {uniform}")),
        n(&format!("{whole} AND {uniform} AND alleles NOT LIKE '0%'")),
        n("alt = 'C' AND alleles LIKE '%.%'"),
        n("alt = 'G' AND dosage > 0"),
        n("alt = 'C' AND dosage > 0"),
        n("ac = 1 AND dosage = 1"),
    );
    let packed = "SELECT sample_id, n_hom_ref, n_het, n_hom_alt, n_missing, n_ts, n_tv, n_singleton \
                  FROM sample_qc('d') ORDER BY sample_id";
    (plain, packed.to_owned())
}

/// Mendelian errors of a trio of one file, from the texts of three calls.
fn mendel_law([child, father, mother]: [&str; 3]) -> (String, String) {
    let key = "contig, pos, ref, alt";
    let of = |who: &str, name: &str| {
        format!(
            "{who} AS (SELECT {key}, replace(replace(gt, '/', ''), '|', '') AS g FROM d.calls \
             WHERE sample_id = '{name}')"
        )
    };
    let whole = |who: &str| format!("({who}.g NOT LIKE '%.%' AND length({who}.g) = 2)");
    let has =
        |who: &str, allele: &str| format!("(NOT {} OR strpos({who}.g, {allele}) > 0)", whole(who));
    let (a, b) = ("substr(child.g, 1, 1)", "substr(child.g, 2, 1)");
    let possible = format!(
        "({} AND {} OR {} AND {})",
        has("father", a),
        has("mother", b),
        has("father", b),
        has("mother", a)
    );
    let own = "child.contig, child.pos, child.ref, child.alt";
    let join = |who: &str| {
        let same = ["contig", "pos", "ref", "alt"].map(|c| format!("{who}.{c} = child.{c}"));
        format!("JOIN {who} ON {}", same.join(" AND "))
    };
    let plain = format!(
        "WITH {}, {}, {} SELECT {own}, CASE WHEN length(child.g) = 2 AND child.g NOT LIKE '%.%' THEN \
         CASE WHEN NOT {possible} THEN true WHEN {} AND {} THEN false END END \
         FROM child {} {} ORDER BY {own}",
        of("child", child),
        of("father", father),
        of("mother", mother),
        whole("father"),
        whole("mother"),
        join("father"),
        join("mother"),
    );
    let packed = format!(
        "SELECT {key}, gt_is_mendel_error(gt, '{child}', '{father}', '{mother}') FROM d.variants \
         WHERE gt_text(gt, '{child}') IS NOT NULL ORDER BY {key}"
    );
    (plain, packed)
}

/// Rows with equal alleles of one file are kept apart by `variants` and put together by GROUP BY: one position once.
fn without_repeats(mut records: Records) -> Records {
    let mut seen = std::collections::HashSet::new();
    records.retain(|(place, ..)| seen.insert(*place));
    records
}

async fn same_answers(context: &SessionContext, plain: &str, packed: &str) {
    let of_calls = run_embedded(context, plain).await.unwrap();
    let of_packed = run_embedded(context, packed).await.unwrap();
    assert_eq!(of_calls, of_packed, "{plain}\n{packed}");
}

async fn plain_equals_packed(first: Records, second: Records) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Arc::new(Lake::memory());
    let mut samples = Vec::new();
    for (records, prefix) in [(first, "A"), (second, "B")] {
        let path = dir.path().join(format!("{prefix}.vcf"));
        std::fs::write(&path, vcf(&records, prefix)).unwrap();
        ingest(&lake, "d", path.to_string_lossy().into_owned()).await;
        samples.extend((0..records[0].2.len()).map(|i| format!("{prefix}{i}")));
    }
    let cohort: Vec<String> = samples.iter().step_by(2).cloned().collect();
    let context = embedded(&lake, 2).await;
    let of_first: Vec<&str> = samples
        .iter()
        .map(String::as_str)
        .filter(|s| s.starts_with('A'))
        .collect();
    let trio = of_first.first_chunk::<3>().map(|trio| mendel_law(*trio));
    for (plain, packed) in laws(&cohort).into_iter().chain(trio) {
        same_answers(&context, &plain, &packed).await;
    }
    let list = cohort.join("', '");
    for (plain, packed) in counting_laws(&format!("'{list}'")) {
        for (query, counts) in [(&plain, false), (&packed, true)] {
            let plan = run_embedded(&context, &format!("EXPLAIN {query}"))
                .await
                .unwrap();
            let counted = plan.concat().concat().contains("CallCountExec");
            assert_eq!(counted, counts, "{query}\n{plan:?}");
        }
        same_answers(&context, &plain, &packed).await;
    }
    for (joined, below) in joined_laws(&samples) {
        for (query, counts) in [(&joined, false), (&below, true)] {
            let plan = run_embedded(&context, &format!("EXPLAIN {query}"))
                .await
                .unwrap();
            let plan = plan.concat().concat();
            assert_eq!(plan.contains("CallCountExec"), counts, "{query}\n{plan}");
        }
        same_answers(&context, &joined, &below).await;
    }
    let (on_genotypes, counted) = counts_law(&format!("'{list}'"));
    for (query, counts) in [(&on_genotypes, false), (&counted, true)] {
        let plan = run_embedded(&context, &format!("EXPLAIN {query}"))
            .await
            .unwrap();
        let by_scan = plan.concat().concat().contains("gt=counts of 2 cohorts");
        assert_eq!(by_scan, counts, "{query}\n{plan:?}");
    }
    same_answers(&context, &on_genotypes, &counted).await;
    // Counts of everybody stand in the site table.
    let everybody = "EXPLAIN SELECT pos, gt_call_rate(gt) FROM d.variants";
    let plan = run_embedded(&context, everybody).await.unwrap();
    let plan = plan.concat().concat();
    assert!(plan.contains("genotypes=skipped, "), "{plan}");
    assert!(plan.contains("gt=counts of 1 cohort,"), "{plan}");
    // Some samples are hidden: counts are over the others, whoever makes them.
    let visible = samples.iter().skip(1).cloned().collect();
    let access = AccessContext::only("reader", [("d".to_owned(), visible)]);
    let reader = embedded_as(&lake, 2, access).await;
    let seen: Vec<&str> = cohort.iter().skip(1).map(String::as_str).collect();
    if !seen.is_empty() {
        let (on_genotypes, counted) = counts_law(&format!("'{}'", seen.join("', '")));
        same_answers(&reader, &on_genotypes, &counted).await;
    }
    // Genotypes of the blocks that hold the named samples, of two batches.
    let named = "EXPLAIN SELECT pos FROM d.variants WHERE gt_is_het(gt, 'B0')";
    let plan = run_embedded(&context, named).await.unwrap();
    assert!(plan.concat().concat().contains("gt_blocks=1/2"), "{plan:?}");
}

/// Aggregates that are counted on packed genotypes, of calls alone and of what they are joined with.
const COUNTED: [&str; 17] = [
    "count(*)",
    "count(c.dosage)",
    "sum(c.dosage)",
    "sum(c.dosage::int)",
    "sum(c.dosage), sum(c.dosage::int), count(c.dosage), count(c.dosage::bigint)",
    "avg(c.dosage)",
    "max(c.dosage)",
    "sum(1)",
    "count(*) FILTER (WHERE c.dosage = 1)",
    "sum(CASE WHEN c.dosage > 0 THEN 1 ELSE 0 END)",
    "sum(CASE WHEN c.dosage > 1 THEN c.dosage END)",
    "count(CASE WHEN c.dosage = 2 THEN 1 END)",
    "sum(CASE WHEN c.dosage > 0 THEN 0 ELSE 1 END), sum(CASE c.dosage WHEN 2 THEN 1 ELSE 0 END)",
    "sum(CASE WHEN p.sex = 'female' THEN 0 ELSE c.dosage END)",
    "sum(CASE WHEN p.sex = 'female' THEN c.dosage ELSE 0 END)",
    "sum(CASE WHEN p.sex = 'male' AND c.dosage > 0 THEN 1 ELSE 0 END)",
    "avg(c.dosage) FILTER (WHERE p.sex = 'female')",
];

/// A session types constants and sums as PostgreSQL does: what it counts is counted all the same.
#[tokio::test]
async fn sessions_count_each_aggregate() {
    let lake = lake().await;
    let mut rows = 0;
    for partitions in [1, 2] {
        let mut session = session(&lake, partitions);
        let mut texts = async |sql: &str| {
            let rows = run_session(&mut session, sql).await;
            rows.unwrap_or_else(|failure| panic!("{failure:?}: {sql}"))
        };
        for aggregate in COUNTED {
            let beside = aggregate.contains("p.");
            for joined in ["", "JOIN clin.person p USING (sample_id)"] {
                if beside && joined.is_empty() {
                    continue;
                }
                let question = |calls: &str| {
                    format!(
                        "SELECT c.pos, c.alt, {aggregate} FROM {calls} c {joined} GROUP BY c.pos, c.alt ORDER BY 1, 2"
                    )
                };
                let packed = question("demo.calls");
                let plan = texts(&format!("EXPLAIN {packed}")).await.concat().concat();
                assert!(plan.contains("CallCountExec"), "{packed}\n{plan}");
                let made = texts(&question("(SELECT * FROM demo.calls LIMIT 1000000)")).await;
                rows += made.len();
                assert_eq!(texts(&packed).await, made, "{packed}");
            }
        }
    }
    assert!(rows > 100, "{rows} rows were compared");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn plain_sql_and_packed_functions_agree(first in any_file(), second in any_file()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(plain_equals_packed(without_repeats(first), without_repeats(second)));
    }
}
