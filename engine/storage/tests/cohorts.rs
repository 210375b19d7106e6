//! Cohorts of a lake: written whole, read back, dropped; two writers of one collide, and others do not.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;

use genokura_storage::{CohortState, CommitOutcome, Lake};

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn of(owner: &str) -> CohortState {
    CohortState {
        owner: owner.to_owned(),
        created: "2026-01-02T03:04:05.678Z".to_owned(),
    }
}

fn committed(outcome: CommitOutcome) -> bool {
    matches!(outcome, CommitOutcome::Committed(_))
}

#[tokio::test]
async fn a_cohort_is_written_replaced_and_dropped() {
    let lake = Lake::memory();
    let base = lake.snapshot().await.unwrap();
    let many: BTreeSet<String> = (0..20_000).map(|n| format!("S{n:05}")).collect();
    assert!(committed(
        lake.put_cohort(&base, "cases", of("ann"), &many)
            .await
            .unwrap()
    ));
    let first = lake.snapshot().await.unwrap();
    assert_eq!(
        first.cohort_members("cases").await.unwrap(),
        Some(many.clone())
    );
    assert_eq!(first.cohort_members("never").await.unwrap(), None);
    assert_eq!(first.cohorts().collect::<Vec<_>>(), [("cases", &of("ann"))]);
    // An older program would lose the cohorts: it is told that it is too old.
    assert_eq!(lake.read_commit(0).await.unwrap().format, 2);

    let few = names(&["S1", "S2"]);
    assert!(committed(
        lake.put_cohort(&first, "cases", of("ann"), &few)
            .await
            .unwrap()
    ));
    assert!(committed(
        lake.put_cohort(&first, "nobody", of("bob"), &names(&[]))
            .await
            .unwrap()
    ));
    let second = lake.snapshot().await.unwrap();
    assert_eq!(second.cohort_members("cases").await.unwrap(), Some(few));
    assert_eq!(
        second.cohort_members("nobody").await.unwrap(),
        Some(names(&[]))
    );
    // What was pinned stays readable.
    assert_eq!(first.cohort_members("cases").await.unwrap(), Some(many));

    let both = ["cases", "nobody"].map(str::to_owned);
    assert!(committed(lake.drop_cohorts(&second, both).await.unwrap()));
    let third = lake.snapshot().await.unwrap();
    assert_eq!(third.cohorts().count() + third.tables().count(), 0);
    assert_eq!(
        lake.read_commit(third.version.unwrap())
            .await
            .unwrap()
            .format,
        1
    );

    // The name begins anew: nothing of its old rows comes back.
    assert!(committed(
        lake.put_cohort(&third, "cases", of("bob"), &names(&["S9"]))
            .await
            .unwrap()
    ));
    let fourth = lake.snapshot().await.unwrap();
    assert_eq!(
        fourth.cohort_members("cases").await.unwrap(),
        Some(names(&["S9"]))
    );
    assert!(lake.verify(|_, _| {}).await.unwrap().is_whole());
}

#[tokio::test]
async fn writers_of_one_cohort_collide() {
    let lake = Lake::memory();
    let base = lake.snapshot().await.unwrap();
    let (one, two) = (names(&["S1"]), names(&["S2"]));
    assert!(committed(
        lake.put_cohort(&base, "a", of("ann"), &one).await.unwrap()
    ));
    // Planned before the other landed.
    assert!(!committed(
        lake.put_cohort(&base, "a", of("bob"), &two).await.unwrap()
    ));
    assert!(committed(
        lake.put_cohort(&base, "b", of("bob"), &two).await.unwrap()
    ));
    let both = lake.snapshot().await.unwrap();
    assert_eq!(both.cohort_members("a").await.unwrap(), Some(one.clone()));
    assert!(committed(
        lake.put_cohort(&both, "a", of("ann"), &two).await.unwrap()
    ));
    assert!(!committed(
        lake.drop_cohorts(&both, ["a".to_owned()]).await.unwrap()
    ));
    let newest = lake.snapshot().await.unwrap();
    assert!(committed(
        lake.drop_cohorts(&newest, ["a".to_owned()]).await.unwrap()
    ));
    assert!(!committed(
        lake.put_cohort(&newest, "a", of("ann"), &one)
            .await
            .unwrap()
    ));
}
