//! The one order of all transactions of a cluster.
//!
//! A [`Timestamp`] is compared as one unsigned integer over (epoch, hybrid clock in microseconds, minting core), see `accord` section 1.4.
//! Annotations that are no part of identity are kept elsewhere, so equality here is identity.
//!
//! ```text
//! bit 127        96 95             32 31        0
//!     | epoch (32) | hlc micros (64) | node (32) |      node = host << 8 | core
//! ```

/// When a transaction takes effect; also a row version's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Timestamp(pub u128);

impl Timestamp {
    /// Before every transaction.
    pub const ZERO: Timestamp = Timestamp(0);
    /// After every transaction.
    pub const MAX: Timestamp = Timestamp(u128::MAX);
    /// Bytes of the encoded form.
    pub const ENCODED_BYTES: usize = 16;

    /// Builds a timestamp from its fields.
    pub const fn new(epoch: u32, hlc: u64, node: u32) -> Timestamp {
        Timestamp(((epoch as u128) << 96) | ((hlc as u128) << 32) | node as u128)
    }

    /// Topology epoch.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 96) as u32
    }

    /// Hybrid logical clock, microseconds since the Unix epoch or ahead of it.
    pub const fn hlc(self) -> u64 {
        (self.0 >> 32) as u64
    }

    /// The core that minted it.
    pub const fn node(self) -> u32 {
        self.0 as u32
    }

    /// The largest timestamp below this one; zero stays zero.
    pub const fn predecessor(self) -> Timestamp {
        Timestamp(self.0.saturating_sub(1))
    }

    /// The smallest timestamp above this one.
    pub const fn successor(self) -> Timestamp {
        Timestamp(self.0.saturating_add(1))
    }

    /// Little-endian bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// From little-endian bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Timestamp {
        Timestamp(u128::from_le_bytes(bytes))
    }

    /// High and low halves, for columns of 64-bit words.
    pub const fn halves(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }

    /// Inverse of [`Timestamp::halves`].
    pub const fn from_halves(high: u64, low: u64) -> Timestamp {
        Timestamp(((high as u128) << 64) | low as u128)
    }
}

impl core::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}.{}", self.epoch(), self.hlc(), self.node())
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn order_is_lexicographic_over_the_fields() {
        let base = Timestamp::new(1, 10, 3);
        assert!(Timestamp::new(1, 10, 4) > base);
        assert!(Timestamp::new(1, 11, 0) > base);
        assert!(Timestamp::new(2, 0, 0) > base);
        assert_eq!((base.epoch(), base.hlc(), base.node()), (1, 10, 3));
        let (high, low) = base.halves();
        assert_eq!(Timestamp::from_halves(high, low), base);
        assert_eq!(Timestamp::from_bytes(base.to_bytes()), base);
    }
}
