//! EXPLAIN tells of what one may see: columns that were granted, and nothing that hidden people decide.

use std::fmt::Write as _;

use super::setup::{CONDITION, Lake, PERSON, RoleFile, Server, VCF, rows};

/// Fails without: `VisibleExec::is_whole`.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_no_key_that_was_not_granted() {
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    roles.run(&["grant", "ann", "clin.person", "--columns", "person_id,sex"]);
    roles.run(&["grant", "ann", "clin.condition", "--columns", "name"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    let server = Server::with_roles(&roles);
    let ann = server.connect("ann").await;
    assert_eq!(
        rows(&ann, "select sex from clin.person order by 1").await,
        ["female", "male"]
    );
    for form in [
        "explain",
        "explain verbose",
        "explain analyze",
        "explain (analyze, verbose)",
        "explain (format json)",
    ] {
        for (table, column) in [("clin.person", "sex"), ("clin.condition", "name")] {
            let sql = format!("{form} select {column} from {table}");
            let Ok(told) = ann.simple_query(&sql).await else {
                continue;
            };
            let told = format!("{told:?}");
            for key in ["sample_id", "family_id", "person_id"] {
                assert!(!told.contains(key), "{sql}: {told}");
            }
        }
    }
    let told = rows(&ann, "explain select sex from clin.person")
        .await
        .concat();
    assert!(told.contains("VisibleExec: columns=[sex]"), "{told}");
}

/// Somebody's calls at the positions of [`VCF`].
fn of_others(names: &[&str], calls: [&str; 3]) -> String {
    let mut text = String::new();
    let cells = |call: &str| format!("\t{call}:9").repeat(names.len());
    let mut lines = VCF.lines();
    for line in lines
        .by_ref()
        .take_while(|line| !line.starts_with("#CHROM"))
    {
        writeln!(text, "{line}").unwrap();
    }
    let fixed = |line: &str| line.split('\t').take(9).collect::<Vec<_>>().join("\t");
    let head = VCF.lines().find(|line| line.starts_with("#CHROM")).unwrap();
    writeln!(text, "{}\t{}", fixed(head), names.join("\t")).unwrap();
    for (line, call) in lines.zip(calls) {
        writeln!(text, "{}{}", fixed(line), cells(call)).unwrap();
    }
    text
}

/// Two lakes in which the same people are visible; in the second more are hidden, of more inputs.
fn lakes() -> [Lake; 2] {
    let more_people = |n: usize| {
        (0..n).fold(PERSON.to_owned(), |mut text, i| {
            let _ = writeln!(text, "H{i},X{i},male,G{i},0");
            text
        })
    };
    let one = Lake::make(VCF, PERSON, CONDITION);
    let other = Lake::make(VCF, &more_people(20_000), CONDITION);
    let hidden = of_others(&["H1", "H2"], ["0/1", "1/1", "0/0"]);
    let inputs = |lake: &Lake, n: usize| {
        for input in 0..n {
            let text = hidden
                .replace("H1", &format!("H{input}a"))
                .replace("H2", &format!("H{input}b"));
            let file = lake.file(&format!("hidden{input}.vcf"), &text);
            lake.ingest(&["vcf", "--dataset", "lab"], &file);
        }
    };
    inputs(&one, 1);
    inputs(&other, 3);
    [one, other]
}

/// Fails without: `sees_all` in `Choice` and in `fmt_as` of scans, `VisibleExec::is_whole`.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_depends_on_no_hidden_person() {
    let lakes = lakes();
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.*", "clin.*"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    let path = roles.path();
    let server = |lake: &Lake| {
        let args = ["--roles", path.to_str().unwrap(), "--set", "partitions=2"];
        Server::on(lake, &args)
    };
    let servers = lakes.each_ref().map(server);
    let one = servers[0].connect("ann").await;
    let other = servers[1].connect("ann").await;
    assert_eq!(rows(&one, "select count(*) from clin.person").await, ["2"]);
    for sql in [
        "select dp from lab.calls",
        "select dp from lab.calls where sample_id = 'S1'",
        "select sample_id from lab.carriers where pos = 100",
        "select gt_allele_count(gt, array['S1']) from lab.variants",
        "select gt_text(gt, 'S2') from lab.variants",
        "select * from clin.person",
        "select sex, count(*) from clin.person group by sex",
        "select * from clin.condition d join clin.person p using (person_id)",
        "select * from clin.person p join clin.condition d using (person_id) order by name",
        "select * from clin.person p where exists (select 1 from clin.condition d where d.person_id = p.person_id)",
    ] {
        for form in ["explain", "explain verbose", "explain analyze"] {
            let sql = format!("{form} {sql}");
            assert_eq!(rows(&one, &sql).await, rows(&other, &sql).await, "{sql}");
        }
    }
}
