//! Refuses comparisons of contigs that can only be false because the two sides spell contigs in different ways (`1` and
//! `chr1`): no row would match, and nobody would be told.
//!
//! ```text
//! v.contig = g.contig          a join of tables that spell the human primaries differently      ContigNames
//! v.contig || ':' || v.pos     texts that begin with a contig, order: a warning ([`fronts`])
//! chr01, chrMT beside chr1     names that one side has and the other calls otherwise: a warning ([`unusual`])
//! v.contig = '1'               a constant that the table names otherwise, also one of a list    ContigNamed
//! in_region(v.contig, …, 'chr99:1-5')      a contig that the dataset lacks under all its names  UnknownContig
//! ```
//! Where a column comes from is followed through the plan ([`origin`]): tables tell in the metadata of their columns how
//! they spell (`CONTIG_SPELLING_KEY`), table functions are asked, rows that a session holds in memory and constants
//! are looked at; a number that is cast to text begins with no `chr`; `trim` changes no name, `upper` and `lower` its
//! case. Where one of several origins tells nothing, or two disagree, nothing is refused: whatever matches,
//! matches; but rows in memory that spell some contigs as the table does and others otherwise are refused with one of
//! these names, since half of them would be left out. A constant whose other name stands beside it (`contig IN ('1', 'chr1')`) is meant as it is.
//!
//! Joins are looked at in the plan as it is run, when comparisons of every form have become keys; constants in the plan as
//! it was written, before they are pushed below unions. Neither is changed, but that a region of a dataset with contigs such as
//! `HLA-A*01:01` gets braces around the contig that it means.

mod constants;
mod fronts;
pub(crate) mod origin;
pub(crate) mod unusual;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionState;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner as _};

use crate::error::Error;
use crate::rules::symbolic_alleles;
use crate::table::state_of;
use crate::warnings::{Warning, Warnings};
use origin::{Origin, origins, spelling};

/// Constants in a plan as it was written.
#[derive(Debug)]
pub(crate) struct ContigConstants;

impl AnalyzerRule for ContigConstants {
    fn name(&self) -> &'static str {
        "contig_constants"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> DfResult<LogicalPlan> {
        let plan = constants::braced(plan)?.data;
        plan.apply_with_subqueries(|node| {
            constants::check(node)?;
            fronts::warn(node, config)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

/// DataFusion's planner, when the joins of a plan and its constants beside the results of functions are looked at.
#[derive(Debug)]
pub(crate) struct ContigPlanner;

#[async_trait]
impl QueryPlanner for ContigPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let state = state_of(session)?;
        symbolic_alleles::warn(plan, state.config_options())?;
        for comparison in comparisons(plan)? {
            let comparison = comparison.followed(state).await?;
            comparison.warn(state).await?;
            comparison.check(state).await?;
        }
        let planner = DefaultPhysicalPlanner::default();
        planner.create_physical_plan(plan, session).await
    }
}

/// What a plan compares, and can only be judged when functions and rows in memory are asked.
enum Comparison {
    Join(Vec<Origin>, Vec<Origin>),
    Constants(Vec<constants::Compared>),
}

impl Comparison {
    /// The same of the tables that functions read.
    async fn followed(self, state: &SessionState) -> DfResult<Self> {
        Ok(match self {
            Self::Join(left, right) => Self::Join(
                origin::followed(left, state).await?,
                origin::followed(right, state).await?,
            ),
            Self::Constants(compared) => {
                let mut all = Vec::with_capacity(compared.len());
                for mut of in compared {
                    of.origins = origin::followed(of.origins, state).await?;
                    all.push(of);
                }
                Self::Constants(all)
            }
        })
    }

    /// Warns of a join of tables of two assemblies, which is meant where one of them lifts positions over, and of contigs
    /// that one of them has under an unusual name, which may be no human ones.
    async fn warn(&self, state: &SessionState) -> DfResult<()> {
        if let Self::Join(left, right) = self {
            assemblies_met(left, right, state.config_options());
            unusual::warn(left, right, state).await?;
        }
        Ok(())
    }

    async fn check(self, state: &SessionState) -> DfResult<()> {
        let (left, right) = match self {
            Self::Join(left, right) => (left, right),
            Self::Constants(compared) => return constants::check_made(&compared, state).await,
        };
        for (names, of) in [(&left, &right), (&right, &left)] {
            if let Some(compared) = constants::listed(names, of) {
                return constants::check_made(&[compared], state).await;
            }
        }
        let is_front = left.iter().chain(&right).any(Origin::is_front);
        let (left, right) = match is_front {
            true => (origin::fronts(left), origin::fronts(right)),
            false => (left, right),
        };
        let folded = left.iter().chain(&right).any(Origin::is_folded);
        // Rows in memory are looked through only where the other side tells something.
        let made = |origins: &[Origin]| origins.iter().any(Origin::is_made);
        let told = match made(&left) && !made(&right) {
            true => match spelling(&right, state).await? {
                Some(right) => spelling(&left, state).await?.zip(Some(right)),
                None => None,
            },
            false => match spelling(&left, state).await? {
                Some(left) => Some(left).zip(spelling(&right, state).await?),
                None => None,
            },
        };
        match told {
            Some((left, right)) if folded && left.eq_ignore_ascii_case(&right) => Ok(()),
            Some((left, right)) if is_front && left != right => {
                Warnings::add(state.config_options(), || fronts::differ(&left, &right));
                Ok(())
            }
            Some((left, right)) if left != right => Err(Error::ContigNames { left, right }.into()),
            Some(_) => Ok(()),
            None if folded || is_front => Ok(()),
            None => none_lost(&left, &right, state).await,
        }
    }
}

/// Warns where contigs of two assemblies are compared.
pub(crate) fn assemblies_met(left: &[Origin], right: &[Origin], options: &ConfigOptions) {
    let both = origin::assemblies(left).zip(origin::assemblies(right));
    // What a UNION has of the same assembly is joined with it.
    let both = both.filter(|(left, right)| left.is_disjoint(right));
    let first = both.and_then(|(left, right)| left.first().copied().zip(right.first().copied()));
    if let Some((left, right)) = first {
        Warnings::add(options, || {
            Warning {
            text: format!(
                "contigs of {left} are compared with contigs of {right}: the same position is another base there"
            ),
            hint: "Load both tables on one assembly (lift one over first), or join through a table that maps positions."
                .to_owned(),
        }
        });
    }
}

/// Rows in memory that spell contigs in both ways, joined with a table that spells them in one: whoever is spelled in
/// the other way there would be left out.
async fn none_lost(left: &[Origin], right: &[Origin], state: &SessionState) -> DfResult<()> {
    for (table, rows) in [(left, right), (right, left)] {
        if table.iter().any(Origin::is_made) || !rows.iter().all(Origin::is_made) {
            continue;
        }
        let Some(spelled) = spelling(table, state).await? else {
            continue;
        };
        if let Some((name, known)) = origin::lost(rows, &spelled).await? {
            return Err(Error::ContigNamed { name, known }.into());
        }
    }
    Ok(())
}

/// The comparisons of a plan that is optimised.
fn comparisons(plan: &LogicalPlan) -> DfResult<Vec<Comparison>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Join(join) => {
                for (left, right) in &join.on {
                    keys(left, right, &[&join.left, &join.right], &mut found);
                }
                if let Some(filter) = &join.filter {
                    conjuncts(filter, &[&join.left, &join.right], &mut found);
                }
            }
            LogicalPlan::Filter(filter) => {
                let compared = constants::of(&filter.predicate, &[&filter.input]);
                let made = compared.into_iter().filter(constants::Compared::is_made);
                found.push(Comparison::Constants(made.collect()));
                conjuncts(&filter.predicate, &[&filter.input], &mut found);
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Parts of a condition, all of which must hold, that two columns be equal.
fn conjuncts(condition: &Expr, inputs: &[&LogicalPlan], found: &mut Vec<Comparison>) {
    for part in split_conjunction(condition) {
        // `= ANY (SELECT …)` becomes a join on what is true.
        let part = match part {
            Expr::IsTrue(part) => part.as_ref(),
            part => part,
        };
        if let Expr::BinaryExpr(binary) = part
            && binary.op == Operator::Eq
        {
            keys(&binary.left, &binary.right, inputs, found);
        }
        // `= ANY (array)`; of a constant array the constants are looked at.
        if let Expr::ScalarFunction(function) = part
            && let ("array_has", [list, contig]) = (function.name(), &function.args[..])
        {
            keys(contig, list, inputs, found);
        }
    }
}

/// Two expressions that must be equal, or the columns of two rows. Constants are looked at elsewhere.
fn keys(left: &Expr, right: &Expr, inputs: &[&LogicalPlan], found: &mut Vec<Comparison>) {
    let of = |expr: &Expr| match expr {
        Expr::Literal(..) => None,
        expr => inputs.iter().find_map(|input| origins(expr, input)),
    };
    for (left, right) in pairs(left, right) {
        if let (Some(left), Some(right)) = (of(left), of(right)) {
            found.push(Comparison::Join(left, right));
        }
    }
}

/// Two expressions, or if both are rows, what stands in them at the same places.
fn pairs<'a>(left: &'a Expr, right: &'a Expr) -> Vec<(&'a Expr, &'a Expr)> {
    match (row(left), row(right)) {
        (Some(left), Some(right)) => left.iter().zip(right).collect(),
        _ => vec![(left, right)],
    }
}

/// The parts of a row, whatever it is cast to.
fn row(expr: &Expr) -> Option<&Vec<Expr>> {
    match expr {
        Expr::ScalarFunction(function) if function.name() == "struct" => Some(&function.args),
        Expr::Cast(cast) => row(&cast.expr),
        Expr::Alias(alias) => row(&alias.expr),
        _ => None,
    }
}
