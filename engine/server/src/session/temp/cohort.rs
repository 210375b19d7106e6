//! Cohorts of the session: temporary tables of one column that hold samples, every one once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::comments::Comments;
use super::fill::Origin;
use super::insert::check_assignable;
use super::rules::Rules;
use super::{Piece, Relation, TempState, TempTable};
use crate::session::cohort::{self, Members};
use crate::session::plan::Planned;
use crate::session::statement::temp::{Kind, Name, OnCommit};
use crate::session::{Outcome, Session};
use crate::sqlstate::ServerError;

impl TempState {
    /// The names of what can be used as a cohort.
    pub(in crate::session) fn cohorts(&self) -> impl Iterator<Item = String> + '_ {
        let tables = self
            .relations
            .iter()
            .filter(|(_, relation)| match relation {
                Relation::Table(table) => cohort::has_samples(&table.schema),
                _ => false,
            });
        tables.map(|(name, _)| name.clone())
    }
}

impl TempTable {
    /// A cohort of nobody.
    pub(super) fn of_samples() -> TempTable {
        TempTable {
            schema: cohort::schema(),
            defaults: vec![None],
            on_commit: OnCommit::PreserveRows,
            cohort: true,
            pieces: Vec::new(),
            rules: Rules::default(),
            comments: Comments::default(),
            generated: BTreeMap::new(),
        }
    }
}

impl Session {
    /// Whether a temporary cohort may get this name; an outcome when one is there and that is well.
    pub(in crate::session) fn new_cohort(
        &self,
        name: &Name,
        or_replace: bool,
        if_not_exists: bool,
    ) -> Result<Option<Outcome>, ServerError> {
        match self.temporary.get(&name.name) {
            Some(Relation::Table(table)) if or_replace && table.cohort => Ok(None),
            Some(_) if or_replace => {
                let text = format!("\"{}\" is not a cohort", name.name);
                Err(ServerError::new("42809", text))
            }
            _ => self.new_name(name, if_not_exists, "CREATE COHORT"),
        }
    }

    /// Runs a query of one column and takes the samples that it gives.
    pub(in crate::session) async fn take_samples(
        &mut self,
        name: &str,
        planned: Planned,
        members: Members,
    ) -> Result<Members, ServerError> {
        let schema = cohort::schema();
        let from = planned.columns().first().map(|column| column.pg_type);
        let from = from.ok_or_else(|| ServerError::internal("a cohort of no column"))?;
        check_assignable(from, &planned, 0, schema.field(0))?;
        let arrangement = self.arrangement(name, &schema, vec![Origin::Column(0, from)]);
        self.gather(planned, arrangement, members, |members, batch| {
            members.add(&batch)
        })
        .await
    }

    /// Adds rows of COPY FROM to a cohort of the lake.
    pub(super) async fn extend_kept_cohort(
        &mut self,
        name: &str,
        pieces: Vec<Arc<Piece>>,
    ) -> Result<(), ServerError> {
        self.may_write("COPY FROM")?;
        let mut members = self.members().await?;
        for piece in &pieces {
            members.add(&piece.batch)?;
        }
        self.add_to_kept_cohort(name, members.names).await
    }

    /// Makes a cohort of the session.
    pub(in crate::session) async fn put_temporary_cohort(
        &mut self,
        name: &str,
        members: &Members,
    ) -> Result<(), ServerError> {
        let piece = Piece::held(members.batch()?, &self.memory().await?)?;
        let table = TempTable::of_samples().with_pieces(vec![Arc::new(piece)]);
        self.put(name, Relation::Table(Arc::new(table)));
        Ok(())
    }

    /// Puts rows in the place of those of a cohort: every sample once, and none that the session does not see.
    pub(super) async fn set_cohort(
        &mut self,
        name: &str,
        pieces: impl Iterator<Item = &Arc<Piece>>,
    ) -> Result<(), ServerError> {
        let mut members = self.members().await?;
        for piece in pieces {
            members.add(&piece.batch)?;
        }
        self.put_temporary_cohort(name, &members).await
    }

    /// Whether this is the name of a temporary relation.
    pub(in crate::session) fn is_temporary(&self, name: &Name) -> bool {
        self.may_be_own(name) && self.temporary.get(&name.name).is_some()
    }

    pub(in crate::session) async fn drop_temporary_cohorts(
        &mut self,
        names: &[Name],
        cascade: bool,
    ) -> Result<(), ServerError> {
        self.drop_relations(Kind::Cohort, names, false, cascade)
            .await
            .map(drop)
    }
}
