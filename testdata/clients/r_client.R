# R: RPostgreSQL with DBI: tables, fields, a data frame, chunks, an error.
suppressMessages({
  library(DBI)
  library(RPostgreSQL)
})
facts_text <- Sys.getenv("GENOKURA_FACTS")
fact <- function(name) as.numeric(sub(sprintf('.*"%s": *([0-9]+).*', name), "\\1", facts_text))
list_fact <- function(name) {
  inner <- sub(sprintf('.*"%s": *\\[([^]]*)\\].*', name), "\\1", facts_text)
  gsub('^ *"?|"? *$', "", strsplit(inner, ",")[[1]])
}
same <- function(found, expected) {
  if (!isTRUE(all.equal(found, expected, check.attributes = FALSE))) {
    stop(sprintf("found %s, expected %s", deparse1(found), deparse1(expected)))
  }
}
check <- function(name, work) {
  result <- tryCatch(list(ok = TRUE, detail = work()), error = function(e) list(ok = FALSE, detail = conditionMessage(e)))
  detail <- if (is.character(result$detail)) gsub("\\s+", " ", result$detail) else ""
  cat(if (result$ok) "ok" else "fail", name, paste0(detail, "\n"), sep = "\t")
}
cat(sprintf("version\t%s\n", packageVersion("RPostgreSQL")))
connection <- dbConnect(PostgreSQL(), host = "127.0.0.1", port = as.integer(Sys.getenv("GENOKURA_PORT")), user = "owner", dbname = "genokura")
big <- "SELECT contig, pos, ref, alt, sample_id, gt, dosage FROM cohort.carriers"

check("connect", function() {
  same(dbGetQuery(connection, "SELECT current_database() AS db")$db, "genokura")
  sprintf("server %s", dbGetInfo(connection)$serverVersion)
})
check("tables", function() {
  same(dbExistsTable(connection, c("cohort", "variants")), TRUE)
  same(dbExistsTable(connection, c("cohort", "variant")), FALSE)
  invisible(dbListTables(connection))
})
check("reflect", function() {
  fields <- dbListFields(connection, c("cohort", "carriers"))
  same(all(c("contig", "pos", "sample_id", "dosage") %in% fields), TRUE)
  result <- dbSendQuery(connection, "SELECT pos, af, contig FROM cohort.variants LIMIT 1")
  same(dbColumnInfo(result)$Sclass, c("integer", "double", "character"))
  dbClearResult(result)
  TRUE
})
check("types", function() {
  row <- dbGetQuery(connection, commandArgs(trailingOnly = TRUE)[1])
  # R has no integer for -2147483648: it is its NA.
  same(c(row$i2, row$i4), c(-32768, NA))
  same(list(row$f8, row$b, row$t), list(-0.1, TRUE, "\u00e9 \"x\""))
  same(row$d, as.Date("2024-02-29"))
  same(is.na(row$nul), TRUE)
  TRUE
})
check("parameters", function() {
  region <- list_fact("region")
  sql <- "SELECT count(*)::int4 AS n FROM cohort.variants WHERE contig = $1 AND pos BETWEEN $2 AND $3"
  found <- dbGetQuery(connection, sql, list(region[1], as.integer(region[2]), as.integer(region[3])))
  same(found$n, fact("region_rows"))
  TRUE
})
check("chunks", function() {
  result <- dbSendQuery(connection, big)
  rows <- 0
  total <- 0
  while (!dbHasCompleted(result)) {
    part <- fetch(result, n = 5000)
    rows <- rows + nrow(part)
    total <- total + sum(as.numeric(part$pos))
  }
  dbClearResult(result)
  same(c(rows, total), c(fact("carriers"), fact("carriers_pos_sum")))
  "fetch"
})
check("cancel", function() {
  dbGetQuery(connection, "SET statement_timeout = 400")
  slow <- "SELECT count(*) FROM cohort.calls a JOIN cohort.calls b ON a.pos + b.pos < 0"
  started <- Sys.time()
  message <- tryCatch({ dbGetQuery(connection, slow); "" }, error = conditionMessage, warning = conditionMessage)
  reason <- dbGetException(connection)$errorMsg
  dbGetQuery(connection, "RESET statement_timeout")
  if (!grepl("statement timeout", reason)) stop(paste(message, reason))
  if (as.numeric(Sys.time() - started, units = "secs") > 4) stop("too late")
  "by statement_timeout"
})
check("error", function() {
  message <- tryCatch({ dbGetQuery(connection, "SELECT * FROM cohort.variant"); "" }, error = conditionMessage, warning = conditionMessage)
  if (!grepl("cohort.variant", message)) stop(message)
  same(dbGetQuery(connection, "SELECT 1 AS one")$one, 1)
  TRUE
})
invisible(dbDisconnect(connection))
