//! The planted bugs of this crate, by name. `types::mutants` says how one is made live; the tests must find each.

use types::mutants::Mutant;

/// A waiter is told "durable" although no flush has covered its record.
pub const REPLY_BEFORE_FLUSH: Mutant = Mutant(201);
/// A cohort that crosses into another segment is written but not flushed.
pub const FLUSH_SKIPPED_AT_SEGMENT_SWITCH: Mutant = Mutant(202);
/// Recovery does not look at the generation of a block in a recycled segment.
pub const STALE_RECYCLED_RECORD_ACCEPTED: Mutant = Mutant(203);
/// An invalid block below a durable claim is taken for a torn tail.
pub const DAMAGE_TAKEN_FOR_TORN_TAIL: Mutant = Mutant(204);
/// Replay ignores the positions through which a slice's files are complete in logs other than its shard's own.
pub const FOREIGN_REPLAY_RESURRECTS: Mutant = Mutant(205);
/// A point read stops at the first version it meets, wherever that is.
pub const POINT_READ_STOPS_AT_FIRST: Mutant = Mutant(206);
/// Compaction drops a tombstone although an older file can still hold its key.
pub const TOMBSTONE_DROPPED_EARLY: Mutant = Mutant(207);
/// Compaction keeps only the newest version of a key, whatever the floor is.
pub const VERSIONS_ABOVE_FLOOR_DROPPED: Mutant = Mutant(208);
/// A flush edit is installed before the log is durable through the rows in its files.
pub const FLUSH_INSTALLED_BEFORE_DURABLE: Mutant = Mutant(209);
/// A segment is recycled when its own shard has passed it, whatever the other participants have done.
pub const SEGMENT_RECYCLED_UNDER_PARTICIPANT: Mutant = Mutant(210);
/// A publication record is replayed although an edit already names it.
pub const PUBLICATION_REPLAYED_TWICE: Mutant = Mutant(211);
/// The name of a new table file is not made durable before the manifest names it.
pub const TABLE_NAME_NOT_DURABLE: Mutant = Mutant(212);
/// Files that no manifest names are removed before the logs are replayed, published ones among them.
pub const ORPHANS_REMOVED_BEFORE_REPLAY: Mutant = Mutant(213);
/// The retention floor is used by compaction before the manifest holds it.
pub const FLOOR_NOT_DURABLE: Mutant = Mutant(214);

/// All of them with their names, for the test that walks the list.
pub const ALL: &[(Mutant, &str)] = &[
    (REPLY_BEFORE_FLUSH, "reply before flush"),
    (FLUSH_SKIPPED_AT_SEGMENT_SWITCH, "flush skipped at a segment switch"),
    (STALE_RECYCLED_RECORD_ACCEPTED, "stale recycled record accepted"),
    (DAMAGE_TAKEN_FOR_TORN_TAIL, "damage taken for a torn tail"),
    (FOREIGN_REPLAY_RESURRECTS, "a foreign log's replay resurrects"),
    (POINT_READ_STOPS_AT_FIRST, "point read stops at the first version"),
    (TOMBSTONE_DROPPED_EARLY, "tombstone dropped early"),
    (VERSIONS_ABOVE_FLOOR_DROPPED, "versions above the floor dropped"),
    (FLUSH_INSTALLED_BEFORE_DURABLE, "flush installed before its records are durable"),
    (SEGMENT_RECYCLED_UNDER_PARTICIPANT, "segment recycled under a participant"),
    (PUBLICATION_REPLAYED_TWICE, "publication replayed twice"),
    (TABLE_NAME_NOT_DURABLE, "table file's name not durable"),
    (ORPHANS_REMOVED_BEFORE_REPLAY, "orphans removed before replay"),
    (FLOOR_NOT_DURABLE, "floor used before it is durable"),
];
