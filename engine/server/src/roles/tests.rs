//! What role files, grants and rights come to.

#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use super::*;

fn role(name: &str) -> Role {
    Role {
        name: name.to_owned(),
        ..Role::default()
    }
}

#[test]
fn a_role_file_is_written_read_and_seen_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roles.toml");
    let (writer, reader) = (
        RoleStore::open_or_create(&path).unwrap(),
        RoleStore::open(&path).unwrap(),
    );
    assert!(!reader.authenticates());
    let mut ann = role("ann");
    ann.password = Some(ScramKeys::generate("hunter2").unwrap());
    let mut cohort = Grant::new("cohort.*".parse().unwrap(), None);
    cohort.except.insert(grant::Part {
        on: "cohort.calls".parse().unwrap(),
        columns: None,
    });
    ann.grants.insert(cohort);
    ann.usage.insert("clin".to_owned(), false);
    ann.samples = Some([("cohort".to_owned(), BTreeSet::from(["S1".to_owned()]))].into());
    ann.limits.rows = Some(7);
    writer.update(|roles| roles.add(ann.clone())).unwrap();
    ann.id = reader.current().get("ann").unwrap().id.clone();
    assert!(ann.id.is_some());
    assert_eq!(reader.current().get("ann").unwrap().as_ref(), &ann);
    let everybody = |roles: &mut Roles| {
        roles
            .rights_mut(PUBLIC)?
            .usage
            .insert("kb".to_owned(), true);
        Ok(())
    };
    writer.update(everybody).unwrap();
    assert_eq!(reader.current().public().usage.get("kb"), Some(&true));
    assert_eq!(reader.current().get("ann").unwrap().as_ref(), &ann);
    assert!(reader.authenticates());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let error = writer.update(|roles| roles.add(role("ann"))).unwrap_err();
    assert_eq!(error.to_string(), "role \"ann\" already exists");
}

#[test]
fn a_server_that_asked_for_passwords_goes_on_asking() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roles.toml");
    let store = RoleStore::open_or_create(&path).unwrap();
    store.update(|roles| roles.add(role("ann"))).unwrap();
    store.update(|roles| roles.remove("ann")).unwrap();
    assert!(store.current().is_empty() && store.authenticates());
    assert_eq!(store.authorise("ann", None).unwrap_err().code(), "57P01");
    std::fs::remove_file(&path).unwrap();
    assert!(store.authenticates());
    std::fs::write(&path, "nonsense").unwrap();
    assert!(store.authenticates());
}

#[cfg(unix)]
#[test]
fn a_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roles.toml");
    RoleStore::open_or_create(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = format!("{:#}", RoleStore::open(&path).unwrap_err());
    assert!(error.contains("mode 644"), "{error}");
}

#[test]
fn without_a_grant_nothing_is_readable() {
    let nothing = Public::default();
    let access = role("ann").access(&nothing);
    assert!(access.columns("cohort", "variants").is_none());
    let admin = Role {
        admin: true,
        ..role("root")
    };
    let access = admin.access(&nothing);
    assert!(access.columns("cohort", "variants").is_some());
}

#[test]
fn a_role_may_do_what_it_was_given_and_what_everybody_was() {
    let all_of = |schema: &str| [Grant::new(Target::Schema(schema.to_owned()), None)].into();
    let said = |schema: &str, on| [(schema.to_owned(), on)].into();
    let ann = Role {
        grants: all_of("c"),
        ..role("ann")
    };
    let closed = Role {
        usage: said("c", false),
        ..ann.clone()
    };
    let reads = |role: &Role, public: &Public| role.access(public).columns("c", "t").is_some();
    let nobody = Public::default();
    assert!(reads(&ann, &nobody) && !reads(&closed, &nobody));
    // What everybody may use or read, a role may that was denied the use by itself.
    let usage = Public {
        usage: said("c", true),
        ..Public::default()
    };
    let tables = Public {
        grants: all_of("c"),
        ..Public::default()
    };
    let taken = Public {
        usage: said("c", false),
        ..tables.clone()
    };
    assert!(reads(&closed, &usage) && reads(&closed, &tables));
    assert!(!reads(&closed, &taken) && !reads(&role("bob"), &taken));
    assert!(reads(&role("bob"), &tables) && !reads(&role("bob"), &usage));
    assert!(role("bob").access(&usage).was_given("c"));
    // The schema public is everybody's until that is taken away.
    assert!(nobody.access().uses("public"));
    let no_public = Public {
        usage: said("public", false),
        ..Public::default()
    };
    assert!(!role("bob").access(&no_public).uses("public"));
}

#[test]
fn what_everybody_was_given_vouches_for_nothing_and_shows_no_sample() {
    let columns = Some(BTreeSet::from(["qual".to_owned()]));
    let grants = BTreeSet::from([Grant::new("c.variants".parse().unwrap(), columns)]);
    let ann = Role {
        samples: Some([("c".to_owned(), BTreeSet::from(["S1".to_owned()]))].into()),
        ..role("ann")
    };
    let public = Public {
        grants: grants.clone(),
        ..Public::default()
    };
    let access = ann.access(&public);
    assert!(access.columns("c", "variants").is_some());
    assert!(!access.vouches("c", "variants", "qual"));
    assert!(access.sees("c", "S1") && !access.sees("c", "S2"));
    let own = Role { grants, ..ann };
    assert!(own.access(&public).vouches("c", "variants", "qual"));
}

#[test]
fn unknown_names_get_the_same_salt_every_time() {
    let roles = Roles::none().unwrap();
    assert_eq!(roles.mock_keys("x"), roles.mock_keys("x"));
    assert_ne!(roles.mock_keys("x").salt, roles.mock_keys("y").salt);
}
