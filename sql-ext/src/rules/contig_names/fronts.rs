//! Texts that begin with a contig (`contig || ':' || pos`), names that are compared by their order, and keys.
//!
//! A text is made of more than a contig, and order has its uses whatever the names, so that these are warned of and run.

use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use genokura_core::contig::{canonical_key, spelling as spelling_of_name};

use super::constants::constant;
use super::origin::{Origin, origins};
use crate::error::shown;
use crate::warnings::{Warning, Warnings};

/// The name of a human primary that a text begins with: `1` of `1-155-A-C`, `chr1` of `chr1:155`.
pub(super) fn front(text: &str) -> Option<&str> {
    let ends = |inside: fn(char) -> bool| text.find(|c| !inside(c)).unwrap_or(text.len());
    let long = &text[..ends(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))];
    let short = &text[..ends(|c| c.is_ascii_alphanumeric())];
    let mut names = [long, short].into_iter();
    names.find(|name| canonical_key(name).is_some())
}

/// Where one side of a comparison that can find nothing begins otherwise than the other.
pub(super) fn differ(left: &str, right: &str) -> Warning {
    Warning {
        text: format!(
            "texts that begin with contigs like {} are compared with texts that begin like {}: none are equal",
            shown(left),
            shown(right)
        ),
        hint: "Put contig_key(contig) in the place of contig on both sides, or load one of the tables again with \
               --contigs."
            .to_owned(),
    }
}

/// Warns of constants in a node of a plan that begin, or are ordered, as no contig of the table beside them is.
///
/// # Errors
/// None of its own.
pub(super) fn warn(node: &LogicalPlan, options: &ConfigOptions) -> DfResult<()> {
    let inputs = node.inputs();
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            for (contig, constants, compared) in comparisons(part) {
                let from = inputs.iter().find_map(|input| origins(contig, input));
                let told = from.as_deref().and_then(|from| told(from, compared));
                if let Some((told, constant)) = told
                    .as_deref()
                    .and_then(|told| Some((told, strange(&constants, told, compared)?)))
                {
                    Warnings::add(options, || warning(&constant, told, compared));
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

/// How a contig and constants are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// To be equal, or to begin so.
    Equal,
    /// By their order.
    Order,
}

/// Contigs and constants beside each other.
fn comparisons(part: &Expr) -> Vec<(&Expr, Vec<&Expr>, Compared)> {
    use Compared::{Equal, Order};
    match part {
        Expr::BinaryExpr(binary) => {
            let how = match binary.op {
                Operator::Eq
                | Operator::NotEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom => Equal,
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => Order,
                _ => return Vec::new(),
            };
            let (left, right) = (binary.left.as_ref(), binary.right.as_ref());
            vec![(left, vec![right], how), (right, vec![left], how)]
        }
        Expr::InList(list) => vec![(&list.expr, list.list.iter().collect(), Equal)],
        Expr::Between(between) => {
            vec![(&between.expr, vec![&between.low, &between.high], Order)]
        }
        Expr::Like(like) => vec![(&like.expr, vec![&like.pattern], Equal)],
        Expr::ScalarFunction(function) => match (function.name(), &function.args[..]) {
            ("starts_with", [text, front]) => vec![(text, vec![front], Equal)],
            ("array_has", [list, text]) => vec![(text, vec![list], Equal)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// How the contigs are spelled that all of these begin with; for order, that they are.
fn told(origins: &[Origin], compared: Compared) -> Option<String> {
    let one = |origin: &Origin| match (compared, origin) {
        (Compared::Order, Origin::Column { told, .. }) => told.clone(),
        (Compared::Equal, Origin::Keyed(_)) => Some(String::new()),
        (_, Origin::Front(of)) => match of.as_ref() {
            Origin::Column { told, .. } => told.clone(),
            Origin::Keyed(_) => Some(String::new()),
            _ => None,
        },
        _ => None,
    };
    let mut all = origins.iter().map(one);
    let first = all.next()??;
    all.all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}

/// The first constant, if none of them begins with a contig as the table spells them and all with one of another spelling.
fn strange(constants: &[&Expr], told: &str, compared: Compared) -> Option<String> {
    let mut first = None;
    for constant in constants.iter().map(|expr| constant(expr)) {
        for text in constant? {
            let name = match compared {
                Compared::Equal => front(&text),
                Compared::Order => Some(text.as_str()),
            };
            let spelled = name.and_then(spelling_of_name)?;
            if spelled == told {
                return None;
            }
            first.get_or_insert(text);
        }
    }
    first
}

fn warning(constant: &str, told: &str, compared: Compared) -> Warning {
    let text = match compared {
        Compared::Equal => format!(
            "text \"{constant}\" begins with a contig, and those that it is compared with are like {}: none are equal",
            shown(told)
        ),
        Compared::Order => format!(
            "\"{constant}\" is ordered among contigs like {}, which are texts: all of them are on one side of it",
            shown(told)
        ),
    };
    let hint = match compared {
        Compared::Equal => {
            "Write it as the table spells contigs, or compare texts made of contig_key(contig)."
        }
        Compared::Order => {
            "Name contigs as the table does, and list those that are meant: contigs are ordered as texts, 10 before 9."
        }
    };
    Warning {
        text,
        hint: hint.to_owned(),
    }
}

/// How constants begin, if all begin with contigs and those are spelled alike.
pub(super) fn spelling_of_fronts(names: &[String]) -> Option<String> {
    let mut spelled = names
        .iter()
        .map(|name| front(name).and_then(spelling_of_name));
    let first = spelled.next()??;
    spelled
        .all(|other| other == Some(first))
        .then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::front;

    #[test]
    fn texts_begin_with_contigs() {
        for (text, expected) in [
            ("1-155-A-C", Some("1")),
            ("chr1:155", Some("chr1")),
            ("chrX_155_A_C", Some("chrX")),
            ("NC_000001.11:155", Some("NC_000001.11")),
            ("22", Some("22")),
            ("chrUn_KI270302v1:5", None),
            ("rs123", None),
            ("1abc:5", None),
            ("", None),
        ] {
            assert_eq!(front(text), expected, "{text}");
        }
    }
}
