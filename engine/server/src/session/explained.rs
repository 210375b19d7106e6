//! EXPLAIN (FORMAT JSON): the lines of a plan as a tree.
//!
//! It is made of the lines that a session is shown, and so tells no more than they do. Costs are not known and left out,
//! as PostgreSQL leaves them out of EXPLAIN (COSTS OFF).

use serde_json::{Map, Value, json};

/// A plan by its lines, each two blanks deeper than the node that it is read by.
pub(super) fn as_json(lines: &[String], milliseconds: Option<f64>) -> String {
    let mut nodes = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let text = line.trim_start();
            (line.len() - text.len(), text)
        })
        .peekable();
    let mut trees = Vec::new();
    while let Some((depth, text)) = nodes.next() {
        trees.push(tree(depth, text, &mut nodes, milliseconds.is_some()));
    }
    let mut whole = Map::new();
    // A plan has one root; what is more would be lost.
    let root = match trees.len() {
        1 => trees.swap_remove(0),
        _ => json!({ "Node Type": "Append", "Plans": trees }),
    };
    whole.insert("Plan".to_owned(), root);
    if let Some(milliseconds) = milliseconds {
        whole.insert("Execution Time".to_owned(), json!(milliseconds));
    }
    let document = Value::Array(vec![Value::Object(whole)]);
    format!("{document:#}")
}

fn tree<'l>(
    depth: usize,
    text: &'l str,
    rest: &mut std::iter::Peekable<impl Iterator<Item = (usize, &'l str)>>,
    ran: bool,
) -> Value {
    let (text, metrics) = match text.split_once(", metrics=[") {
        Some((text, metrics)) => (text, metrics.strip_suffix(']').unwrap_or(metrics)),
        None => (text, ""),
    };
    let (kind, details) = text.split_once(": ").unwrap_or((text, ""));
    let mut node = Map::new();
    node.insert("Node Type".to_owned(), json!(kind.trim_end_matches(':')));
    node.insert("Parallel Aware".to_owned(), json!(false));
    node.insert("Async Capable".to_owned(), json!(false));
    if !details.is_empty() {
        node.insert("Details".to_owned(), json!(details));
    }
    if ran {
        let metrics = metrics
            .split(", ")
            .filter_map(|metric| metric.split_once('='));
        let metrics: Vec<(&str, &str)> = metrics.collect();
        let rows = metrics.iter().find(|(name, _)| *name == "output_rows");
        if let Some(rows) = rows.and_then(|(_, rows)| number(rows)) {
            node.insert("Actual Rows".to_owned(), json!(rows));
            node.insert("Actual Loops".to_owned(), json!(1));
        }
        let others = metrics.iter().filter(|(name, _)| *name != "output_rows");
        let others: Map<String, Value> = others
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        if !others.is_empty() {
            node.insert("Metrics".to_owned(), Value::Object(others));
        }
    }
    let mut plans = Vec::new();
    while let Some((deeper, text)) = rest.next_if(|(deeper, _)| *deeper > depth) {
        plans.push(tree(deeper, text, rest, ran));
    }
    for (number, plan) in plans.iter_mut().enumerate() {
        let side = if number == 0 { "Outer" } else { "Inner" };
        if let Value::Object(plan) = plan {
            plan.insert("Parent Relationship".to_owned(), json!(side));
        }
    }
    if !plans.is_empty() {
        node.insert("Plans".to_owned(), Value::Array(plans));
    }
    Value::Object(node)
}

/// A count as the planner shows it: `12`, `1.50 K`, `3 M`.
fn number(text: &str) -> Option<f64> {
    let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit {
        "" => 1.0,
        "K" => 1e3,
        "M" => 1e6,
        "B" => 1e9,
        "T" => 1e12,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|count| count * factor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_plan_is_a_tree() {
        let lines = [
            "JoinExec: on=[(a, b)], metrics=[output_rows=1.50 K, elapsed_compute=2ms]",
            "  ScanExec: t",
            "    Leaf",
            "  ScanExec: u, metrics=[output_rows=7]",
        ];
        let lines = lines.map(str::to_owned);
        let read: Value = serde_json::from_str(&as_json(&lines, Some(1.5))).unwrap();
        let plan = &read[0]["Plan"];
        assert_eq!(plan["Node Type"], "JoinExec");
        assert_eq!(plan["Details"], "on=[(a, b)]");
        assert_eq!(plan["Actual Rows"], 1500.0);
        assert_eq!(plan["Metrics"]["elapsed_compute"], "2ms");
        assert_eq!(plan["Plans"][0]["Plans"][0]["Node Type"], "Leaf");
        assert_eq!(plan["Plans"][1]["Parent Relationship"], "Inner");
        assert_eq!(plan["Plans"][1]["Actual Rows"], 7.0);
        assert_eq!(read[0]["Execution Time"], 1.5);
        let read: Value = serde_json::from_str(&as_json(&lines, None)).unwrap();
        assert!(read[0]["Plan"].get("Actual Rows").is_none());
    }
}
