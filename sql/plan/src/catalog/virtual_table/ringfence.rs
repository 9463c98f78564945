//! The views of schema `ringfence`: what the node does and holds. Their names and meanings are part of the product's face; columns may be added.
//!
//! Timestamps of the store (`commit_timestamp`, `read_timestamp`, …) are its own numbers, times of the clock are `timestamptz`.

tables! {
    ringfence.shards = 15001 Session {
        shard Int4, cpu Int4, slices Int4, connections Int8, transactions Int8, memtable_bytes Int8, frozen_memtable_bytes Int8, log_bytes Int8,
        block_cache_bytes Int8, block_cache_hits Int8, block_cache_misses Int8, committed Int8, aborted Int8, busy_micros Int8,
    }
    ringfence.sstables = 15002 Session {
        sstable Int8, shard Int4, slice Int4, level Int4, table_id Oid, table_name Text, rows Int8, bytes Int8, lowest_timestamp Int8,
        highest_timestamp Int8, written_at Timestamptz, path Text,
    }
    ringfence.snapshots = 15003 Session {
        snapshot_id Int8, pid Int4, shard Int4, kind Text, read_timestamp Int8, opened_at Timestamptz, age Interval,
    }
    ringfence.queries = 15004 Session {
        query_id Int8, pid Int4, usename Name, application_name Text, state Text, path Text, query Text, started_at Timestamptz, finished_at Timestamptz,
        rows Int8, bytes_read Int8, progress Float8, age_of_data Interval, oltp_p50 Interval, oltp_p99 Interval, error Text,
    }
    ringfence.transactions = 15005 Session {
        transaction_id Text, pid Int4, shard Int4, shards Int4Array, state Text, began_at Timestamptz, read_timestamp Int8, commit_timestamp Int8,
        writes Int8, write_bytes Int8,
    }
    ringfence.compactions = 15006 Session {
        compaction_id Int8, shard Int4, slice Int4, table_id Oid, table_name Text, from_level Int4, to_level Int4, state Text, input_files Int4,
        input_bytes Int8, output_bytes Int8, progress Float8, started_at Timestamptz, finished_at Timestamptz,
    }
    ringfence.nodes = 15007 Session {
        node Int4, name Text, state Text, sql_address Text, http_address Text, version Text, started_at Timestamptz, shards Int4, background_cores Int4,
        runtime Text, memory_bytes Int8,
    }
}
