//! Figures of a link: what a metrics page shows. Since the process started, over all connections of the link.

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// This core.
    Dialled,
    /// The other end.
    Accepted,
}

/// Figures of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStatistics {
    /// Whether it is up.
    pub is_up: bool,
    /// Connections that got through their handshake.
    pub connections: u64,
    /// Messages that left.
    pub messages_sent: u64,
    /// Sends in which they, and everything else, left.
    pub sends: u64,
    /// Bytes that left, before TLS.
    pub bytes_sent: u64,
    /// Messages that came.
    pub messages_received: u64,
    /// Bytes that came, after TLS.
    pub bytes_received: u64,
    /// Messages that were not taken.
    pub messages_refused: u64,
    /// Messages that were taken and never left.
    pub messages_lost: u64,
    /// Bytes of messages that wait.
    pub queued_bytes: u64,
    /// How long a heartbeat and its answer take, smoothed; none before the first.
    pub round_trip_nanos: Option<u64>,
}
