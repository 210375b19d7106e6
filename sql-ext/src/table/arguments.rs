//! The arguments of a table function: texts, told apart by their number.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use crate::doc::{Argument, argument, optional};
use crate::error::{Error, Result};

pub(crate) const DATASET: Argument = argument("dataset", "text", "Name of a dataset.");
pub(crate) const CONDITION: Argument = optional(
    "condition",
    "text",
    "A region (`chr22:20,000,000-21,000,000`) or a condition over columns of `variants` \
     (`af < 0.01 AND variant_type = 'SNV'`); the only optional argument, or the one after the trio.",
);
pub(crate) const CHILD: Argument = optional(
    "child",
    "text",
    "Sample of the child; left out with its parents (or NULL): every trio of the pedigree.",
);
pub(crate) const FATHER: Argument = optional("father", "text", "Sample of the father.");
pub(crate) const MOTHER: Argument = optional("mother", "text", "Sample of the mother.");

/// What a table function is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) dataset: String,
    /// Child, father and mother.
    pub(crate) trio: Option<[String; 3]>,
    /// A region or a condition.
    pub(crate) condition: Option<String>,
    /// A table of genes as schema.table.
    pub(crate) genes: Option<String>,
}

impl Arguments {
    /// `(dataset [, condition])`
    pub(crate) fn of_dataset(function: &'static str, exprs: &[Expr]) -> Result<Self> {
        let expected = "takes (dataset [, region or condition]): texts that are constants";
        match &texts(function, expected, exprs)?[..] {
            [Some(dataset)] => Ok(Self::new(dataset, None, None)),
            [Some(dataset), condition] => Ok(Self::new(dataset, None, condition.clone())),
            _ => Err(wrong(function, expected, exprs)),
        }
    }

    /// `(dataset [, condition])` or `(dataset, child, father, mother [, condition])`
    pub(crate) fn of_family(function: &'static str, exprs: &[Expr]) -> Result<Self> {
        let expected = "takes (dataset [, condition]) or (dataset, child, father, mother [, \
                        condition]): texts that are constants";
        Self::family(function, expected, exprs, 5)
    }

    /// The same, and a table of genes behind the condition.
    pub(crate) fn of_family_and_genes(function: &'static str, exprs: &[Expr]) -> Result<Self> {
        let expected = "takes (dataset [, condition]) or (dataset, child, father, mother [, \
                        condition [, genes]]): texts that are constants";
        Self::family(function, expected, exprs, 6)
    }

    fn family(
        function: &'static str,
        expected: &'static str,
        exprs: &[Expr],
        most: usize,
    ) -> Result<Self> {
        let mut texts = texts(function, expected, exprs)?;
        let n = texts.len();
        if !matches!(n, 1 | 2 | 4..=6) || n > most {
            return Err(wrong(function, expected, exprs));
        }
        let genes = if n == 6 { texts.pop().flatten() } else { None };
        let condition = if matches!(n, 2 | 5 | 6) {
            texts.pop().flatten()
        } else {
            None
        };
        let mut texts = texts.into_iter();
        let Some(Some(dataset)) = texts.next() else {
            return Err(wrong(function, expected, exprs));
        };
        let members: Vec<Option<String>> = texts.collect();
        let trio = match &members[..] {
            [] | [None, None, None] => None,
            [Some(child), Some(father), Some(mother)] => {
                Some([child.clone(), father.clone(), mother.clone()])
            }
            _ => return Err(wrong(function, expected, exprs)),
        };
        Ok(Self {
            genes,
            ..Self::new(&dataset, trio, condition)
        })
    }

    fn new(dataset: &str, trio: Option<[String; 3]>, condition: Option<String>) -> Self {
        Self {
            dataset: dataset.to_owned(),
            trio,
            condition,
            genes: None,
        }
    }
}

/// The arguments as texts; None for NULL.
fn texts(
    function: &'static str,
    expected: &'static str,
    exprs: &[Expr],
) -> Result<Vec<Option<String>>> {
    let text = |expr: &Expr| match expr {
        Expr::Literal(value, _) => match value {
            ScalarValue::Utf8(text)
            | ScalarValue::LargeUtf8(text)
            | ScalarValue::Utf8View(text) => Ok(text.clone()),
            ScalarValue::Null => Ok(None),
            _ => Err(wrong(function, expected, exprs)),
        },
        _ => Err(wrong(function, expected, exprs)),
    };
    exprs.iter().map(text).collect()
}

fn wrong(function: &'static str, expected: &'static str, exprs: &[Expr]) -> Error {
    Error::Argument {
        function,
        expected,
        got: match exprs.len() {
            1 => "this argument".to_owned(),
            n => format!("these {n} arguments"),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::logical_expr::lit;

    #[test]
    fn arguments_are_told_apart_by_their_number() {
        let null = || Expr::Literal(ScalarValue::Null, None);
        let family = |exprs: &[Expr]| Arguments::of_family_and_genes("f", exprs);
        let trio = Some(["c", "f", "m"].map(str::to_owned));
        let one = family(&[lit("d")]).unwrap();
        assert_eq!((one.trio, one.condition), (None, None));
        let two = family(&[lit("d"), lit("chr1")]).unwrap();
        assert_eq!(two.condition.as_deref(), Some("chr1"));
        let four = family(&[lit("d"), lit("c"), lit("f"), lit("m")]).unwrap();
        assert_eq!((four.trio, four.condition), (trio.clone(), None));
        let all = [lit("d"), lit("c"), lit("f"), lit("m"), null(), lit("kb.g")];
        let six = family(&all).unwrap();
        assert_eq!(
            (six.trio, six.condition, six.genes.as_deref()),
            (trio, None, Some("kb.g"))
        );
        let any = [lit("d"), null(), null(), null(), lit("af < 1")];
        assert_eq!(family(&any).unwrap().trio, None);
        for wrong in [
            vec![],
            vec![null()],
            vec![lit(1)],
            vec![lit("d"), lit("c"), lit("f")],
            vec![lit("d"), lit("c"), null(), lit("m")],
        ] {
            assert!(family(&wrong).is_err(), "{wrong:?}");
        }
        assert!(Arguments::of_family("f", &all).is_err());
        assert!(Arguments::of_dataset("f", &all).is_err());
    }
}
