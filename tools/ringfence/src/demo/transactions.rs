//! Questions 12 and 13: a sequence that must be applied in order, and airspace slots that must never be given twice.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use crate::pg_client::{ClientError, ConnectUrl, PgClient};

const SESSION: &str = "5f0c0f2e-3b52-4d8e-9d6f-3f9a2b1c0d4e";
const TRIES_MAX: u32 = 1_000;

/// Whether a transaction did what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Committed.
    Granted,
    /// Rolled back by its own rules.
    Refused,
}

/// One check of the demo: what was asked, what came out, whether that is right.
pub struct Check {
    /// In words.
    pub text: String,
    /// Whether the outcome is the expected one.
    pub holds: bool,
}

/// Runs `body` as one transaction, again when the server asks for it.
fn transact(
    client: &mut PgClient,
    mut body: impl FnMut(&mut PgClient) -> Result<Verdict, ClientError>,
) -> Result<Verdict, ClientError> {
    for attempt in 1.. {
        client.simple("BEGIN")?;
        let outcome = body(client).and_then(|verdict| {
            let end = if verdict == Verdict::Granted { "COMMIT" } else { "ROLLBACK" };
            client.simple(end).map(|_| verdict)
        });
        match outcome {
            Err(error) if error.code() == Some("40001") && attempt < TRIES_MAX => {
                client.simple("ROLLBACK")?;
            }
            Err(error) => {
                if error.code().is_some() {
                    client.simple("ROLLBACK")?;
                }
                return Err(error);
            }
            Ok(verdict) => return Ok(verdict),
        }
    }
    unreachable!("the loop above returns at its last try")
}

fn apply(client: &mut PgClient, user: &str, seq: i64) -> Result<Verdict, ClientError> {
    transact(client, |client| {
        let changed = client.simple(&format!(
            "UPDATE session_seq_applied SET seq = {seq} \
             WHERE user_id = '{user}' AND session_id = '{SESSION}' AND seq = {}",
            seq - 1
        ))?;
        if changed.row_count() == 0 {
            return Ok(Verdict::Refused);
        }
        client.simple(&format!(
            "INSERT INTO session_timeline VALUES \
             ('{user}', '{SESSION}', gen_random_uuid(), now(), 'step', 'step {seq}')"
        ))?;
        Ok(Verdict::Granted)
    })
}

/// Question 12: open, apply 0, replay (refused), apply 2 (refused), apply 1, apply 2.
pub fn sequence(client: &mut PgClient) -> Result<Vec<Check>, ClientError> {
    let user = "user-1";
    transact(client, |client| {
        client.simple(&format!("INSERT INTO sessions_open VALUES ('{user}', '{SESSION}')"))?;
        client.simple(&format!(
            "INSERT INTO session_seq_applied VALUES ('{user}', '{SESSION}', -1)"
        ))?;
        Ok(Verdict::Granted)
    })?;
    let mut checks = Vec::new();
    for (seq, expected) in [
        (0, Verdict::Granted),
        (0, Verdict::Refused),
        (2, Verdict::Refused),
        (1, Verdict::Granted),
        (2, Verdict::Granted),
    ] {
        let verdict = apply(client, user, seq)?;
        checks.push(Check {
            text: format!("sequence: apply {seq} {verdict:?}"),
            holds: verdict == expected,
        });
    }
    Ok(checks)
}

/// Gives `entity` a slot of `zone`, if it has none anywhere and one is left.
pub fn grant(client: &mut PgClient, entity: &str, zone: &str) -> Result<Verdict, ClientError> {
    transact(client, |client| {
        let held = client
            .simple(&format!("SELECT zone_id FROM drone_clearance WHERE entity_id = '{entity}'"))?;
        if !held.rows.is_empty() {
            return Ok(Verdict::Refused);
        }
        let left = client
            .simple(&format!("SELECT remaining FROM zone_occupancy WHERE zone_id = '{zone}'"))?;
        if left.first().and_then(|n| n.parse::<i64>().ok()).unwrap_or(0) <= 0 {
            return Ok(Verdict::Refused);
        }
        client.simple(&format!(
            "UPDATE zone_occupancy SET remaining = remaining - 1 WHERE zone_id = '{zone}'; \
             INSERT INTO zone_clearance VALUES ('{zone}', '{entity}', now()); \
             INSERT INTO drone_clearance VALUES ('{entity}', '{zone}', now())"
        ))?;
        Ok(Verdict::Granted)
    })
}

/// Takes the slot of `entity` in `zone` back.
pub fn release(client: &mut PgClient, entity: &str, zone: &str) -> Result<Verdict, ClientError> {
    transact(client, |client| {
        let gone = client.simple(&format!(
            "DELETE FROM drone_clearance WHERE entity_id = '{entity}' AND zone_id = '{zone}'"
        ))?;
        if gone.row_count() == 0 {
            return Ok(Verdict::Refused);
        }
        client.simple(&format!(
            "DELETE FROM zone_clearance WHERE zone_id = '{zone}' AND entity_id = '{entity}'; \
             UPDATE zone_occupancy SET remaining = remaining + 1 WHERE zone_id = '{zone}'"
        ))?;
        Ok(Verdict::Granted)
    })
}

/// Question 13, by one client: grants and refusals in their order.
pub fn airspace(client: &mut PgClient) -> Result<Vec<Check>, ClientError> {
    let mut checks = Vec::new();
    let steps = [
        ("a", "gardermoen", true, Verdict::Granted),
        ("a", "gardermoen", true, Verdict::Refused),
        ("a", "fornebu", true, Verdict::Refused),
        ("b", "gardermoen", true, Verdict::Granted),
        ("c", "gardermoen", true, Verdict::Refused),
        ("a", "gardermoen", false, Verdict::Granted),
        ("a", "gardermoen", false, Verdict::Refused),
        ("b", "gardermoen", false, Verdict::Granted),
    ];
    for (entity, zone, asks, expected) in steps {
        let (verb, verdict) = if asks {
            ("grant", grant(client, entity, zone)?)
        } else {
            ("release", release(client, entity, zone)?)
        };
        checks.push(Check {
            text: format!("airspace: {verb} {zone} to {entity} {verdict:?}"),
            holds: verdict == expected,
        });
    }
    Ok(checks)
}

/// Question 13 under contention: `askers` at once for the two slots of Gardermoen. Gives the check and the median of a grant in microseconds.
pub fn contention(url: &ConnectUrl, askers: usize) -> Result<(Check, u64), ClientError> {
    let barrier = Arc::new(Barrier::new(askers));
    let mut threads = Vec::new();
    for asker in 0..askers {
        let mut client = PgClient::connect(url)?;
        let barrier = barrier.clone();
        threads.push(thread::spawn(move || {
            barrier.wait();
            let start = Instant::now();
            let verdict = grant(&mut client, &format!("asker-{asker}"), "gardermoen")?;
            Ok::<_, ClientError>((verdict, start.elapsed().as_micros() as u64))
        }));
    }
    let mut micros = Vec::new();
    let mut granted = Vec::new();
    for (asker, thread) in threads.into_iter().enumerate() {
        let (verdict, elapsed) = thread.join().expect("an asker does not panic")?;
        micros.push(elapsed);
        if verdict == Verdict::Granted {
            granted.push(format!("asker-{asker}"));
        }
    }
    micros.sort_unstable();
    let mut client = PgClient::connect(url)?;
    let left =
        client.simple("SELECT remaining FROM zone_occupancy WHERE zone_id = 'gardermoen'")?;
    let holds = granted.len() == 2 && left.first() == Some("0");
    let text = format!("airspace: {askers} askers on 2 slots, {} granted", granted.len());
    for entity in &granted {
        release(&mut client, entity, "gardermoen")?;
    }
    Ok((Check { text, holds }, micros[micros.len() / 2]))
}
