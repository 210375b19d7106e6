//! Object paths of a lake. Nothing else builds a path.
//!
//! ```text
//! _genokura/commits/00000000000000000007.json   lake commit 7: pins one Delta version of every table
//! _genokura/batches/<dataset>/0000000003        batch 3 of a dataset is taken
//! <schema>/<table>/_delta_log/...               the Delta log of a table
//! <schema>/<table>/pos_bin=<bin>/part-<uuid>.parquet    its files; no such folder in a table without partitions
//! ```

use object_store::path::Path;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::manifest::TableId;

/// The paths of one lake, by its root.
#[derive(Clone, Debug)]
pub struct Layout {
    root: Path,
}

impl Layout {
    /// The paths below `root`.
    #[must_use]
    pub fn new(root: Path) -> Self {
        Self { root }
    }

    /// Folder of the lake commits.
    #[must_use]
    pub fn commits(&self) -> Path {
        self.root.clone().join("_genokura").join("commits")
    }

    /// Lake commit `version`.
    #[must_use]
    pub fn commit(&self, version: u64) -> Path {
        self.commits().join(format!("{version:020}.json"))
    }

    /// Version of the lake commit at `path`; `None` for any other object.
    #[must_use]
    pub fn version_of(path: &Path) -> Option<u64> {
        let digits = path.filename()?.strip_suffix(".json")?;
        if digits.len() == 20 {
            digits.parse().ok()
        } else {
            None
        }
    }

    /// Folder of the batch reservations of a dataset.
    #[must_use]
    pub fn batches(&self, dataset: &str) -> Path {
        self.root
            .clone()
            .join("_genokura")
            .join("batches")
            .join(dataset)
    }

    /// Reservation of one batch number.
    #[must_use]
    pub fn batch(&self, dataset: &str, batch: u32) -> Path {
        self.batches(dataset).join(format!("{batch:010}"))
    }

    /// Root of a table.
    #[must_use]
    pub fn table(&self, id: &TableId) -> Path {
        self.root
            .clone()
            .join(id.schema.as_str())
            .join(id.table.as_str())
    }

    /// A new file of a table. Polars takes partition values from the folder name and not from the
    /// Delta log, so it is `pos_bin=<bin>`, and the name keeps letters, digits, `.`, `_`, `-` and
    /// `:` only (any other becomes `-`), so that no reader has to decode it.
    #[must_use]
    pub fn new_part(&self, id: &TableId, pos_bin: Option<&str>) -> Path {
        let table = self.table(id);
        let folder = match pos_bin {
            Some(bin) => table.join(folder_name(bin)),
            None => table,
        };
        folder.join(format!("part-{}.parquet", Uuid::new_v4()))
    }
}

fn folder_name(bin: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    let name: String = bin
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    format!("pos_bin={name}")
}

/// Checks that `name` can be a schema, table or dataset.
///
/// # Errors
/// [`Error::Name`] otherwise.
pub fn check_name(what: &'static str, name: &str) -> Result<()> {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let good = name.chars().next().is_some_and(char::is_alphanumeric)
        && name.chars().all(inner)
        && name.len() <= 63;
    if good {
        Ok(())
    } else {
        Err(Error::Name {
            what,
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn paths_are_as_documented() {
        let layout = Layout::new(Path::from("lake"));
        let id = TableId::new("demo", "site");
        assert_eq!(
            layout.commit(7).as_ref(),
            "lake/_genokura/commits/00000000000000000007.json"
        );
        assert_eq!(Layout::version_of(&layout.commit(7)), Some(7));
        assert_eq!(
            layout.batch("demo", 3).as_ref(),
            "lake/_genokura/batches/demo/0000000003"
        );
        let part = layout.new_part(&id, Some("chr1:0"));
        assert!(
            part.as_ref()
                .starts_with("lake/demo/site/pos_bin=chr1:0/part-"),
            "{part}"
        );
        let part = layout.new_part(&id, Some("HLA*01/:0"));
        assert!(
            part.as_ref()
                .starts_with("lake/demo/site/pos_bin=HLA-01-:0/part-"),
            "{part}"
        );
    }

    #[test]
    fn names_that_would_leave_their_folder_are_refused() {
        for name in ["", "..", "a/b", "_genokura", "a b", "-x", &"x".repeat(64)] {
            assert!(check_name("table", name).is_err(), "{name}");
        }
        for name in ["clin", "1kg-30x", "a.b", "臨床"] {
            check_name("table", name).unwrap();
        }
    }
}
