//! What can go wrong in a function, with the SQLSTATE and the hint that the server shows.

use datafusion::common::DataFusionError;

/// An error of a genomic function. It travels as [`DataFusionError::External`]; the server takes it out by
/// downcast and shows message, [`Error::sqlstate`] and [`Error::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A sample name that the dataset (as far as the session may see it) does not hold.
    #[error("sample \"{name}\" is not in this dataset")]
    UnknownSample {
        /// The name as written in the statement.
        name: String,
        /// The most similar visible name.
        nearest: Option<String>,
    },
    /// A dataset that the lake does not hold.
    #[error("dataset \"{name}\" does not exist")]
    UnknownDataset {
        /// The name as written in the statement.
        name: String,
        /// The most similar dataset.
        nearest: Option<String>,
    },
    /// A contig that the dataset does not have.
    #[error("contig \"{name}\" is not in this dataset")]
    UnknownContig {
        /// The name as written in the statement.
        name: String,
        /// The most similar contig of the dataset.
        nearest: Option<String>,
    },
    /// A join of contigs that are named in different ways, as in `1` and `chr1`.
    #[error("contigs are named like {} in one table of the join and like {} in the other: no row would match", shown(.left), shown(.right))]
    ContigNames {
        /// How one table spells the human primaries.
        left: String,
        /// How the other does.
        right: String,
    },
    /// A contig under a name that the table it is compared with does not use.
    #[error("contig \"{name}\" has another name in this table")]
    ContigNamed {
        /// The name as written in the statement.
        name: String,
        /// How the table names it.
        known: String,
    },
    /// A table of genes that is not there.
    #[error("table of genes \"{0}\" does not exist")]
    NoGenes(String),
    /// A table of spans that is not there.
    #[error("table \"{0}\" does not exist")]
    NoRegions(String),
    /// A dataset whose contigs have no lengths.
    #[error("the lengths of the contigs of dataset \"{0}\" are not known")]
    NoContigLengths(String),
    /// A table that lacks a column a function reads.
    #[error("table {table} has no column \"{column}\"")]
    NoColumn {
        /// The table as schema.table.
        table: String,
        /// The column.
        column: &'static str,
    },
    /// No pedigree to take trios from.
    #[error("there is no pedigree")]
    NoPedigree,
    /// No ontology to look a term up in.
    #[error("HPO is not in this lake, or not for you to read")]
    NoOntology,
    /// Terms that are no ontology.
    #[error("the terms of kb.hpo_terms are no ontology: {0}")]
    Ontology(String),
    /// Two genes whose columns would have the same name.
    #[error("two of the genes make a column \"{name}\"")]
    TwoColumns {
        /// The name.
        name: String,
    },
    /// A profile that a matrix does not hold, or none of several.
    #[error("{}", profile(.asked.as_deref()))]
    Profile {
        /// The profile, if one was named.
        asked: Option<String>,
        /// Those that there are.
        known: String,
    },
    /// A gene that a matrix does not hold.
    #[error("gene \"{name}\" is not in this matrix")]
    UnknownGene {
        /// The gene.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// An ontology that nobody holds any more.
    #[error("the ontology of the statement is no longer held")]
    OntologyGone,
    /// An id that the ontology does not hold.
    #[error("HPO knows no term \"{name}\"")]
    UnknownTerm {
        /// The id as it was given.
        name: String,
        /// The most similar id.
        nearest: Option<String>,
    },
    /// An obsolete term that nothing replaces.
    #[error("HPO has made \"{0}\" obsolete and put nothing in its place")]
    ObsoleteTerm(String),
    /// A name that stands for no assembly.
    #[error("assembly \"{0}\" is not known")]
    UnknownAssembly(String),
    /// A region text that does not parse.
    #[error("{0}")]
    Region(genokura_core::Error),
    /// An argument of the wrong type.
    #[error("{function}: {expected}, not {got}")]
    Argument {
        /// The function.
        function: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        got: String,
    },
    /// A binary value that is not a packed genotype.
    #[error("the value is not a packed genotype: {0}")]
    Genotype(genokura_core::Error),
    /// A packed genotype whose samples nobody holds any more.
    #[error("the samples of a packed genotype are no longer known (directory {0:016x})")]
    DirectoryGone(u64),
    /// Lists of names that are too long together for one batch of rows.
    #[error("the names of carriers of one batch of variants are longer than 2 GiB")]
    TooManyNames,
    /// `ARRAY(SELECT a, b …)`.
    #[error("subquery must return only one column")]
    ArraySubquery,
    /// A subquery in the place of a value that has several rows.
    #[error("more than one row returned by a subquery used as an expression")]
    ManyRows,
    /// A statement whose syntax tree would be too deep for the stack.
    #[error("statement is nested too deeply")]
    TooDeep,
    /// A name that is longer than any.
    #[error("a name of {0} bytes is too long")]
    LongName(usize),
    /// Queries that are read so often that the plan would hold too many tables.
    #[error(
        "queries of WITH and views are read too often: with all of them the statement reads more than {} tables again",
        crate::repeated::REPEATED_MAX
    )]
    Repeated,
    /// A clause that the planner would read over.
    #[error("{0} is not supported")]
    Clause(&'static str),
    /// A text in the place of a cohort that is no list of names.
    #[error("a cohort is the name of one, or an array of sample names")]
    NameList,
    /// `cohort` of something that is no constant.
    #[error("cohort takes the name of a cohort as a constant")]
    CohortName,
    /// A packed genotype that contradicts its directory: our bug.
    #[error("internal error: {0}. Please report it.")]
    Internal(&'static str),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The PostgreSQL code of the error.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::UnknownSample { .. }
            | Self::UnknownContig { .. }
            | Self::ContigNames { .. }
            | Self::ContigNamed { .. }
            | Self::UnknownAssembly(_)
            | Self::Region(_) => "22023",
            Self::UnknownDataset { .. } => "3F000",
            Self::NoGenes(_) | Self::NoRegions(_) => "42P01",
            Self::NoColumn { .. } => "42703",
            Self::TwoColumns { .. } => "42701",
            Self::Profile { .. } | Self::UnknownGene { .. } => "22023",
            Self::UnknownTerm { .. } | Self::ObsoleteTerm(_) => "22023",
            Self::NoPedigree
            | Self::NoContigLengths(_)
            | Self::NoOntology
            | Self::Ontology(_)
            | Self::OntologyGone => "55000",
            Self::Argument { .. } => "42883",
            Self::ArraySubquery => "42601",
            Self::ManyRows => "21000",
            Self::Clause(_) | Self::CohortName => "0A000",
            Self::NameList => "22P02",
            Self::Genotype(_) => "22P03",
            Self::TooManyNames => "54000",
            Self::TooDeep | Self::Repeated => "54001",
            Self::LongName(_) => "42622",
            Self::DirectoryGone(_) => "55000",
            Self::Internal(_) => "XX000",
        }
    }

    /// What to do about it, when there is more to say than the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownSample { nearest, .. }
            | Self::UnknownDataset { nearest, .. }
            | Self::UnknownContig { nearest, .. }
            | Self::UnknownTerm { nearest, .. }
            | Self::UnknownGene { nearest, .. }
                if nearest.is_some() =>
            {
                nearest
                    .as_ref()
                    .map(|name| format!("Did you mean \"{name}\"?"))
            }
            Self::UnknownDataset { .. } => Some("A dataset is a schema with a table variants.".to_owned()),
            Self::UnknownContig { .. } => {
                Some("SELECT DISTINCT contig FROM variants of the dataset lists them.".to_owned())
            }
            Self::ContigNames { .. } => Some(
                "Compare contig_key(a.contig) = contig_key(b.contig), or load one of the tables again with --contigs."
                    .to_owned(),
            ),
            Self::ContigNamed { known, .. } => Some(format!(
                "It is \"{known}\" there; in_region takes both usual names, and contig_key(contig) is one for all."
            )),
            Self::NoGenes(_) => Some(
                "Load one with genokura ingest regions, or name another as the last argument.".to_owned(),
            ),
            Self::NoRegions(_) => Some(
                "Name a table with its schema (kb.genes), or give a query with columns contig, pos and end_pos."
                    .to_owned(),
            ),
            Self::NoContigLengths(_) => Some(
                "They are read from the contig lines of the header; ingest a file that has them.".to_owned(),
            ),
            Self::UnknownTerm { .. } => Some(
                "A term is an id such as HP:0001250; kb.hpo_terms lists them by name.".to_owned(),
            ),
            Self::ObsoleteTerm(_) => Some(
                "kb.hpo_terms.consider tells what may be meant; terms with resolves_to IS NULL are to be left out."
                    .to_owned(),
            ),
            Self::NoOntology => Some("Load hp.obo with genokura ingest hpo.".to_owned()),
            Self::TwoColumns { .. } => Some("Ask for them in two calls.".to_owned()),
            Self::Profile { known, .. } => Some(format!("It holds {known}; name one as the last argument.")),
            Self::UnknownGene { .. } => {
                Some("Genes are named as in the column gene of the table.".to_owned())
            }
            Self::OntologyGone => Some("Run the statement again.".to_owned()),
            Self::Ontology(_) => Some("Load it again with genokura ingest hpo --replace.".to_owned()),
            Self::NoPedigree => Some(
                "Load a PED file with genokura ingest pedigree, or clin.person with sample_id, father_id \
                 and mother_id, or name child, father and mother."
                    .to_owned(),
            ),
            Self::UnknownSample { .. } => {
                Some("The table samples of the dataset lists the names.".to_owned())
            }
            Self::UnknownAssembly(_) => {
                Some("Known are GRCh37, GRCh38 and T2T-CHM13v2.0, also as hg19, hg38 and hs1.".to_owned())
            }
            Self::Region(_) => Some(
                "A region is 'chr22', 'chr22:100', 'chr22:100-200' or 'chr22:100-': 1-based, both \
                 ends included."
                    .to_owned(),
            ),
            Self::Genotype(_) => {
                Some("The gt_ functions take column gt of a dataset's table variants.".to_owned())
            }
            Self::TooManyNames => Some(
                "Ask for rarer variants or a smaller cohort, or read table carriers, whose rows stream."
                    .to_owned(),
            ),
            Self::DirectoryGone(_) => {
                Some("Use gt in the statement that reads it from variants.".to_owned())
            }
            Self::NameList => Some(
                "Cohorts by name are constants; other samples are an array: ARRAY['…', '…'].".to_owned(),
            ),
            Self::CohortName => Some(
                "A subquery reads a cohort as a table: ARRAY(SELECT sample_id FROM …).".to_owned(),
            ),
            Self::LongName(_) => Some(format!(
                "Names have at most {} bytes. Texts stand in single quotes.",
                crate::depth::NAME_BYTES_MAX
            )),
            Self::TooDeep => Some(format!(
                "At most {} conditions stand in one chain, a tenth as many sums and products, and {} functions or {} casts \
                 and BETWEEN around one another: write IN (…) for OR, WITH or a temporary table for parts.",
                crate::depth::STEPS_MAX,
                crate::depth::CALLS_MAX,
                crate::depth::CASTS_MAX
            )),
            Self::Repeated => {
                Some("Keep what is read often: CREATE TEMP TABLE name AS SELECT … .".to_owned())
            }
            Self::Clause("this use of the outer row in a subquery") => {
                Some("Join the tables, and GROUP BY the columns of the outer one.".to_owned())
            }
            Self::Clause("TABLESAMPLE") => {
                Some("WHERE random() < 0.01 keeps about one row in a hundred.".to_owned())
            }
            Self::Argument { .. }
            | Self::Clause(_)
            | Self::NoColumn { .. }
            | Self::ArraySubquery
            | Self::ManyRows
            | Self::Internal(_) => None,
        }
    }
}

/// The first primary, spelled this way.
pub(crate) fn shown(spelling: &str) -> String {
    match spelling {
        "" | "chr" | "Chr" | "CHR" => format!("\"{spelling}1\""),
        accession => format!("\"{accession}…\""),
    }
}

/// What is wrong with a profile.
fn profile(asked: Option<&str>) -> String {
    match asked {
        Some(name) => format!("profile \"{name}\" is not in this matrix"),
        None => "the matrix holds several profiles".to_owned(),
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn an_error_is_small() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
    }
}
