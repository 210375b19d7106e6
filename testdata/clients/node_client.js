// node pg: pool, named statements, cursor, COPY stream, cancel.
const { Pool, Client, types } = require("pg");
const Cursor = require("pg-cursor");
const { finished } = require("stream/promises");
const { to: copyTo, from: copyFrom } = require("pg-copy-streams");

const facts = JSON.parse(process.env.GENOKURA_FACTS);
const options = { host: "127.0.0.1", port: Number(process.env.GENOKURA_PORT), user: "owner", database: "genokura" };
const BIG = "SELECT contig, pos, ref, alt, sample_id, gt, dosage FROM cohort.carriers";
const SLOW = "SELECT count(*) FROM cohort.calls a JOIN cohort.calls b ON a.pos + b.pos < 0";
const [TYPES] = process.argv.slice(2);
types.setTypeParser(20, BigInt);

function same(found, expected) {
  const text = (value) => JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}n` : v));
  if (text(found) !== text(expected)) throw new Error(`found ${text(found)}, expected ${text(expected)}`);
}

async function check(name, work) {
  try {
    console.log(["ok", name, (await work()) ?? ""].join("\t"));
  } catch (error) {
    console.log(["fail", name, String(error).replace(/\s+/g, " ")].join("\t"));
  }
}

async function main() {
  console.log(`version\t${require("pg/package.json").version}`);
  const pool = new Pool({ ...options, max: 4 });
  const client = await pool.connect();
  await check("connect", async () => same((await client.query("SELECT current_database() AS db")).rows, [{ db: "genokura" }]));
  await check("tables", async () => {
    const sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1";
    same((await client.query(sql, ["cohort"])).rows.map((row) => row.table_name), facts.tables);
  });
  await check("reflect", async () => {
    const { fields } = await client.query("SELECT pos, filters, qual FROM cohort.variants LIMIT 0");
    same(fields.map((field) => field.dataTypeID), [23, 1009, 700]);
  });
  await check("types", async () => {
    for (const query of [{ text: TYPES }, { text: TYPES, name: "types" }]) {
      const row = (await client.query(query)).rows[0];
      same([row.i2, row.i4, row.i8, row.f4, row.f8, row.n], [-32768, -2147483648, 9223372036854775807n, 1.5, -0.1, "12345.6789"]);
      same([row.b, row.t, row.y.toString("hex"), row.nul], [true, 'é "x"', "00ff", null]);
      same([row.tz.toISOString(), row.ia, row.ta], ["2024-02-29T12:34:56.000Z", [1, null, 3], ["a", 'b,"c', null]]);
    }
  });
  await check("parameters", async () => {
    const text = "SELECT count(*) AS n FROM cohort.variants WHERE contig = $1 AND pos BETWEEN $2 AND $3";
    for (const name of [undefined, "region", "region"]) {
      same((await client.query({ text, name, values: facts.region })).rows[0].n, BigInt(facts.region_rows));
    }
    same((await client.query("SELECT count(*) > 0 AS b FROM cohort.variants WHERE contig = ANY($1)", [[facts.region[0]]])).rows[0].b, true);
    return "unnamed, named, array";
  });
  await check("pool", async () => {
    const answers = await Promise.all([...Array(40).keys()].map((n) => pool.query("SELECT $1::int4 AS n", [n])));
    same(answers.map((answer) => answer.rows[0].n), [...Array(40).keys()]);
  });
  await check("chunks", async () => {
    const cursor = client.query(new Cursor(BIG));
    let [rows, sum] = [0, 0];
    for (let part = await cursor.read(5000); part.length > 0; part = await cursor.read(5000)) {
      rows += part.length;
      for (const row of part) sum += row.pos;
    }
    await cursor.close();
    same([rows, sum], [facts.carriers, facts.carriers_pos_sum]);
    return "pg-cursor";
  });
  await check("copy out", async () => {
    let lines = 0;
    for await (const chunk of client.query(copyTo(`COPY (${BIG}) TO STDOUT`))) for (const byte of chunk) lines += byte === 10;
    same(lines, facts.carriers);
    return "text";
  });
  await check("temporary", async () => {
    await client.query("CREATE TEMP TABLE mine (id int, name text)");
    const stream = client.query(copyFrom("COPY mine FROM STDIN (FORMAT csv)"));
    stream.write("1,a\n2,");
    stream.end("b\n");
    await finished(stream);
    await client.query("INSERT INTO mine VALUES ($1, $2), ($3, $4)", [3, "c", 4, null]);
    same((await client.query("SELECT id, name FROM mine ORDER BY id")).rows.map((row) => row.name), ["a", "b", "c", null]);
    await client.query("DROP TABLE mine");
    return "COPY csv";
  });
  await check("cancel", async () => {
    const slow = new Client({ ...options, query_timeout: 20000, statement_timeout: 400 });
    await slow.connect();
    const failed = await slow.query(SLOW).then(() => null, (error) => error);
    same(failed?.code, "57014");
    await slow.end();
    const asked = client.query(SLOW).then(() => null, (error) => error);
    setTimeout(() => new Client(options).cancel(client, client._getActiveQuery()), 400);
    same((await asked)?.code, "57014");
    return "statement_timeout, cancel request";
  });
  await check("error", async () => {
    const error = await client.query("SELECT * FROM cohort.variant").then(() => null, (error) => error);
    same([error?.code, error?.hint], ["42P01", 'Perhaps you meant the relation "cohort.variants".']);
    same((await client.query("SELECT 1 AS one")).rows, [{ one: 1 }]);
  });
  client.release();
  await pool.end();
}

main();
