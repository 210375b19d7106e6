//! The scalar functions, one in each file.

mod cohort;
mod consequence_rank;
mod contig_key;
mod gt_allele_count;
mod gt_allele_frequency;
mod gt_allele_number;
mod gt_call_rate;
mod gt_carriers;
mod gt_dosage;
mod gt_het_count;
mod gt_hom_alt_count;
mod gt_hom_ref_count;
mod gt_hwe_p;
mod gt_inbreeding;
mod gt_is_de_novo;
mod gt_is_het;
mod gt_is_hom_alt;
mod gt_is_hom_ref;
mod gt_is_mendel_error;
mod gt_is_missing;
mod gt_is_phased;
mod gt_missing_count;
mod gt_missing_rate;
mod gt_ploidy;
mod gt_text;
mod hpo_is_a;
mod hpo_present;
mod in_region;
mod interval_overlaps;
mod is_transition;
mod is_transversion;
mod types;
mod worst_consequence;

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl,
    Signature, Volatility,
};

use crate::doc::FunctionDoc;
use crate::error::Result;

/// Every function, in the order of the reference.
pub(crate) fn all() -> Vec<Function> {
    DEFINITIONS.iter().map(Function::new).collect()
}

static DEFINITIONS: [Definition; 32] = [
    in_region::DEFINITION,
    interval_overlaps::DEFINITION,
    contig_key::DEFINITION,
    is_transition::DEFINITION,
    is_transversion::DEFINITION,
    worst_consequence::DEFINITION,
    consequence_rank::DEFINITION,
    gt_text::DEFINITION,
    gt_dosage::DEFINITION,
    gt_is_het::DEFINITION,
    gt_is_hom_alt::DEFINITION,
    gt_is_hom_ref::DEFINITION,
    gt_is_missing::DEFINITION,
    gt_is_phased::DEFINITION,
    gt_ploidy::DEFINITION,
    cohort::DEFINITION,
    gt_carriers::DEFINITION,
    gt_allele_count::DEFINITION,
    gt_allele_number::DEFINITION,
    gt_allele_frequency::DEFINITION,
    gt_het_count::DEFINITION,
    gt_hom_alt_count::DEFINITION,
    gt_hom_ref_count::DEFINITION,
    gt_missing_count::DEFINITION,
    gt_missing_rate::DEFINITION,
    gt_call_rate::DEFINITION,
    gt_hwe_p::DEFINITION,
    gt_inbreeding::DEFINITION,
    gt_is_de_novo::DEFINITION,
    gt_is_mendel_error::DEFINITION,
    hpo_is_a::DEFINITION,
    hpo_present::DEFINITION,
];

/// The documentation of a function.
pub(crate) fn documented(name: &str) -> Option<&'static FunctionDoc> {
    let known = DEFINITIONS.iter().map(|definition| &definition.doc);
    known.into_iter().find(|doc| doc.name == name)
}

/// What a file of this module defines.
pub(crate) struct Definition {
    pub(crate) doc: FunctionDoc,
    /// The types that the arguments are cast to, or the error that names what the function takes.
    pub(crate) coerce: fn(&'static str, &[DataType]) -> Result<Vec<DataType>>,
    pub(crate) returns: fn() -> DataType,
    pub(crate) invoke: fn(&ScalarFunctionArgs) -> DfResult<ArrayRef>,
    /// The plain expression that the function stands for, if there is one.
    pub(crate) simplify: Option<Simplify>,
}

pub(crate) type Simplify = fn(Vec<Expr>, &SimplifyContext) -> DfResult<ExprSimplifyResult>;

/// A definition in DataFusion's form. Functions are equal when their names are.
pub(crate) struct Function {
    definition: &'static Definition,
    signature: Signature,
    documentation: LazyLock<Documentation, Box<dyn FnOnce() -> Documentation + Send>>,
}

impl Function {
    fn new(definition: &'static Definition) -> Self {
        Self {
            definition,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: LazyLock::new(Box::new(|| definition.doc.documentation())),
        }
    }

    pub(crate) fn doc(&self) -> &'static FunctionDoc {
        &self.definition.doc
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Function").field(&self.doc().name).finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.doc().name == other.doc().name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.doc().name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.doc().name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        Ok((self.definition.coerce)(self.doc().name, arg_types)?)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> DfResult<DataType> {
        Ok((self.definition.returns)())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DfResult<FieldRef> {
        if let Some(place) = crate::cohort_argument(self.name()) {
            let (fields, constants) = (args.arg_fields, args.scalar_arguments);
            types::constant_cohort(self.doc().name, place, fields, constants)?;
        }
        let returned = (self.definition.returns)();
        Ok(Arc::new(Field::new(self.name(), returned, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        (self.definition.invoke)(&args).map(ColumnarValue::Array)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        match self.definition.simplify {
            Some(simplify) => simplify(args, info),
            None => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
