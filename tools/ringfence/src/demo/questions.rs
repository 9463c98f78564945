//! The analytic questions, each plain SQL over the wire.

use std::time::{Duration, Instant};

use crate::pg_client::{ClientError, PgClient};

/// One question and what the reference needed for it.
pub struct Question {
    /// Number in the catalogue of questions.
    pub number: u32,
    /// In words.
    pub text: &'static str,
    /// The SQL; `{bucket}` stands for the present 15-minute window.
    pub sql: &'static str,
    /// The reference's best figure, if it has one.
    pub reference: &'static str,
}

/// Questions 1 to 8.
pub const QUESTIONS: &[Question] = &[
    Question {
        number: 1,
        text: "3 raw events",
        sql: "SELECT * FROM events LIMIT 3",
        reference: "",
    },
    Question {
        number: 1,
        text: "100 raw events",
        sql: "SELECT * FROM events LIMIT 100",
        reference: "",
    },
    Question {
        number: 2,
        text: "events per asset, ten groups",
        sql: "SELECT entity_id, count(*) FROM events GROUP BY entity_id ORDER BY entity_id LIMIT 10",
        reference: "",
    },
    Question {
        number: 2,
        text: "ten busiest assets, first and last event",
        sql: "SELECT entity_id, count(*) AS n, min(event_time), max(event_time) FROM events \
              GROUP BY entity_id ORDER BY n DESC, entity_id LIMIT 10",
        reference: "",
    },
    Question {
        number: 3,
        text: "latest state of ten flying assets",
        sql: "SELECT entity_id, speed_mps, altitude_m, risk_score FROM latest_status \
              WHERE is_flying ORDER BY risk_score DESC, entity_id LIMIT 10",
        reference: "",
    },
    Question {
        number: 4,
        text: "fleet by event type: count, min, max temperature",
        sql: "SELECT event_type, count(*), min(temp_internal_c), max(temp_internal_c) FROM latest_status \
              GROUP BY event_type ORDER BY event_type LIMIT 5",
        reference: "",
    },
    Question {
        number: 5,
        text: "the same over one window of events",
        sql: "SELECT event_type, count(*), min(temp_internal_c), max(temp_internal_c) FROM events \
              WHERE event_bucket = '{bucket}' GROUP BY event_type ORDER BY event_type LIMIT 5",
        reference: "8.8 s for 1.79 M rows",
    },
    Question {
        number: 6,
        text: "the same over the whole history",
        sql: "SELECT event_type, count(*), min(temp_internal_c), max(temp_internal_c) FROM events \
              GROUP BY event_type ORDER BY event_type LIMIT 5",
        reference: "30.5 s for 17.7 M rows",
    },
    Question {
        number: 7,
        text: "count of the present window",
        sql: "SELECT count(*) FROM events WHERE event_bucket = '{bucket}'",
        reference: "",
    },
    Question {
        number: 7,
        text: "count of an empty window",
        sql: "SELECT count(*) FROM events WHERE event_bucket = '1999-01-01T00:00'",
        reference: "an error in its SQL shim",
    },
    Question {
        number: 8,
        text: "count of the whole table",
        sql: "SELECT count(*) FROM events",
        reference: "",
    },
];

/// One answer.
pub struct Answered {
    /// Rows in the answer.
    pub row_count: usize,
    /// From asking to the last row.
    pub elapsed: Duration,
    /// First cell, for counts.
    pub first: Option<String>,
}

/// Asks one question.
pub fn ask(
    client: &mut PgClient,
    question: &Question,
    bucket: &str,
) -> Result<Answered, ClientError> {
    let sql = question.sql.replace("{bucket}", bucket);
    let start = Instant::now();
    let answer = client.simple(&sql)?;
    Ok(Answered {
        row_count: answer.rows.len(),
        elapsed: start.elapsed(),
        first: answer.first().map(str::to_owned),
    })
}
