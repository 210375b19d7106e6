//! The contract of a lake, the same on every store: what is committed is visible as a whole,
//! what is not is invisible, and two writers at once both land or one is told why not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Kit, append, dataset_change, ids, plain_change, read_ids, schema, write};
use genokura_storage::{CommitOutcome, Lake, LakeChange, TableId};

/// Runs every rule on lakes made by `kit`.
macro_rules! contract {
    ($store:ident) => {
        mod $store {
            use super::*;
            contract!(@tests $store, [
                an_empty_lake_has_no_version,
                a_table_without_files_can_be_made,
                rows_come_back_as_they_were_written,
                blobs_and_lists_come_back,
                columns_are_added_and_older_rows_have_null,
                a_column_keeps_its_type,
                files_without_a_lake_commit_are_invisible,
                a_dead_writer_leaves_nothing_behind,
                a_dead_creator_leaves_nothing_behind,
                two_writers_of_one_table_both_land,
                a_slow_writer_whose_files_were_removed_adds_them_again,
                many_writers_at_once_all_land,
                two_ingests_of_one_dataset_merge,
                one_input_lands_once,
                replacing_drops_rows_and_columns,
                replacing_what_another_changed_is_a_conflict,
                old_versions_stay_readable,
                a_lake_in_the_place_of_another_is_not_written,
                batch_numbers_are_never_given_twice,
                verify_finds_damage,
                statistics_reach_the_log,
                checkpoints_do_not_change_what_is_read,
            ]);
        }
    };
    (@tests $store:ident, [$($test:ident),* $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&Kit::$store(stringify!($test)).await).await;
            }
        )*
    };
}

contract!(memory);
contract!(local);
contract!(s3);

async fn commit(lake: &Lake, change: LakeChange) -> CommitOutcome {
    let base = lake.snapshot().await.unwrap();
    lake.commit(&base, change).await.unwrap()
}

async fn landed(lake: &Lake, change: LakeChange) -> u64 {
    match commit(lake, change).await {
        CommitOutcome::Committed(snapshot) => snapshot.version.unwrap(),
        CommitOutcome::Conflict { reason, .. } => panic!("{reason}"),
    }
}

fn table() -> TableId {
    TableId::new("demo", "site")
}

async fn a_table_without_files_can_be_made(kit: &Kit) {
    let lake = kit.lake().await;
    let id = TableId::new("cohort", "format");
    landed(&lake, append(&id, Vec::new())).await;
    let snapshot = lake.snapshot().await.unwrap();
    let table = snapshot.table(&id).await.unwrap().unwrap();
    assert_eq!((table.files.len(), table.rows()), (0, 0));
}

async fn an_empty_lake_has_no_version(kit: &Kit) {
    let lake = kit.lake().await;
    assert_eq!(lake.snapshot().await.unwrap().version, None);
    assert!(lake.log().await.unwrap().is_empty());
    let error = Lake::open(kit.url()).await.unwrap_err().to_string();
    assert!(error.contains("genokura ingest"), "{error}");
}

async fn rows_come_back_as_they_were_written(kit: &Kit) {
    let lake = kit.lake().await;
    let files = write(
        &lake,
        &table(),
        &[("chr1:0", 0..5000), ("chr1:1", 5000..7000)],
    )
    .await;
    assert_eq!(files.len(), 2);
    assert_eq!(landed(&lake, append(&table(), files)).await, 0);

    let fresh = kit.reopen().await;
    let snapshot = fresh.snapshot().await.unwrap();
    assert_eq!(snapshot.version, Some(0));
    let site = snapshot.table(&table()).await.unwrap().unwrap();
    assert_eq!(site.rows(), 7000);
    assert_eq!(site.partition_columns, ["pos_bin"]);
    let bins: Vec<_> = site
        .files
        .iter()
        .map(|f| f.pos_bin.clone().unwrap())
        .collect();
    assert_eq!(bins, ["chr1:0", "chr1:1"]);
    assert_eq!(ids(&fresh, &site).await, (0..7000).collect::<Vec<i64>>());
}

async fn blobs_and_lists_come_back(kit: &Kit) {
    use arrow::datatypes::DataType;
    use genokura_storage::{FileReader, ReadPlan};
    let lake = kit.lake().await;
    let files = write(&lake, &table(), &[("chr1:0", 0..1000)]).await;
    landed(&lake, append(&table(), files)).await;
    let snapshot = lake.snapshot().await.unwrap();
    let site = snapshot.table(&table()).await.unwrap().unwrap();
    let reader = FileReader::open(&lake, &site.files[0]).await.unwrap();
    let plan = ReadPlan::of(std::sync::Arc::clone(&site.schema));
    let batches = common::collect(reader.read(plan).unwrap()).await;
    let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    assert_eq!(batch.num_rows(), 1000);
    let type_of = |name: &str| batch.column_by_name(name).unwrap().data_type().clone();
    assert_eq!(type_of("gt"), DataType::BinaryView);
    let item = arrow::datatypes::Field::new("item", DataType::Utf8, true);
    assert_eq!(type_of("ids"), DataType::List(std::sync::Arc::new(item)));
    assert_eq!(type_of("pos_bin"), DataType::Utf8);
    let want = common::rows(0..1000);
    for name in ["vid", "pos", "contig", "qual", "small"] {
        assert_eq!(
            batch.column_by_name(name),
            want.column_by_name(name),
            "{name}"
        );
    }
    let lists = batch.column_by_name("ids").unwrap();
    assert_eq!(lists, want.column_by_name("ids").unwrap());
    let blobs = arrow::compute::cast(batch.column_by_name("gt").unwrap(), &DataType::Binary);
    assert_eq!(&blobs.unwrap(), want.column_by_name("gt").unwrap());
    let comment = site
        .schema
        .field_with_name("pos")
        .unwrap()
        .metadata()
        .get("comment")
        .cloned();
    assert_eq!(comment.as_deref(), Some("Position, 1-based"));
}

async fn columns_are_added_and_older_rows_have_null(kit: &Kit) {
    let lake = kit.lake().await;
    let first = write(&lake, &table(), &[("chr1:0", 0..10)]).await;
    landed(&lake, append(&table(), first)).await;
    let (change, _) = common::append_with_column(&lake, &table(), "info_new", 10..15).await;
    landed(&lake, change).await;
    let snapshot = kit.reopen().await.snapshot().await.unwrap();
    let site = snapshot.table(&table()).await.unwrap().unwrap();
    assert_eq!(common::non_null(&lake, &site, "info_new").await, (15, 5));
}

async fn a_column_keeps_its_type(kit: &Kit) {
    let lake = kit.lake().await;
    let id = TableId::new("clin", "person");
    landed(
        &lake,
        plain_change(&lake, &id, "age", common::Kind::Int, 3, false).await,
    )
    .await;
    let change = plain_change(&lake, &id, "age", common::Kind::Text, 3, false).await;
    let base = lake.snapshot().await.unwrap();
    let error = lake.commit(&base, change).await.unwrap_err().to_string();
    assert!(
        error.contains("clin/person") && error.contains("\"age\""),
        "{error}"
    );
    assert_eq!(lake.snapshot().await.unwrap().version, Some(0));
}

async fn files_without_a_lake_commit_are_invisible(kit: &Kit) {
    let lake = kit.lake().await;
    let first = write(&lake, &table(), &[("chr1:0", 0..10)]).await;
    landed(&lake, append(&table(), first)).await;
    common::die_before_lake_commit(&lake, &table(), 100..200).await;
    let fresh = kit.reopen().await;
    assert_eq!(
        read_ids(&fresh, &table()).await,
        (0..10).collect::<Vec<i64>>()
    );
    let report = fresh.verify(|_, _| ()).await.unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.ahead, [(table(), 1)]);
}

async fn a_dead_writer_leaves_nothing_behind(kit: &Kit) {
    let lake = kit.lake().await;
    let first = write(&lake, &table(), &[("chr1:0", 0..10)]).await;
    landed(&lake, append(&table(), first)).await;
    common::die_before_lake_commit(&lake, &table(), 100..200).await;
    common::die_with_column(&lake, &table(), "info_dead", 200..210).await;
    let second = write(&lake, &table(), &[("chr1:0", 10..20)]).await;
    landed(&lake, append(&table(), second)).await;

    let fresh = kit.reopen().await;
    assert_eq!(
        read_ids(&fresh, &table()).await,
        (0..20).collect::<Vec<i64>>()
    );
    let snapshot = fresh.snapshot().await.unwrap();
    let site = snapshot.table(&table()).await.unwrap().unwrap();
    assert!(
        site.schema.field_with_name("info_dead").is_err(),
        "the dead writer's column shows"
    );
    // Readers from outside see the tip of the Delta log, which is the pinned version again.
    assert!(fresh.verify(|_, _| ()).await.unwrap().ahead.is_empty());
}

async fn a_dead_creator_leaves_nothing_behind(kit: &Kit) {
    let lake = kit.lake().await;
    let id = TableId::new("clin", "person");
    let dead = plain_change(&lake, &id, "age", common::Kind::Text, 7, false).await;
    common::delta_only(&lake, dead).await;
    landed(
        &lake,
        plain_change(&lake, &id, "age", common::Kind::Int, 3, false).await,
    )
    .await;
    let snapshot = kit.reopen().await.snapshot().await.unwrap();
    let person = snapshot.table(&id).await.unwrap().unwrap();
    assert_eq!(person.rows(), 3);
    let age = person
        .schema
        .field_with_name("age")
        .unwrap()
        .data_type()
        .clone();
    assert_eq!(age, arrow::datatypes::DataType::Int32);
}

async fn two_writers_of_one_table_both_land(kit: &Kit) {
    let lake = kit.lake().await;
    let base = lake.snapshot().await.unwrap();
    let one = append(&table(), write(&lake, &table(), &[("chr1:0", 0..10)]).await);
    let two = append(
        &table(),
        write(&lake, &table(), &[("chr1:0", 10..20)]).await,
    );
    for change in [one, two] {
        let outcome = lake.commit(&base, change).await.unwrap();
        assert!(
            matches!(outcome, CommitOutcome::Committed(_)),
            "{outcome:?}"
        );
    }
    assert_eq!(
        read_ids(&kit.reopen().await, &table()).await,
        (0..20).collect::<Vec<i64>>()
    );
}

async fn a_slow_writer_whose_files_were_removed_adds_them_again(kit: &Kit) {
    let lake = kit.lake().await;
    let base = lake.snapshot().await.unwrap();
    let slow = append(&table(), write(&lake, &table(), &[("chr1:0", 0..10)]).await);
    // The slow writer made its Delta version and pauses; another one lands and removes its file.
    common::delta_only(&lake, slow.clone()).await;
    let quick = write(&lake, &table(), &[("chr1:0", 10..20)]).await;
    landed(&lake, append(&table(), quick)).await;
    let outcome = lake.commit(&base, slow).await.unwrap();
    assert!(
        matches!(outcome, CommitOutcome::Committed(_)),
        "{outcome:?}"
    );
    assert_eq!(
        read_ids(&kit.reopen().await, &table()).await,
        (0..20).collect::<Vec<i64>>()
    );
}

async fn many_writers_at_once_all_land(kit: &Kit) {
    const WRITERS: i64 = 6;
    let lake = kit.lake().await;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let lake = kit.reopen().await;
        tasks.push(tokio::spawn(async move {
            let base = lake.snapshot().await.unwrap();
            let rows = writer * 10..writer * 10 + 10;
            let mut change = append(&table(), write(&lake, &table(), &[("chr1:0", rows)]).await);
            let own = TableId::new(format!("own{writer}"), "site");
            let files = write(&lake, &own, &[("chr1:0", 0..5)]).await;
            change.tables.extend(append(&own, files).tables);
            let outcome = lake.commit(&base, change).await.unwrap();
            assert!(
                matches!(outcome, CommitOutcome::Committed(_)),
                "{outcome:?}"
            );
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        read_ids(&lake, &table()).await,
        (0..WRITERS * 10).collect::<Vec<i64>>()
    );
    let snapshot = lake.snapshot().await.unwrap();
    assert_eq!(snapshot.version, Some(u64::try_from(WRITERS).unwrap() - 1));
    assert_eq!(
        snapshot.tables().count(),
        usize::try_from(WRITERS).unwrap() + 1
    );
}

async fn two_ingests_of_one_dataset_merge(kit: &Kit) {
    let lake = kit.lake().await;
    let base = lake.snapshot().await.unwrap();
    let one = dataset_change(&lake, "demo", 0, "sha256:a", "AF", 0..10).await;
    let two = dataset_change(&lake, "demo", 1, "sha256:b", "DP", 10..20).await;
    for change in [one, two] {
        let outcome = lake.commit(&base, change).await.unwrap();
        assert!(
            matches!(outcome, CommitOutcome::Committed(_)),
            "{outcome:?}"
        );
    }
    let snapshot = kit.reopen().await.snapshot().await.unwrap();
    let demo = snapshot.dataset("demo").unwrap();
    assert_eq!(
        demo.batches.iter().map(|b| b.batch).collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(
        demo.blocks.iter().map(|b| b.block).collect::<Vec<_>>(),
        [0, 1 << 12]
    );
    assert_eq!(
        demo.info.iter().map(|f| f.key.as_str()).collect::<Vec<_>>(),
        ["AF", "DP"]
    );
    assert_eq!(demo.contigs.len(), 1);
    assert!(demo.has_input("sha256:a") && demo.has_input("sha256:b"));
    assert!(lake.verify(|_, _| ()).await.unwrap().is_whole());
}

async fn one_input_lands_once(kit: &Kit) {
    let lake = kit.lake().await;
    let base = lake.snapshot().await.unwrap();
    let one = dataset_change(&lake, "demo", 0, "sha256:a", "AF", 0..10).await;
    let again = dataset_change(&lake, "demo", 1, "sha256:a", "AF", 0..10).await;
    assert!(matches!(
        lake.commit(&base, one).await.unwrap(),
        CommitOutcome::Committed(_)
    ));
    let outcome = lake.commit(&base, again).await.unwrap();
    let CommitOutcome::Conflict { version, reason } = outcome else {
        panic!("landed twice")
    };
    assert_eq!(version, 0);
    assert!(reason.contains("same content"), "{reason}");
    assert_eq!(
        read_ids(&lake, &table()).await,
        (0..10).collect::<Vec<i64>>()
    );
}

async fn replacing_drops_rows_and_columns(kit: &Kit) {
    let lake = kit.lake().await;
    let id = TableId::new("clin", "person");
    landed(
        &lake,
        plain_change(&lake, &id, "age", common::Kind::Int, 3, false).await,
    )
    .await;
    landed(
        &lake,
        plain_change(&lake, &id, "sex", common::Kind::Text, 2, true).await,
    )
    .await;
    let snapshot = kit.reopen().await.snapshot().await.unwrap();
    let person = snapshot.table(&id).await.unwrap().unwrap();
    assert_eq!(person.rows(), 2);
    let names: Vec<_> = person
        .schema
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .collect();
    assert_eq!(names, ["person_id", "sex"]);
    // And a replaced table goes on as any other.
    landed(
        &lake,
        plain_change(&lake, &id, "sex", common::Kind::Text, 4, false).await,
    )
    .await;
    let snapshot = lake.snapshot().await.unwrap();
    assert_eq!(snapshot.table(&id).await.unwrap().unwrap().rows(), 6);
}

async fn replacing_what_another_changed_is_a_conflict(kit: &Kit) {
    let lake = kit.lake().await;
    let id = TableId::new("clin", "person");
    let base = lake.snapshot().await.unwrap();
    let append = plain_change(&lake, &id, "age", common::Kind::Int, 3, false).await;
    let replace = plain_change(&lake, &id, "age", common::Kind::Int, 9, true).await;
    assert!(matches!(
        lake.commit(&base, append).await.unwrap(),
        CommitOutcome::Committed(_)
    ));
    let outcome = lake.commit(&base, replace).await.unwrap();
    assert!(
        matches!(outcome, CommitOutcome::Conflict { version: 0, .. }),
        "{outcome:?}"
    );
}

async fn a_lake_in_the_place_of_another_is_not_written(kit: &Kit) {
    use object_store::ObjectStoreExt as _;

    let lake = kit.lake().await;
    let first = write(&lake, &table(), &[("chr1:0", 0..10)]).await;
    landed(&lake, append(&table(), first)).await;
    let second = write(&lake, &table(), &[("chr1:0", 10..20)]).await;
    let newest = landed(&lake, append(&table(), second)).await;
    let more = append(
        &table(),
        write(&lake, &table(), &[("chr1:0", 20..30)]).await,
    );
    // Another commit of that number, as of a lake that went another way.
    let path = lake.layout().commit(newest);
    let own = lake
        .store()
        .get(&path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let id = lake.read_commit(newest).await.unwrap().id;
    let other = String::from_utf8(own.to_vec()).unwrap();
    let other = other.replace(&id, "00000000-0000-0000-0000-000000000000");
    lake.store().put(&path, other.into()).await.unwrap();
    let replaced = |outcome: genokura_storage::Result<CommitOutcome>| matches!(outcome, Err(genokura_storage::Error::Replaced { version }) if version == newest);
    let base = lake.snapshot().await.unwrap();
    assert!(replaced(lake.commit(&base, more.clone()).await));
    // None of it, as of a backup.
    lake.store().delete(&path).await.unwrap();
    assert!(replaced(lake.commit(&base, more.clone()).await));
    let restored = kit.reopen().await;
    assert_eq!(
        read_ids(&restored, &table()).await,
        (0..10).collect::<Vec<i64>>()
    );
    // The same lake is written again.
    lake.store().put(&path, own.into()).await.unwrap();
    assert!(matches!(
        lake.commit(&base, more).await,
        Ok(CommitOutcome::Committed(_))
    ));
    assert_eq!(
        read_ids(&kit.reopen().await, &table()).await,
        (0..30).collect::<Vec<i64>>()
    );
}

async fn old_versions_stay_readable(kit: &Kit) {
    let lake = kit.lake().await;
    let first = write(&lake, &table(), &[("chr1:0", 0..10)]).await;
    landed(&lake, append(&table(), first)).await;
    let old = lake.snapshot().await.unwrap();
    let second = write(&lake, &table(), &[("chr1:0", 10..20)]).await;
    landed(&lake, append(&table(), second)).await;
    let held = old.table(&table()).await.unwrap().unwrap();
    assert_eq!(ids(&lake, &held).await, (0..10).collect::<Vec<i64>>());
    let fresh = kit.reopen().await;
    let travelled = fresh
        .snapshot_at(0)
        .await
        .unwrap()
        .table(&table())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ids(&fresh, &travelled).await, (0..10).collect::<Vec<i64>>());
    assert_eq!(
        read_ids(&fresh, &table()).await,
        (0..20).collect::<Vec<i64>>()
    );
    let log = fresh.log().await.unwrap();
    assert_eq!(log.iter().map(|c| c.version).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(log[1].changes[0].rows, 10);
}

async fn batch_numbers_are_never_given_twice(kit: &Kit) {
    let lake = kit.lake().await;
    let other = kit.reopen().await;
    let taken = tokio::join!(
        lake.reserve_batch("demo"),
        other.reserve_batch("demo"),
        lake.reserve_batch("demo"),
        other.reserve_batch("else")
    );
    let mut demo = [taken.0.unwrap(), taken.1.unwrap(), taken.2.unwrap()];
    demo.sort_unstable();
    assert_eq!(demo, [0, 1, 2]);
    assert_eq!(taken.3.unwrap(), 0);
    assert!(lake.reserve_batch("../x").await.is_err());
}

async fn verify_finds_damage(kit: &Kit) {
    use object_store::ObjectStoreExt as _;
    let lake = kit.lake().await;
    let files = write(&lake, &table(), &[("chr1:0", 0..10), ("chr1:1", 10..20)]).await;
    landed(&lake, append(&table(), files.clone())).await;
    assert!(lake.verify(|_, _| ()).await.unwrap().is_whole());
    lake.store().delete(&files[0].path).await.unwrap();
    lake.store()
        .put(&files[1].path, "not Parquet".into())
        .await
        .unwrap();
    let report = kit.reopen().await.verify(|_, _| ()).await.unwrap();
    assert_eq!(report.files, 2);
    let mut found: Vec<_> = report.problems.iter().map(|p| p.what.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("bytes, the log says"), "{found:?}");
    assert_eq!(found[1], "the file is missing");
}

async fn statistics_reach_the_log(kit: &Kit) {
    let lake = kit.lake().await;
    let files = write(&lake, &table(), &[("chr1:0", 0..5000)]).await;
    landed(&lake, append(&table(), files.clone())).await;
    let snapshot = kit.reopen().await.snapshot().await.unwrap();
    let site = snapshot.table(&table()).await.unwrap().unwrap();
    let file = &site.files[0];
    assert_eq!(file.stats, files[0].stats);
    assert_eq!(file.stats.int_range("vid"), Some((0, 4999)));
    assert_eq!(file.stats.int_range("pos"), Some((100, 5099)));
    assert_eq!(
        file.stats
            .column("contig")
            .unwrap()
            .min
            .as_ref()
            .unwrap()
            .as_str(),
        Some("chr1")
    );
    assert_eq!(file.stats.column("vid").unwrap().null_count, Some(0));
    assert!(
        file.stats.column("gt").is_none(),
        "blobs have no statistics"
    );
    let reader = genokura_storage::FileReader::open(&lake, file)
        .await
        .unwrap();
    let group = reader.row_groups().next().unwrap();
    assert_eq!(group.int_range("pos"), Some((100, 5099)));
    let near = reader.pages_where(0, "pos", |min, max| min <= 150 && max >= 150);
    assert!(
        near.row_count() < 5000,
        "the page index prunes: {}",
        near.row_count()
    );
    let schema = schema();
    let blob = reader
        .metadata()
        .row_group(0)
        .column(schema.index_of("gt").unwrap());
    assert!(blob.statistics().is_none() && blob.dictionary_page_offset().is_none());
}

async fn checkpoints_do_not_change_what_is_read(kit: &Kit) {
    use futures::TryStreamExt as _;
    let lake = kit.lake().await;
    let commits = if kit.is_slow() { 23 } else { 45 };
    for n in 0..commits {
        let files = write(&lake, &table(), &[("chr1:0", n..n + 1)]).await;
        landed(&lake, append(&table(), files)).await;
    }
    let fresh = kit.reopen().await;
    assert_eq!(
        read_ids(&fresh, &table()).await,
        (0..commits).collect::<Vec<i64>>()
    );
    let log = lake.layout().table(&table()).join("_delta_log");
    let objects: Vec<_> = lake.store().list(Some(&log)).try_collect().await.unwrap();
    let parquet = objects
        .iter()
        .filter(|o| o.location.as_ref().ends_with(".parquet"))
        .count();
    assert!(parquet > 0, "no checkpoint was written");
    let middle = fresh
        .snapshot_at(10)
        .await
        .unwrap()
        .table(&table())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ids(&fresh, &middle).await, (0..11).collect::<Vec<i64>>());
}
