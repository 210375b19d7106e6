//! The extended query protocol: Parse, Bind, Describe, Execute, Close.

use std::time::Instant;

use super::column::Column;
use super::connection::Connection;
use super::encode::Format;
use crate::session::{Bound, Outcome};
use crate::sqlstate::ServerError;
use bytes::BytesMut;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete,
    PortalSuspended, TARGET_TYPE_BYTE_STATEMENT,
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
    pub(super) async fn parse(&mut self, parse: Parse) -> Result<(), ServerError> {
        let name = parse.name.unwrap_or_default();
        self.begin_statement();
        self.runs(&parse.query);
        if name.is_empty() {
            self.session.close_statement("");
        }
        let work = self.session.prepare(&name, &parse.query, &parse.type_oids);
        let result = self.interrupts.race(work).await;
        self.interrupts.end();
        result?;
        self.put(PgWireBackendMessage::ParseComplete(ParseComplete::new()))
    }

    pub(super) async fn bind(&mut self, bind: Bind) -> Result<(), ServerError> {
        let portal = bind.portal_name.unwrap_or_default();
        let statement = bind.statement_name.unwrap_or_default();
        if portal.is_empty() {
            self.session.close_portal("");
        }
        self.begin_statement();
        self.runs(&self.session.statement_text(&statement).unwrap_or_default());
        let work = self.session.bind(
            &portal,
            &statement,
            &bind.parameter_format_codes,
            &bind.parameters,
            &bind.result_column_format_codes,
        );
        let result = self.interrupts.race(work).await;
        self.interrupts.end();
        result?;
        self.put(PgWireBackendMessage::BindComplete(BindComplete::new()))
    }

    pub(super) fn describe(&mut self, describe: &Describe) -> Result<(), ServerError> {
        let name = describe.name.as_deref().unwrap_or_default();
        let description = if describe.target_type == TARGET_TYPE_BYTE_STATEMENT {
            let description = self.session.describe_statement(name)?;
            let types = description.parameters.iter().map(|t| t.oid).collect();
            let message = ParameterDescription::new(types);
            self.put(PgWireBackendMessage::ParameterDescription(message))?;
            description
        } else {
            self.session.describe_portal(name)?
        };
        match description.columns {
            Some(columns) => row_description(columns.into_iter(), &mut self.out),
            None => self.put(PgWireBackendMessage::NoData(NoData::new())),
        }
    }

    pub(super) async fn execute(&mut self, execute: &Execute) -> Result<(), ServerError> {
        let portal = execute.name.as_deref().unwrap_or_default();
        let query = self.begin_statement();
        self.runs(&self.session.portal_text(portal).unwrap_or_default());
        let started = Instant::now();
        let result = self.execute_portal(execute).await;
        self.interrupts.end();
        let rows = result?;
        self.done(query, rows, started);
        Ok(())
    }

    async fn execute_portal(&mut self, execute: &Execute) -> Result<u64, ServerError> {
        let name = execute.name.as_deref().unwrap_or_default();
        let limit = u64::try_from(execute.max_rows)
            .ok()
            .filter(|rows| *rows > 0);
        if self.session.is_final(name) {
            let followed = self.is_followed().await?;
            self.session.followed(followed);
        }
        let bound = self
            .interrupts
            .race(self.session.execute(name, limit))
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
                    self.complete_rows(tag, counted, sent)?;
                }
                Ok(sent)
            }
            Bound::Outcome(outcome, _) => self.send_other(outcome).await,
        }
    }

    pub(super) fn close(&mut self, close: &Close) -> Result<(), ServerError> {
        let name = close.name.as_deref().unwrap_or_default();
        if close.target_type == TARGET_TYPE_BYTE_STATEMENT {
            self.session.close_statement(name);
        } else {
            self.session.close_portal(name);
        }
        self.put(PgWireBackendMessage::CloseComplete(CloseComplete::new()))
    }
}
