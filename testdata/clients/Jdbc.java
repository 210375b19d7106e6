// pgjdbc: metadata calls, prepared statements that turn binary, fetch size, COPY, cancel; what DBeaver and JVM tools use.
import java.io.StringWriter;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;

public final class Jdbc {
    interface Work { String run() throws Exception; }

    static final String PORT = System.getenv("GENOKURA_PORT");
    static final String FACTS = System.getenv("GENOKURA_FACTS");
    static final String URL = "jdbc:postgresql://127.0.0.1:" + PORT + "/genokura?user=owner";
    static final String BIG = "SELECT contig, pos, ref, alt, sample_id, gt, dosage FROM cohort.carriers";
    static final String SLOW = "SELECT count(*) FROM cohort.calls a JOIN cohort.calls b ON a.pos + b.pos < 0";
    static Connection connection;

    // The facts are a flat JSON object of our own making; this reads one value of it.
    static String fact(String name) {
        int at = FACTS.indexOf("\"" + name + "\":");
        String rest = FACTS.substring(FACTS.indexOf(':', at) + 1).trim();
        int end = rest.startsWith("[") ? rest.indexOf(']') + 1 : rest.split("[,}]")[0].length();
        return rest.substring(0, end).trim();
    }

    static List<String> listFact(String name) {
        List<String> found = new ArrayList<>();
        for (String item : fact(name).replaceAll("[\\[\\]\"]", "").split(",")) found.add(item.trim());
        return found;
    }

    static void same(Object found, Object expected) {
        if (!Objects.equals(found, expected)) throw new AssertionError("found " + found + ", expected " + expected);
    }

    static void check(String name, Work work) {
        try {
            String detail = work.run();
            System.out.println("ok\t" + name + "\t" + (detail == null ? "" : detail));
        } catch (Throwable error) {
            StackTraceElement where = error.getStackTrace()[0];
            for (StackTraceElement frame : error.getStackTrace()) if (frame.getClassName().startsWith("Jdbc")) { where = frame; break; }
            System.out.println("fail\t" + name + "\t" + (error + " (line " + where.getLineNumber() + ")").replaceAll("\\s+", " "));
        }
    }

    static List<String> strings(ResultSet rows, String column) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) found.add(rows.getString(column));
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        connection = DriverManager.getConnection(URL);
        System.out.println("version\t" + connection.getMetaData().getDriverVersion());
        DatabaseMetaData meta = connection.getMetaData();
        check("connect", () -> {
            same(meta.getDatabaseProductName(), "PostgreSQL");
            same(connection.getCatalog(), "genokura");
            return "server " + meta.getDatabaseMajorVersion();
        });
        check("tables", () -> {
            same(strings(meta.getTables(null, "cohort", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME"), listFact("tables"));
            if (!strings(meta.getSchemas(), "TABLE_SCHEM").containsAll(List.of("clin", "cohort", "kb"))) throw new AssertionError("schemas");
            same(strings(meta.getCatalogs(), "TABLE_CAT"), List.of("genokura"));
            return null;
        });
        check("reflect", () -> {
            Map<String, String> types = new HashMap<>();
            try (ResultSet rows = meta.getColumns(null, "cohort", "variants", "%")) {
                while (rows.next()) types.put(rows.getString("COLUMN_NAME"), rows.getString("TYPE_NAME") + " " + rows.getInt("DATA_TYPE") + " " + rows.getString("IS_NULLABLE"));
            }
            same(types.get("pos"), "int4 " + Types.INTEGER + " NO");
            same(types.get("filters"), "_text " + Types.ARRAY + " YES");
            same(types.get("af"), "float8 " + Types.DOUBLE + " YES");
            same(strings(meta.getPrimaryKeys(null, "cohort", "variants"), "COLUMN_NAME"), List.of());
            same(strings(meta.getImportedKeys(null, "cohort", "variants"), "FKTABLE_NAME"), List.of());
            same(strings(meta.getIndexInfo(null, "cohort", "variants", false, true), "INDEX_NAME"), List.of());
            if (!strings(meta.getTypeInfo(), "TYPE_NAME").contains("int4")) throw new AssertionError("getTypeInfo");
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery("SELECT v.pos AS place, v.pos + 1 FROM cohort.variants v LIMIT 0")) {
                ResultSetMetaData told = rows.getMetaData();
                org.postgresql.PGResultSetMetaData more = told.unwrap(org.postgresql.PGResultSetMetaData.class);
                same(List.of(more.getBaseSchemaName(1), more.getBaseTableName(1), more.getBaseColumnName(1)), List.of("cohort", "variants", "pos"));
                same(told.getColumnName(1), "place");
                same(told.isNullable(1), ResultSetMetaData.columnNoNulls);
                same(List.of(more.getBaseTableName(2), more.getBaseColumnName(2)), List.of("", ""));
            }
            strings(meta.getFunctions(null, "public", "gt_%"), "FUNCTION_NAME");
            strings(meta.getTablePrivileges(null, "cohort", "variants"), "TABLE_NAME");
            if (meta.getSQLKeywords().isEmpty() || meta.getMaxColumnsInIndex() < 1) throw new AssertionError("limits");
            try (ResultSet rows = connection.createStatement().executeQuery("SELECT * FROM cohort.variants LIMIT 1")) {
                same(rows.getMetaData().getColumnTypeName(2), "int4");
            }
            return "getColumns, keys, indexes, types, functions";
        });
        check("types", () -> {
            // The driver asks for binary from the fifth execution on.
            try (PreparedStatement statement = connection.prepareStatement(arguments[0])) {
                for (int n = 0; n < 8; n++) {
                    ResultSet row = statement.executeQuery();
                    row.next();
                    same(row.getInt("i2"), -32768);
                    same(row.getInt("i4"), Integer.MIN_VALUE);
                    same(row.getLong("i8"), Long.MAX_VALUE);
                    same(row.getFloat("f4"), 1.5f);
                    same(row.getDouble("f8"), -0.1);
                    same(row.getBigDecimal("n").toPlainString(), "12345.6789");
                    same(row.getBoolean("b"), true);
                    same(row.getString("t"), "é \"x\"");
                    same(Arrays.toString(row.getBytes("y")), "[0, -1]");
                    same(row.getObject("d", java.time.LocalDate.class).toString(), "2024-02-29");
                    same(row.getObject("ts", java.time.LocalDateTime.class).toString(), "2024-02-29T12:34:56.789");
                    same(row.getObject("tz", java.time.OffsetDateTime.class).toInstant().toString(), "2024-02-29T12:34:56Z");
                    same(Arrays.asList((Object[]) row.getArray("ia").getArray()), Arrays.asList(1, null, 3));
                    same(Arrays.asList((Object[]) row.getArray("ta").getArray()), Arrays.asList("a", "b,\"c", null));
                    same(row.getString("nul"), null);
                }
            }
            return "text, binary";
        });
        check("parameters", () -> {
            String sql = "SELECT count(*) FROM cohort.variants WHERE contig = ? AND pos BETWEEN ? AND ?";
            List<String> region = listFact("region");
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                same(statement.getParameterMetaData().getParameterTypeName(2), "int4");
                for (int n = 0; n < 8; n++) {
                    statement.setString(1, region.get(0));
                    statement.setInt(2, Integer.parseInt(region.get(1)));
                    statement.setInt(3, Integer.parseInt(region.get(2)));
                    ResultSet rows = statement.executeQuery();
                    rows.next();
                    same(rows.getString(1), fact("region_rows"));
                }
            }
            try (PreparedStatement statement = connection.prepareStatement("SELECT count(*) FROM cohort.variants WHERE contig = ANY (?)")) {
                statement.setArray(1, connection.createArrayOf("text", new String[] {region.get(0), "chr99"}));
                ResultSet rows = statement.executeQuery();
                rows.next();
                if (rows.getInt(1) < 1) throw new AssertionError("no rows");
            }
            return "typed, array, eight times";
        });
        check("chunks", () -> {
            connection.setAutoCommit(false);
            long rows = 0, sum = 0;
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(5000);
                ResultSet result = statement.executeQuery(BIG);
                while (result.next()) { rows++; sum += result.getInt("pos"); }
            }
            connection.commit();
            connection.setAutoCommit(true);
            same(rows + " " + sum, fact("carriers") + " " + fact("carriers_pos_sum"));
            return "fetch size";
        });
        check("copy out", () -> {
            StringWriter out = new StringWriter();
            connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (" + BIG + ") TO STDOUT WITH CSV", out);
            same("" + out.toString().lines().count(), fact("carriers"));
            return "csv";
        });
        check("transaction", () -> {
            connection.setAutoCommit(false);
            connection.setReadOnly(true);
            Savepoint savepoint = connection.setSavepoint();
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT 1/0");
                throw new AssertionError("no error");
            } catch (SQLException error) {
                same(error.getSQLState(), "22012");
            }
            connection.rollback(savepoint);
            connection.createStatement().executeQuery("SELECT 1");
            connection.commit();
            connection.setReadOnly(false);
            connection.setAutoCommit(true);
            return "savepoint, read only";
        });
        check("temporary", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.execute("CREATE TEMP TABLE mine (id int, name text)");
                org.postgresql.copy.CopyManager copies = connection.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
                same(copies.copyIn("COPY mine FROM STDIN", new java.io.StringReader("1\ta\n2\t\\N\n")), 2L);
                try (PreparedStatement insert = connection.prepareStatement("INSERT INTO mine VALUES (?, ?)")) {
                    for (int at = 3; at < 10; at++) {
                        insert.setInt(1, at);
                        insert.setString(2, "n" + at);
                        insert.addBatch();
                    }
                    same(insert.executeBatch().length, 7);
                }
                same(statement.executeUpdate("DELETE FROM mine WHERE id > 8"), 1);
                ResultSet rows = statement.executeQuery("SELECT count(*), count(name) FROM mine");
                rows.next();
                same(rows.getInt(1) + "," + rows.getInt(2), "8,7");
                ResultSet tables = meta.getTables(null, null, "mine", new String[] {"TEMPORARY TABLE"});
                same(strings(tables, "TABLE_NAME"), List.of("mine"));
                statement.execute("DROP TABLE mine");
            }
            return "CopyManager, batch";
        });
        check("cancel", () -> {
            for (boolean timeout : new boolean[] {false, true}) {
                long started = System.nanoTime();
                try (Statement statement = connection.createStatement()) {
                    if (timeout) statement.setQueryTimeout(1);
                    else new Thread(() -> {
                        try { Thread.sleep(400); statement.cancel(); } catch (Exception e) { throw new RuntimeException(e); }
                    }).start();
                    statement.executeQuery(SLOW);
                    throw new AssertionError("not cancelled");
                } catch (SQLException error) {
                    same(error.getSQLState(), "57014");
                }
                long took = (System.nanoTime() - started) / 1_000_000;
                if (took > 5_000) throw new AssertionError("stopped after " + took + " ms, by timeout: " + timeout);
            }
            return "cancel, query timeout";
        });
        check("error", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT * FROM cohort.variant");
                throw new AssertionError("no error");
            } catch (SQLException error) {
                same(error.getSQLState(), "42P01");
            }
            return null;
        });
        connection.close();
    }
}
