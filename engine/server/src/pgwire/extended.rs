//! The extended query protocol: Parse, Bind, Describe, Execute, Close.

use std::time::Instant;

use super::column::Column;
use super::connection::Connection;
use super::encode::Format;
use super::incoming::{Bind, Target};
use crate::session::{Bound, Outcome, TransactionStatus};
use crate::sqlstate::ServerError;
use bytes::BytesMut;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};

/// Appends RowDescription.
pub(super) fn row_description(
    columns: impl Iterator<Item = (Column, Format)>,
    out: &mut BytesMut,
) -> Result<(), ServerError> {
    let fields = columns.map(|(column, format)| {
        FieldDescription::new(
            column.name,
            i32::from_ne_bytes(column.table_oid.to_ne_bytes()),
            column.attnum,
            column.pg_type.oid,
            column.pg_type.len,
            column.typmod,
            format.code(),
        )
    });
    let message = RowDescription::new(fields.collect());
    PgWireBackendMessage::RowDescription(message)
        .encode(out)
        .map_err(|error| ServerError::internal(error.to_string()))
}

impl Connection {
    pub(super) async fn parse(
        &mut self,
        name: &str,
        query: &str,
        types: &[u32],
    ) -> Result<(), ServerError> {
        self.begin_statement();
        self.runs(query);
        if name.is_empty() {
            self.session.close_statement("");
        }
        let work = self.session.prepare(name, query, types);
        let result = self.interrupts.race(work).await;
        self.interrupts.end();
        result?;
        self.put(PgWireBackendMessage::ParseComplete(ParseComplete::new()))
    }

    pub(super) async fn bind(&mut self, bind: Bind) -> Result<(), ServerError> {
        let (portal, statement) = (&bind.portal, &bind.statement);
        if portal.is_empty() {
            self.session.close_portal("");
        }
        self.begin_statement();
        self.runs(&self.session.statement_text(statement).unwrap_or_default());
        let work = Box::pin(self.session.bind(
            portal,
            statement,
            &bind.value_formats,
            &bind.values,
            &bind.result_formats,
        ));
        let result = self.interrupts.race(work).await;
        self.interrupts.end();
        result?;
        self.put(PgWireBackendMessage::BindComplete(BindComplete::new()))
    }

    pub(super) fn describe(&mut self, target: &Target) -> Result<(), ServerError> {
        let description = match target {
            Target::Statement(name) => self.session.describe_statement(name)?,
            Target::Portal(name) => self.session.describe_portal(name)?,
        };
        let failed = self.session.transaction_status() == TransactionStatus::Failed;
        if failed && description.columns.is_some() {
            return Err(ServerError::aborted());
        }
        if let Target::Statement(_) = target {
            let types = description.parameters.iter().map(|t| t.oid).collect();
            let message = ParameterDescription::new(types);
            self.put(PgWireBackendMessage::ParameterDescription(message))?;
        }
        match description.columns {
            Some(columns) => row_description(columns.into_iter(), &mut self.out),
            None => self.put(PgWireBackendMessage::NoData(NoData::new())),
        }
    }

    pub(super) async fn execute(&mut self, portal: &str, limit: i32) -> Result<(), ServerError> {
        let query = self.begin_statement();
        self.runs(&self.session.portal_text(portal).unwrap_or_default());
        let started = Instant::now();
        let result = self.execute_portal(portal, limit).await;
        self.interrupts.end();
        let rows = result?;
        self.done(query, rows, started);
        Ok(())
    }

    async fn execute_portal(&mut self, name: &str, limit: i32) -> Result<u64, ServerError> {
        let limit = u64::try_from(limit).ok().filter(|rows| *rows > 0);
        if self.session.is_final(name) {
            let followed = self.is_followed().await?;
            self.session.followed(followed);
        }
        let bound = self
            .interrupts
            .race(Box::pin(self.session.execute(name, limit)))
            .await;
        self.tell_notices()?;
        let bound = bound?;
        match bound {
            Bound::Empty => {
                self.empty_query()?;
                Ok(0)
            }
            Bound::Outcome(
                Outcome::Rows {
                    rows, tag, counted, ..
                },
                formats,
            ) => {
                let own = rows.limit;
                let sent = self.send_rows(rows, formats).await?;
                if limit.is_some_and(|limit| sent >= limit) && own == limit {
                    self.put(PgWireBackendMessage::PortalSuspended(PortalSuspended::new()))?;
                } else {
                    self.complete_rows(&tag, counted, sent)?;
                }
                Ok(sent)
            }
            Bound::Outcome(outcome, _) => self.send_other(outcome).await,
        }
    }

    pub(super) fn close(&mut self, target: &Target) -> Result<(), ServerError> {
        match target {
            Target::Statement(name) => self.session.close_statement(name),
            Target::Portal(name) => self.session.close_portal(name),
        }
        self.put(PgWireBackendMessage::CloseComplete(CloseComplete::new()))
    }
}
