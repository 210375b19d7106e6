//! The documentation of a function: one value that `\df`, the manual and DataFusion read.

use datafusion::logical_expr::{DocSection, Documentation};

/// A chapter of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// Regions and spans.
    Regions,
    /// Alleles.
    Alleles,
    /// Annotations.
    Annotations,
    /// The call of one sample.
    OneSample,
    /// Counts over a cohort.
    Cohort,
    /// Quality of whole samples.
    Samples,
    /// Families.
    Family,
    /// Phenotypes.
    Phenotypes,
    /// Expression and other matrices.
    Omics,
}

impl Chapter {
    /// Heading of the chapter.
    pub fn title(self) -> &'static str {
        match self {
            Self::Regions => "Regions",
            Self::Alleles => "Alleles",
            Self::Annotations => "Annotations",
            Self::OneSample => "The genotype of one sample",
            Self::Cohort => "Counts over a cohort",
            Self::Samples => "Quality of samples",
            Self::Family => "Families",
            Self::Phenotypes => "Phenotypes",
            Self::Omics => "Matrices",
        }
    }
}

/// One argument.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Name as in the syntax line.
    pub name: &'static str,
    /// SQL type: `text`, `integer`, `text[]`, `gt` (the packed genotypes of `variants`).
    pub sql_type: &'static str,
    /// May be left out.
    pub optional: bool,
    /// What it is, in one sentence.
    pub description: &'static str,
}

/// The documentation of one function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionDoc {
    /// Name, lower snake case.
    pub name: &'static str,
    /// Chapter of the reference.
    pub chapter: Chapter,
    /// Arguments in order; optional ones last.
    pub arguments: &'static [Argument],
    /// SQL type of the result.
    pub returns: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What a geneticist would ask: coordinates, missing calls, ploidy, other ALT alleles, source.
    pub details: &'static [&'static str],
    /// A statement that shows it at work.
    pub example: &'static str,
}

impl FunctionDoc {
    /// `gt_dosage(gt gt, sample text) -> smallint`
    pub fn syntax(&self) -> String {
        let mut text = String::new();
        for (index, argument) in self.arguments.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let Argument {
                name,
                sql_type,
                optional,
                ..
            } = argument;
            if *optional {
                text += &format!(" [{separator}{name} {sql_type}]");
            } else {
                text += &format!("{separator}{name} {sql_type}");
            }
        }
        format!("{}({text}) → {}", self.name, self.returns)
    }

    /// The same in DataFusion's form.
    pub fn documentation(&self) -> Documentation {
        let section = DocSection {
            include: true,
            label: self.chapter.title(),
            description: None,
        };
        let description = [&[self.summary], self.details].concat().join(" ");
        let mut builder = Documentation::builder(section, description, self.syntax())
            .with_sql_example(self.example);
        for argument in self.arguments {
            builder = builder.with_argument(argument.name, argument.description);
        }
        builder.build()
    }
}

/// A required argument.
pub(crate) const fn argument(
    name: &'static str,
    sql_type: &'static str,
    description: &'static str,
) -> Argument {
    Argument {
        name,
        sql_type,
        optional: false,
        description,
    }
}

/// An argument that may be left out.
pub(crate) const fn optional(
    name: &'static str,
    sql_type: &'static str,
    description: &'static str,
) -> Argument {
    Argument {
        optional: true,
        ..argument(name, sql_type, description)
    }
}

pub(crate) const CHILD: Argument = argument("child", "text", "Sample of the child.");
pub(crate) const FATHER: Argument = argument("father", "text", "Sample of the father.");
pub(crate) const MOTHER: Argument = argument("mother", "text", "Sample of the mother.");
pub(crate) const TRIO_CONTIG: Argument = optional(
    "contig",
    "text",
    "Contig of the row; this and the next three are given together or not at all.",
);
pub(crate) const TRIO_POS: Argument = optional("pos", "integer", "Position of the row, 1-based.");
pub(crate) const SEX: Argument = optional(
    "sex",
    "text",
    "Sex of the child: `male`, `m`, `1`, `XY`; `female`, `f`, `2`, `XX`; anything else, NULL too, is unknown.",
);
pub(crate) const ASSEMBLY: Argument = optional(
    "assembly",
    "text",
    "`GRCh37`, `GRCh38` or `T2T-CHM13`: where the pseudoautosomal regions lie.",
);
pub(crate) const REF: Argument = argument("ref", "text", "The normalised REF, column `ref`.");
pub(crate) const ALT: Argument = argument("alt", "text", "The normalised ALT, column `alt`.");
pub(crate) const GT: Argument = argument("gt", "gt", "Column `gt` of a dataset's `variants`.");
pub(crate) const SAMPLE: Argument = argument("sample", "text", "Name of a sample of the dataset.");
pub(crate) const COHORT: Argument = Argument {
    name: "cohort",
    sql_type: "text[]",
    optional: true,
    description: "Sample names, taken as a set (NULL elements are skipped): a `text[]`, a subquery such \
                  as `ARRAY(SELECT sample_id FROM clin.person WHERE …)`, which is run once, or the name \
                  of a cohort (`'cases'`); all samples of the dataset when left out.",
};

pub(crate) const PER_SAMPLE_RULE: &str = "A sample of the dataset that the row has no data for \
    (its file does not hold the record), or a record without GT, gives NULL.";
pub(crate) const COHORT_RULE: &str = "Only samples that the row has data for count; an empty \
    cohort counts nobody; a name that the dataset does not hold is an error.";
