//! Random walks of FETCH and MOVE over cursors of genokura and of PostgreSQL.

use tokio_postgres::SimpleQueryMessage;

use super::{Client, Postgres, connect_to, lake, served};

/// A generator of small numbers that are the same in every run.
struct Walk(u64);

impl Walk {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// One step: FETCH or MOVE in any direction, near the ends and beyond.
    fn step(&mut self, rows: u64) -> String {
        let verb = ["FETCH", "FETCH", "MOVE"][usize::try_from(self.below(3)).unwrap()];
        let far = i64::try_from(self.below(rows + 4)).unwrap();
        let number = match self.below(4) {
            0 => -far,
            1 => far / 3,
            _ => far,
        };
        let where_to = match self.below(13) {
            0 => "NEXT".to_owned(),
            1 => "PRIOR".to_owned(),
            2 => "FIRST".to_owned(),
            3 => "LAST".to_owned(),
            4 | 5 => format!("ABSOLUTE {number}"),
            6 | 7 => format!("RELATIVE {number}"),
            8 => format!("FORWARD {number}"),
            9 => format!("BACKWARD {number}"),
            10 => "FORWARD ALL".to_owned(),
            11 => "BACKWARD ALL".to_owned(),
            _ => number.to_string(),
        };
        format!("{verb} {where_to} FROM c")
    }
}

/// The rows, and the number that the command tag counts; or the SQLSTATE.
async fn told(client: &tokio_postgres::Client, sql: &str) -> Result<(Vec<String>, u64), String> {
    let messages = client.simple_query(sql).await;
    let messages = messages.map_err(|error| error.code().unwrap().code().to_owned())?;
    let (mut rows, mut count) = (Vec::new(), 0);
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL"));
                rows.push(cells.collect::<Vec<_>>().join("|"));
            }
            SimpleQueryMessage::CommandComplete(number) => count = number,
            _ => {}
        }
    }
    Ok((rows, count))
}

async fn wire(config: &str) -> tokio_postgres::Client {
    match connect_to(config).await {
        Client::Wire(client) => client,
        _ => panic!("not a connection"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_walk_as_those_of_postgresql() {
    let postgres = Postgres::start();
    let theirs = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres",
        postgres.port
    );
    let theirs = wire(&theirs).await;
    let lake = lake().await;
    let (address, _running) = served(&lake).await;
    let ours = format!(
        "host=127.0.0.1 port={} user=slt dbname=genokura",
        address.port()
    );
    let ours = wire(&ours).await;
    let mut steps = 0;
    for seed in 1..=120_u64 {
        let mut walk = Walk(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        // 20,000 rows are more than one batch.
        let rows = [0, 1, 2, 7, 20_000][usize::try_from(walk.below(5)).unwrap()];
        let scroll = ["SCROLL", "SCROLL", "NO SCROLL"][usize::try_from(walk.below(3)).unwrap()];
        let hold = walk.below(3) == 0;
        let options = if hold { "WITH HOLD" } else { "" };
        let declare = format!(
            "DECLARE c {scroll} CURSOR {options} FOR \
             SELECT i, 'row ' || i FROM generate_series(1, {rows}) AS g(i) ORDER BY i"
        );
        let mut before = vec!["BEGIN".to_owned(), declare];
        if hold {
            before.push("COMMIT".to_owned());
        }
        let mut done = Vec::new();
        for sql in before.into_iter().chain((0..25).map(|_| walk.step(rows))) {
            let (mine, other) = (told(&ours, &sql).await, told(&theirs, &sql).await);
            done.push(sql);
            assert_eq!(mine, other, "{}", done.join("; "));
            steps += 1;
            if mine.is_err() {
                break;
            }
        }
        for client in [&ours, &theirs] {
            let end = if hold { "CLOSE c" } else { "ROLLBACK" };
            client.batch_execute(end).await.unwrap();
        }
    }
    assert!(steps > 1_500, "{steps}");
}
