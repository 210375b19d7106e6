//! `docs/cookbook.md`: every statement runs on the quickstart lake and gives the answer beneath it; `UPDATE_DOCS=1`
//! writes the answers anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;

use support::{genokura, stdout_of};

/// A question of the page.
struct Question<'a> {
    title: &'a str,
    chapter: &'a str,
    sql: &'a str,
    answer: &'a str,
}

/// Questions in order: a heading `###`, a statement in ```` ```sql ````, its answer in ```` ```text ````.
fn questions(page: &str) -> Vec<Question<'_>> {
    let mut chapter = "";
    let mut found = Vec::new();
    for part in page.split("\n## ").skip(1) {
        chapter = part.lines().next().unwrap_or(chapter);
        for question in part.split("\n### ").skip(1) {
            let title = question.lines().next().unwrap();
            let (_, rest) = question.split_once("```sql\n").expect(title);
            let (sql, rest) = rest.split_once("```\n").expect(title);
            let answer = rest.strip_prefix("```text\n").expect(title);
            let (answer, rest) = answer.split_once("```\n").expect(title);
            assert!(!rest.contains("```"), "{title}: one statement, one answer");
            found.push(Question {
                title,
                chapter,
                sql,
                answer,
            });
        }
    }
    found
}

#[test]
fn every_statement_gives_the_answer_beneath_it() {
    let dir = tempfile::tempdir().unwrap();
    stdout_of(
        genokura()
            .args(["quickstart", "--no-serve", "--dir"])
            .arg(dir.path()),
    );
    let lake = dir.path().join("lake");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cookbook.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut fresh = page.clone();
    for question in questions(&page) {
        let Question {
            title, sql, answer, ..
        } = question;
        let made = stdout_of(genokura().args(["sql", "-c", sql, "--lake"]).arg(&lake));
        let made = format!(
            "{}\n",
            made.trim_end()
                .lines()
                .map(str::trim_end)
                .collect::<Vec<_>>()
                .join("\n")
        );
        assert!(!made.ends_with("(0 rows)\n"), "{title}: no rows");
        let held = format!("{sql}```\n```text\n{answer}```\n");
        let written = format!("{sql}```\n```text\n{made}```\n");
        assert_eq!(page.matches(&held).count(), 1, "{title}");
        fresh = fresh.replace(&held, &written);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    let stale =
        "docs/cookbook.md is stale: UPDATE_DOCS=1 cargo test -p genokura-server --test cookbook";
    for (old, new) in questions(&page).iter().zip(questions(&fresh)) {
        assert_eq!(old.answer, new.answer, "{}: {stale}", old.title);
    }
}

#[test]
fn there_are_five_questions_of_each_of_four_people() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cookbook.md");
    let page = std::fs::read_to_string(path).unwrap();
    let questions = questions(&page);
    assert_eq!(questions.len(), 20);
    for (number, question) in (1..).zip(&questions) {
        assert!(
            question.title.starts_with(&format!("{number}. ")),
            "{}",
            question.title
        );
        assert_eq!(
            question.sql.matches(';').count(),
            1,
            "{}: one statement",
            question.title
        );
        assert!(question.sql.trim_end().ends_with(';'), "{}", question.title);
    }
    let mut chapters: Vec<(&str, usize)> = Vec::new();
    for question in &questions {
        match chapters.last_mut() {
            Some((chapter, n)) if *chapter == question.chapter => *n += 1,
            _ => chapters.push((question.chapter, 1)),
        }
    }
    let counts: Vec<usize> = chapters.iter().map(|(_, n)| *n).collect();
    assert_eq!(counts, [5, 5, 5, 5], "{chapters:?}");
}
