//! The planted bugs of this crate, live only in the `mutants` build, one at a time. `net/tests/peers.rs` must find each.

use types::mutants::Mutant;

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        $($(#[$doc])* pub const $name: Mutant = Mutant($number);)*

        /// Every planted bug of this crate, with its name.
        pub const ALL: &[(&str, Mutant)] = &[$((stringify!($name), $name)),*];
    };
}

mutants! {
    /// A payload's checksum is not compared.
    PAYLOAD_CHECKSUM_SKIPPED = 401,
    /// A header's checksum is not compared.
    HEADER_CHECKSUM_SKIPPED = 402,
    /// Sequence numbers are not compared.
    SEQUENCE_NOT_COMPARED = 403,
    /// Bytes that were consumed are not granted again.
    CREDIT_NOT_RETURNED = 404,
    /// Frames leave without credit.
    CREDIT_NOT_OBEYED = 405,
    /// Only what is heard counts: heartbeats that nobody answers are not noticed.
    ONE_SIDED_HEARTBEAT = 406,
    /// Silence of the other end is not noticed.
    SILENCE_NOT_NOTICED = 407,
    /// Incarnations are not compared.
    INCARNATION_NOT_COMPARED = 408,
    /// Two starts of one incarnation are taken for one.
    START_NOT_COMPARED = 409,
    /// The cluster of a caller is not compared.
    CLUSTER_NOT_COMPARED = 410,
    /// The core that a caller wants is not compared.
    CORE_NOT_COMPARED = 411,
    /// The other end's newest version is taken although it is newer than ours.
    NEWEST_VERSION_UNBOUNDED = 412,
    /// A frame longer than the bound is taken.
    LENGTH_NOT_BOUNDED = 413,
    /// A full queue says that it took the frame.
    OVERFLOW_NOT_SAID = 414,
    /// A link that goes down does not say so.
    DOWN_NOT_SAID = 415,
    /// A certificate's node is not compared with the node that calls.
    CERTIFICATE_NOT_COMPARED = 416,
}
