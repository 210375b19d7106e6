//! The simple query protocol: a string of statements, results in text.

use std::time::Instant;

use super::connection::Connection;
use super::encode::Format;
use super::extended::row_description;
use crate::session::Outcome;
use crate::session::statement::{self, Parsed};
use crate::sqlstate::ServerError;

impl Connection {
    /// Runs a query string; errors of its statements go to the client, an `Err` ends the session.
    pub(super) async fn simple_query(&mut self, sql: &str) -> Result<(), ServerError> {
        self.session.close_statement("");
        self.session.close_portal("");
        self.interrupts.begin(self.session.statement_timeout());
        self.runs(sql);
        let parsed = statement::parse_beside(self.session.work(), sql);
        let parsed = self.interrupts.race(parsed).await;
        self.interrupts.end();
        let statements = match parsed {
            Ok(statements) => statements,
            Err(error) => return self.report(&error),
        };
        if statements.is_empty() {
            return self.empty_query();
        }
        if statements.len() > 1 {
            self.session.begin_implicit_block();
        }
        let last = statements.len() - 1;
        for (number, parsed) in statements.iter().enumerate() {
            self.session.followed(number < last);
            let result = self.simple_statement(parsed).await;
            self.interrupts.end();
            if let Err(error) = result {
                return self.report(&error);
            }
        }
        Ok(())
    }

    async fn simple_statement(&mut self, parsed: &Parsed) -> Result<(), ServerError> {
        let query = self.begin_statement();
        let started = Instant::now();
        let outcome = self
            .interrupts
            .race(Box::pin(self.session.run(parsed, &[])))
            .await;
        self.tell_notices()?;
        let outcome = outcome?;
        let rows = self.send_simple(outcome).await?;
        self.done(query, rows, started);
        Ok(())
    }

    async fn send_simple(&mut self, outcome: Outcome) -> Result<u64, ServerError> {
        match outcome {
            Outcome::Rows {
                rows,
                tag,
                counted,
                formats,
            } => {
                let formats = formats.unwrap_or_else(|| vec![Format::Text; rows.columns.len()]);
                let columns = rows.columns.iter().cloned().zip(formats.iter().copied());
                row_description(columns, &mut self.out)?;
                let sent = self.send_rows(rows, formats).await?;
                self.complete_rows(&tag, counted, sent)?;
                Ok(sent)
            }
            other => self.send_other(other).await,
        }
    }

    /// Outcomes that look the same in both protocols.
    pub(super) async fn send_other(&mut self, outcome: Outcome) -> Result<u64, ServerError> {
        match outcome {
            Outcome::Copy { rows, options } => {
                let sent = self.send_copy(rows, options).await?;
                self.complete(&format!("COPY {sent}"))?;
                Ok(sent)
            }
            Outcome::CopyIn(copy) => {
                let taken = Box::pin(self.receive_copy(*copy)).await?;
                self.complete(&format!("COPY {taken}"))?;
                Ok(taken)
            }
            Outcome::Skip { rows, tag } => {
                let skipped = self.skip_rows(rows).await?;
                self.complete(&format!("{tag} {skipped}"))?;
                Ok(skipped)
            }
            Outcome::Done { tag, warning } => {
                if let Some(warning) = warning {
                    self.notice(&warning)?;
                }
                self.complete(&tag)?;
                Ok(0)
            }
            Outcome::Rows { .. } => Err(ServerError::internal("rows without a description")),
        }
    }

    pub(super) fn complete_rows(
        &mut self,
        tag: &str,
        counted: bool,
        rows: u64,
    ) -> Result<(), ServerError> {
        if counted {
            self.complete(&format!("{tag} {rows}"))
        } else {
            self.complete(tag)
        }
    }
}
