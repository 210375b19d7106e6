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
pub(crate) const FATHER_IF_ANY: Argument = optional(
    "father",
    "text",
    "Sample of the father; NULL when the dataset does not have him.",
);
pub(crate) const MOTHER_IF_ANY: Argument = optional(
    "mother",
    "text",
    "Sample of the mother; NULL when the dataset does not have her.",
);

/// The parents without whom a function has no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Needs {
    #[default]
    Both,
    Mother,
    /// One of them, whichever it is.
    Either,
    /// The child alone may tell.
    Nobody,
}

impl Needs {
    /// Whether a family with these parents is enough.
    pub(crate) fn are_met(self, father: bool, mother: bool) -> bool {
        match self {
            Self::Both => father && mother,
            Self::Mother => mother,
            Self::Either => father || mother,
            Self::Nobody => true,
        }
    }
}

/// A child with the parents that a call names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) child: String,
    pub(crate) father: Option<String>,
    pub(crate) mother: Option<String>,
}

/// What a table function is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) dataset: String,
    /// The family that the call names.
    pub(crate) family: Option<Named>,
    /// The parents that a family must have.
    pub(crate) needs: Needs,
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
            [Some(dataset)] => Ok(Self::new(dataset, None)),
            [Some(dataset), condition] => Ok(Self::new(dataset, condition.clone())),
            _ => Err(wrong(function, expected, exprs)),
        }
    }

    /// `(dataset [, condition])` or `(dataset, child, father, mother [, condition])`
    pub(crate) fn of_family(function: &'static str, exprs: &[Expr]) -> Result<Self> {
        let expected = "takes (dataset [, condition]) or (dataset, child, father, mother [, \
                        condition]): texts that are constants";
        Self::family(function, expected, exprs, (Needs::Both, 5))
    }

    /// The same, and the father may be NULL.
    pub(crate) fn of_family_of_mother(function: &'static str, exprs: &[Expr]) -> Result<Self> {
        let expected = "takes (dataset [, condition]) or (dataset, child, father or NULL, mother [, \
                        condition]): texts that are constants";
        Self::family(function, expected, exprs, (Needs::Mother, 5))
    }

    /// The same, and one of the parents may be NULL.
    pub(crate) fn of_family_of_one(function: &'static str, exprs: &[Expr]) -> Result<Self> {
        let expected = "takes (dataset [, condition]) or (dataset, child, father, mother [, condition]), \
                        one parent of which may be NULL: texts that are constants";
        Self::family(function, expected, exprs, (Needs::Either, 5))
    }

    /// The same, and a table of genes behind the condition; both parents may be NULL.
    pub(crate) fn of_family_and_genes(function: &'static str, exprs: &[Expr]) -> Result<Self> {
        let expected = "takes (dataset [, condition]) or (dataset, child, father or NULL, mother or NULL [, \
                        condition [, genes]]): texts that are constants";
        Self::family(function, expected, exprs, (Needs::Nobody, 6))
    }

    fn family(
        function: &'static str,
        expected: &'static str,
        exprs: &[Expr],
        (needs, most): (Needs, usize),
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
        let family = match &members[..] {
            [] | [None, None, None] => None,
            [Some(child), father, mother] if needs.are_met(father.is_some(), mother.is_some()) => {
                Some(Named {
                    child: child.clone(),
                    father: father.clone(),
                    mother: mother.clone(),
                })
            }
            _ => return Err(wrong(function, expected, exprs)),
        };
        Ok(Self {
            family,
            needs,
            genes,
            ..Self::new(&dataset, condition)
        })
    }

    fn new(dataset: &str, condition: Option<String>) -> Self {
        Self {
            dataset: dataset.to_owned(),
            condition,
            ..Self::default()
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
        let named = |father: Option<&str>, mother: Option<&str>| {
            Some(Named {
                child: "c".to_owned(),
                father: father.map(str::to_owned),
                mother: mother.map(str::to_owned),
            })
        };
        let trio = named(Some("f"), Some("m"));
        let one = family(&[lit("d")]).unwrap();
        assert_eq!((one.family, one.condition), (None, None));
        let two = family(&[lit("d"), lit("chr1")]).unwrap();
        assert_eq!(two.condition.as_deref(), Some("chr1"));
        let four = family(&[lit("d"), lit("c"), lit("f"), lit("m")]).unwrap();
        assert_eq!((four.family, four.condition), (trio.clone(), None));
        let all = [lit("d"), lit("c"), lit("f"), lit("m"), null(), lit("kb.g")];
        let six = family(&all).unwrap();
        assert_eq!(
            (six.family, six.condition, six.genes.as_deref()),
            (trio, None, Some("kb.g"))
        );
        let any = [lit("d"), null(), null(), null(), lit("af < 1")];
        assert_eq!(family(&any).unwrap().family, None);
        for wrong in [
            vec![],
            vec![null()],
            vec![lit(1)],
            vec![lit("d"), lit("c"), lit("f")],
            vec![lit("d"), null(), null(), lit("m")],
        ] {
            assert!(family(&wrong).is_err(), "{wrong:?}");
        }
        let parents = |father: bool, mother: bool| {
            let parent = |name: &str, there: bool| if there { lit(name) } else { null() };
            [lit("d"), lit("c"), parent("f", father), parent("m", mother)]
        };
        let alone = family(&parents(false, false)).unwrap();
        assert_eq!(alone.family, named(None, None));
        // Father, mother; which functions take them: of both, of the mother, of one.
        for (father, mother, taken) in [
            (true, true, [true, true, true]),
            (false, true, [false, true, true]),
            (true, false, [false, false, true]),
            (false, false, [false, false, false]),
        ] {
            let exprs = parents(father, mother);
            let found = [
                Arguments::of_family("f", &exprs).is_ok(),
                Arguments::of_family_of_mother("f", &exprs).is_ok(),
                Arguments::of_family_of_one("f", &exprs).is_ok(),
            ];
            assert_eq!(found, taken, "{father} {mother}");
        }
        assert!(Arguments::of_family("f", &all).is_err());
        assert!(Arguments::of_dataset("f", &all).is_err());
    }
}
