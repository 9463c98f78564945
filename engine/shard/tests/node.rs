//! Whole nodes of shards on the real runtime: transactions across cores, snapshots, restart with another number of shards.

#[path = "node/accounts.rs"]
mod accounts;
#[path = "node/support.rs"]
mod support;

use std::sync::Arc;

use accounts::{
    ACCOUNTS, BALANCE, Transfer, commit_bulk, create_table, insert_accounts, seal_accounts, sum_at,
    sum_frozen,
};
use platform::SchedulingClass;
use shard::ShardError;
use snapshot::ReadAt;
use support::{on_node, on_one_core};
use types::Timestamp;
use types::prng::Prng;

const TRANSFERS: usize = 150;
const SESSIONS: u64 = 6;

/// The sum of all balances never changes, for anybody, while transfers within and across cores run.
#[test]
fn transfers_keep_the_sum_and_survive_a_restart_with_other_shard_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_path_buf();
    on_one_core(&path, 2, |client| async move {
        create_table(&client).await;
        insert_accounts(&client).await;
    });
    for (round, shards) in [2u16, 3, 1].into_iter().enumerate() {
        on_node(&path, shards, move |core| async move {
            let client = core.shard.client();
            let mut running = Vec::new();
            for session in 0..SESSIONS {
                let client = client.clone();
                let seed = round as u64 * 1_000 + u64::from(core.shard_id.0) * 100 + session;
                running.push(platform::spawn_with_result(
                    &*core.platform.spawner,
                    SchedulingClass::Foreground,
                    "session",
                    async move { transfer_many(&client, seed).await },
                ));
            }
            for _ in 0..30 {
                let at = client.begin().await.expect("a snapshot");
                assert_eq!(sum_at(&client, at).await, ACCOUNTS * BALANCE);
                client.end_snapshot(at);
                assert_eq!(sum_frozen(&client, ReadAt::Strict).await, ACCOUNTS * BALANCE);
            }
            for (_, session) in running {
                session.await.expect("it was not cancelled");
            }
            let at = client.begin().await.expect("a snapshot");
            let sum = sum_frozen(&client, ReadAt::Exactly(at)).await;
            client.end_snapshot(at);
            assert_eq!(sum, ACCOUNTS * BALANCE);
            assert_eq!(client.open_requests(), 0);
        });
    }
}

async fn transfer_many(client: &shard::ShardClient, seed: u64) {
    let mut prng = Prng::new(seed);
    let mut committed = 0;
    while committed < TRANSFERS {
        let (source, target) = (prng.below(ACCOUNTS as u64), prng.below(ACCOUNTS as u64));
        if source == target {
            continue;
        }
        let transfer = Transfer::new(client.slices(), source, target, 1 + prng.below(5) as i64);
        let before = client.begin().await.expect("a snapshot");
        client.end_snapshot(before);
        match transfer.submit(client, before).await {
            Ok(done) => {
                assert!(done.execute_at > before, "a COMMIT is above its snapshot");
                committed += 1;
            }
            Err(ShardError::Aborted(abort)) => {
                assert_eq!(abort, accord::Abort::Refused(b"poor".to_vec()));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A bulk write is seen whole or not at all, by statements and by analytics, and is there after a restart. One whose table was written since is refused.
#[test]
fn a_bulk_write_is_atomic() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_path_buf();
    on_node(&path, 2, |core| async move {
        let client = core.shard.client();
        if core.shard_id.0 == 0 {
            create_table(&client).await;
            let snapshot = client.begin().await.expect("a snapshot");
            let files = seal_accounts(&client).await;
            let late = seal_accounts(&client).await;
            let done = commit_bulk(&client, files, snapshot).await.expect("nobody else writes");
            assert!(done.execute_at > snapshot);
            let refused = commit_bulk(&client, late, snapshot).await;
            assert!(matches!(refused, Err(ShardError::Aborted(accord::Abort::RangeChanged(_)))));
            client.end_snapshot(snapshot);
        }
        let mut seen = 0;
        while seen == 0 {
            if client.schema_version(accounts::TABLE).is_none() {
                platform::yield_now().await;
                continue;
            }
            let at = client.begin().await.expect("a snapshot");
            seen = sum_at(&client, at).await;
            client.end_snapshot(at);
            assert!(seen == 0 || seen == ACCOUNTS * BALANCE, "half of it is seen: {seen}");
            let frozen = sum_frozen(&client, ReadAt::Strict).await;
            assert!(frozen == ACCOUNTS * BALANCE || (frozen == 0 && seen == 0), "{frozen}");
        }
    });
    on_one_core(&path, 3, |client| async move {
        let transfer = Transfer::new(client.slices(), 0, 39, 7);
        transfer.submit(&client, Timestamp::ZERO).await.expect("both are rich");
        assert_eq!(sum_frozen(&client, ReadAt::Strict).await, ACCOUNTS * BALANCE);
        let at = client.begin().await.expect("a snapshot");
        assert_eq!(sum_at(&client, at).await, ACCOUNTS * BALANCE);
        client.end_snapshot(at);
    });
}

/// A statement planned before a change of the table's schema is refused, on every core.
#[test]
fn a_schema_change_is_seen_by_every_core() {
    let directory = tempfile::tempdir().expect("a directory");
    on_one_core(directory.path(), 2, |client| async move {
        create_table(&client).await;
        insert_accounts(&client).await;
        accounts::change_schema(&client, 2).await.expect("it takes effect");
        for key in 0..8 {
            let transfer = Transfer::new(client.slices(), key, key + 8, 1);
            let refused = transfer
                .submit(&client, Timestamp::ZERO)
                .await
                .expect_err("planned at version one");
            assert!(matches!(refused, ShardError::Aborted(accord::Abort::SchemaChanged { .. })));
        }
        let again = accounts::change_schema(&client, 2).await;
        assert!(again.is_err(), "it was planned at version one, too");
    });
}

/// Row ids are given once, also across restarts.
#[test]
fn row_ids_never_come_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let given = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    for shards in [2u16, 1, 3] {
        let given = Arc::clone(&given);
        on_node(directory.path(), shards, move |core| {
            let given = Arc::clone(&given);
            async move {
                let client = core.shard.client();
                for count in [1u64, 10, 70_000, 5] {
                    let ids = client.allocate_row_ids(count).await.expect("numbers");
                    let (slice, first) = ids;
                    let mut given = given.lock().expect("no test thread has failed");
                    assert!(given.insert((slice, first)), "slice {slice} number {first} again");
                    assert!(given.insert((slice, first + count - 1)) || count == 1);
                }
            }
        });
    }
}
