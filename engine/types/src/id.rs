//! Identifiers. Each is a newtype without `From<integer>`, so that two ids can never be exchanged by accident.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $raw);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id!(
    /// One server process; below 2^24.
    NodeId(u32)
);
id!(
    /// One shard core of one node of a cluster: `node << 8 | shard`. It mints timestamps under this name.
    CoreId(u32)
);
id!(
    /// The part of the database owned by one core; dense from zero on each node.
    ShardId(u16)
);
id!(
    /// The unit of ownership, movement and compaction: the top bits of the token.
    SliceId(u16)
);
id!(
    /// A table or an index in storage; never reused within a data directory.
    TableId(u32)
);
id!(
    /// A column of a table; never reused within its table.
    ColumnId(u16)
);
id!(
    /// A table file; never reused within a data directory.
    SstableId(u64)
);
id!(
    /// A commit log: one per shard and start of the node; never reused.
    LogId(u32)
);
id!(
    /// One client connection of this node.
    ConnectionId(u64)
);
id!(
    /// Grows by one with every change of a table's schema.
    SchemaVersion(u64)
);

impl CoreId {
    /// A shard core of a node.
    ///
    /// # Panics
    /// If the node is 2^24 or above, or the shard 2^8.
    pub const fn new(node: NodeId, shard: ShardId) -> CoreId {
        assert!(node.0 < 1 << 24 && shard.0 < 1 << 8, "a core's name has 32 bits");
        CoreId(node.0 << 8 | shard.0 as u32)
    }

    /// The server process: the one who votes.
    pub const fn node(self) -> NodeId {
        NodeId(self.0 >> 8)
    }

    /// The shard.
    pub const fn shard(self) -> ShardId {
        ShardId((self.0 & 0xFF) as u16)
    }
}

impl ShardId {
    /// Index into per-shard arrays.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl SliceId {
    /// Index into per-slice arrays.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
