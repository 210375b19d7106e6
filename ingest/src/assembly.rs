//! Which assembly an input is on, and where it says so.
//!
//! The same position is another base on another assembly, so that a file of GRCh37 beside one of GRCh38 joins wrong alleles
//! without a word. What tells, the first that does:
//!
//! 1. lengths of human primaries (`##contig`, `##sequence-region`), which nobody mistypes into those of another assembly;
//! 2. `assembly=` of their `##contig` lines; columns such as NCBI_Build of a MAF;
//! 3. a line that names a reference (`##reference`, `#!genome-build`), or the FASTA of `--reference`.
//!
//! Names that are not known here are not compared. A dataset keeps its assembly in the lake's commit, a plain table in the
//! metadata of its column `contig` ([`ASSEMBLY_KEY`]), where comparisons find it.

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use genokura_core::contig::{Assembly, canonical_key};
use genokura_core::schema::ASSEMBLY_KEY;
use genokura_storage::DatasetState;

use crate::error::Error;
use crate::header::{Header, MetaLine};
use crate::open::Opened;

/// What an input says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) assembly: Assembly,
    /// Number of the input in the job, 1-based; 0: the request says it.
    pub(crate) input: u32,
    /// Line of the input.
    pub(crate) line: u64,
    /// What says it, such as `the length 249250621 of contig "1"`.
    pub(crate) by: String,
    /// It is a name in a header, which --assembly overrules.
    pub(crate) is_name: bool,
}

/// What rows are added to, when its assembly is known.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) assembly: Assembly,
    /// Such as `dataset "cohort"`.
    pub(crate) of: String,
}

impl Said {
    /// What the request says.
    fn of_request(assembly: Assembly, by: &str) -> Self {
        Self {
            assembly,
            input: 0,
            line: 0,
            by: by.to_owned(),
            is_name: false,
        }
    }

    /// What a line says by a name.
    pub(crate) fn by_name(assembly: Assembly, input: u32, line: u64, by: String) -> Self {
        Self {
            assembly,
            input,
            line,
            by,
            is_name: true,
        }
    }

    /// What a value of a row says.
    pub(crate) fn by_value(assembly: Assembly, input: u32, line: u64, by: String) -> Self {
        let is_name = false;
        Self {
            is_name,
            ..Self::by_name(assembly, input, line, by)
        }
    }

    /// What has been found of all inputs.
    pub(crate) fn of_all(assembly: Assembly) -> Self {
        Self::of_request(assembly, "the input")
    }

    /// What the lengths in the header of an input say.
    pub(crate) fn by_lengths(input: u32, header: &Header) -> Option<Self> {
        let lengths = header.contigs.iter().map(|c| (c.name.as_str(), c.length));
        let assembly = Assembly::detect(lengths)?;
        let tells = |name: &str| canonical_key(name).is_some_and(|key| key != "MT");
        let mut told = header.contigs.iter().filter(|c| tells(&c.name));
        let (name, length) = told.find_map(|c| Some((&c.name, c.length?)))?;
        let line = header.lines.iter().find(|l| l.id.as_ref() == Some(name));
        Some(Self {
            assembly,
            input,
            line: line.map_or(0, |line| u64::from(line.line)),
            by: format!("the length {length} of contig {name:?}"),
            is_name: false,
        })
    }

    /// What names in the header of an input say: `assembly=` of primaries, if all that are known are one, else the line
    /// `##reference`.
    pub(crate) fn by_names(input: u32, header: &Header) -> Option<Self> {
        let said = |line: &MetaLine, text: &str, key: &str| {
            Some(Self {
                assembly: Assembly::named_in(text)?,
                input,
                line: u64::from(line.line),
                by: format!("{key}{text}"),
                is_name: true,
            })
        };
        let contigs = header.lines.iter().filter(|line| {
            let primary = line.id.as_deref().and_then(canonical_key);
            line.key == "contig" && primary.is_some()
        });
        let mut named = contigs.filter_map(|line| {
            let text = line.value.get("assembly")?;
            said(line, text, "assembly=")
        });
        if let Some(first) = named.next() {
            let one = named.all(|other| other.assembly == first.assembly);
            return one.then_some(first);
        }
        let mut references = header.lines.iter().filter(|line| line.key == "reference");
        references.find_map(|line| {
            let (_, text) = line.text.split_once('=')?;
            said(line, text, "##reference=")
        })
    }

    /// What a file of rows says, unless the request overrules it.
    ///
    /// # Errors
    /// [`Error::Request`] for a request that the lengths of the file contradict, or whose name is not known.
    pub(crate) fn of_file(asked: Option<&str>, said: Option<Self>) -> Result<Option<Self>, Error> {
        let Some(name) = asked else {
            return Ok(said);
        };
        let asked = Assembly::from_name(name).ok_or_else(|| {
            Error::Request(format!(
                "--assembly {name}: not known here; GRCh37, GRCh38 and T2T-CHM13 are, and others are not compared"
            ))
        })?;
        match said {
            Some(said) if !said.is_name && said.assembly != asked => Err(Error::Request(format!(
                "input {}: the contig lengths are those of {}, not of {asked} (line {}: {})",
                said.input, said.assembly, said.line, said.by
            ))),
            _ => Ok(Some(Self::of_request(asked, "--assembly"))),
        }
    }

    /// What is held when this has been said.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    fn agreed(self, held: Option<Held>) -> Result<Held, Error> {
        let Some(held) = held else {
            let of = match self.input {
                0 => self.by,
                input => format!("input {input} (line {}: {})", self.line, self.by),
            };
            let assembly = self.assembly;
            return Ok(Held { assembly, of });
        };
        self.check(&held)?;
        Ok(held)
    }

    /// Refuses what is on another assembly than what it is to be added to.
    ///
    /// # Errors
    /// [`Error::Line`], or [`Error::Request`] where the request says it.
    pub(crate) fn check(&self, held: &Held) -> Result<(), Error> {
        if self.assembly == held.assembly {
            return Ok(());
        }
        let (here, there) = (self.assembly, held.assembly);
        let remedy = match (self.input, self.is_name) {
            (0, _) => "give one that fits, or load the input into another dataset or table",
            (_, true) => {
                "lift it over, or load it into another dataset or table; where only this line is wrong, give --assembly"
            }
            (_, false) => "lift it over, or load it into another dataset or table",
        };
        let message = format!(
            "{} is of {here}, and {} is on {there}, where the same positions are other bases; {remedy}",
            self.by, held.of
        );
        Err(match self.input {
            0 => Error::Request(message),
            input => Error::Line {
                input,
                line: self.line,
                rule: "assembly-differs",
                message,
            },
        })
    }
}

/// What a request says of a job.
pub(crate) struct Given<'a> {
    pub(crate) dataset: &'a str,
    /// `--assembly`.
    pub(crate) named: Option<&'a str>,
    /// The assembly of the FASTA of `--reference`.
    pub(crate) reference: Option<Assembly>,
}

/// The assembly of a dataset with these inputs: what it has, what the request says, what the inputs say. `onto`: rows of the
/// dataset become those of something else.
///
/// # Errors
/// [`Error::Line`] for an input that is on another assembly than the dataset or the inputs before it; [`Error::Request`] for
/// a request that contradicts them.
pub(crate) fn of_job(
    given: &Given<'_>,
    known: &DatasetState,
    opened: &[Opened],
    onto: Option<Held>,
) -> Result<Option<String>, Error> {
    let named = given.named.map(|name| {
        Assembly::from_name(name).map_or_else(|| name.to_owned(), |a| a.as_str().to_owned())
    });
    if let (Some(a), Some(b)) = (&known.assembly, &named)
        && a != b
    {
        return Err(Error::Request(format!(
            "dataset {:?} is on {a}, the inputs are on {b}; use another dataset",
            given.dataset
        )));
    }
    let of_dataset = || {
        let lengths = known.contigs.iter().map(|c| (c.name.as_str(), c.length));
        let named = known.assembly.as_deref().map(Assembly::from_name);
        let assembly = named.unwrap_or_else(|| Assembly::detect(lengths))?;
        let of = format!("dataset {:?}", given.dataset);
        Some(Held { assembly, of })
    };
    let mut held = onto.or_else(of_dataset);
    let asked = named.as_deref().and_then(Assembly::from_name);
    for (number, input) in (1..).zip(opened) {
        let by_lengths = Said::by_lengths(number, &input.header);
        if let (Some(asked), Some(said)) = (asked, &by_lengths)
            && asked != said.assembly
        {
            let (detected, line, by) = (said.assembly, said.line, &said.by);
            return Err(Error::Request(format!(
                "input {number}: the contig lengths are those of {detected}, not of {asked} (line {line}: {by})"
            )));
        }
        // Who gives --assembly knows better than names in a header.
        let by_names = || match given.named {
            Some(_) => None,
            None => Said::by_names(number, &input.header),
        };
        if let Some(said) = by_lengths.or_else(by_names) {
            held = Some(said.agreed(held)?);
        }
    }
    if let Some(assembly) = asked {
        held = Some(Said::of_request(assembly, "--assembly").agreed(held)?);
    }
    if let Some(assembly) = given.reference {
        held = Some(Said::of_request(assembly, "the FASTA of --reference").agreed(held)?);
    }
    let told = held.map(|held| held.assembly.as_str().to_owned());
    Ok(known.assembly.clone().or(named).or(told))
}

/// The assembly that a plain table says of itself.
pub(crate) fn of_table(schema: &Schema) -> Option<Assembly> {
    let mut told = schema
        .fields()
        .iter()
        .filter_map(|field| field.metadata().get(ASSEMBLY_KEY));
    Assembly::from_name(told.next()?)
}

/// The columns of a plain table whose column `contig` says that it is on an assembly.
pub(crate) fn on(schema: &SchemaRef, assembly: Option<Assembly>) -> SchemaRef {
    let Some(assembly) = assembly else {
        return Arc::clone(schema);
    };
    let tells = |field: &FieldRef| -> FieldRef {
        if field.name() != "contig" {
            return Arc::clone(field);
        }
        let mut metadata = field.metadata().clone();
        metadata.insert(ASSEMBLY_KEY.to_owned(), assembly.as_str().to_owned());
        Arc::new(Field::clone(field).with_metadata(metadata))
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(tells).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
