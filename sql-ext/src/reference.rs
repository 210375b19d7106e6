//! `docs/sql-reference.md`, made from the functions.

use std::fmt::Write;

use crate::doc::FunctionDoc;
use crate::functions;

const HEAD: &str = "\
# SQL reference: genomic functions

<!-- Made from the functions by `UPDATE_DOCS=1 cargo test -p genokura-sql-ext`; do not edit. -->

Positions are 1-based and spans include both ends ([coordinates](coordinates.md)). `gt` is the packed genotype
column of a dataset's `variants`; the functions below are the way to read it. A NULL argument gives NULL.
";

/// The whole reference as Markdown.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    let mut chapter = None;
    for doc in functions() {
        if chapter != Some(doc.chapter) {
            chapter = Some(doc.chapter);
            text += &format!("\n## {}\n", doc.chapter.title());
        }
        page(doc, &mut text);
    }
    text
}

fn page(doc: &FunctionDoc, text: &mut String) {
    *text += &format!("\n### `{}`\n\n{}\n\n", doc.syntax(), doc.summary);
    for argument in doc.arguments {
        let _ = writeln!(text, "- `{}`: {}", argument.name, argument.description);
    }
    for paragraph in doc.details {
        let _ = write!(text, "\n{paragraph}\n");
    }
    let _ = write!(text, "\n```sql\n{}\n```\n", doc.example);
}
