//! What EXPLAIN and errors tell a role: where the data lies is told to admins only, and numbers of the execution only to
//! those from whom nothing is hidden, since how much was read depends on what they may not see.

use super::Session;
use crate::roles::Authorised;
use crate::sqlstate::ServerError;

impl Session {
    /// An error as the session's role may be told of it.
    pub(crate) fn told(&mut self, error: ServerError) -> ServerError {
        if !error.has_cause() {
            return error;
        }
        match self.authorise() {
            Ok(who) => error.told_to(&who),
            // Whoever has no role any more is told what everybody is.
            Err(_) => error,
        }
    }
}

/// Lines of EXPLAIN as the role may see them.
pub(super) fn explained(lines: Vec<String>, who: &Authorised) -> Vec<String> {
    if who.is_admin() {
        return lines;
    }
    let hides = !who.access.sees_all_samples() || !who.access.masked_columns.is_empty();
    let lines = lines.into_iter().map(without_files);
    if !hides {
        return lines.collect();
    }
    // EXPLAIN (ANALYZE, VERBOSE) repeats the plan and adds rows and times after it.
    let more = |line: &String| !line.starts_with("Plan with Full Metrics");
    lines
        .take_while(more)
        .map(without_metrics)
        .map(without_numbers)
        .collect()
}

/// `file_groups={…}, ` names objects of the store and their sizes.
fn without_files(line: String) -> String {
    let Some(start) = line.find("file_groups={") else {
        return line;
    };
    let Some(end) = line[start..].find('}') else {
        return line[..start].to_owned();
    };
    let rest = line[start + end + 1..].trim_start_matches(", ");
    format!("{}{rest}", &line[..start])
}

fn without_metrics(line: String) -> String {
    match line.find(", metrics=[") {
        Some(at) => line[..at].to_owned(),
        None => line,
    }
}

/// `, partitions=1/1, files=2/2, row_groups=…` of a dataset, and whether inputs are put together: how many files there
/// are depends on how many people came when.
fn without_numbers(line: String) -> String {
    let line = line.replace(", merge=batches", "");
    let numbers = line.find(", partitions=").zip(line.find(", columns=["));
    match numbers {
        Some((start, end)) if start < end => format!("{}{}", &line[..start], &line[end..]),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_counters_are_cut_out() {
        let line = "  DataSourceExec: file_groups={1 group: [[a.parquet:0..9]]}, projection=[x], metrics=[n=3]";
        assert_eq!(
            without_metrics(without_files(line.to_owned())),
            "  DataSourceExec: projection=[x]"
        );
        let line_of_dataset = "DatasetScanExec: dataset=lab, partitions=1/1, files=2/3, row_groups=2/4, columns=[pos], merge=batches";
        assert_eq!(
            without_numbers(line_of_dataset.to_owned()),
            "DatasetScanExec: dataset=lab, columns=[pos]"
        );
        let owner = Authorised::owner("o");
        assert_eq!(explained(vec![line.to_owned()], &owner), [line]);
    }
}
