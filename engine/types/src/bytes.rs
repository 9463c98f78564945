//! Sizes and positions in bytes, which cannot be confused with counts of anything else.

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteCount(pub u64);

/// A position in bytes from the start of a file or a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteOffset(pub u64);

/// 1,024 bytes.
pub const KIB: u64 = 1024;
/// 1,048,576 bytes.
pub const MIB: u64 = 1024 * KIB;

impl core::ops::Add<ByteCount> for ByteOffset {
    type Output = ByteOffset;
    fn add(self, count: ByteCount) -> ByteOffset {
        ByteOffset(self.0 + count.0)
    }
}

impl core::ops::Add for ByteCount {
    type Output = ByteCount;
    fn add(self, other: ByteCount) -> ByteCount {
        ByteCount(self.0 + other.0)
    }
}

impl core::fmt::Display for ByteCount {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            n if n >= 10 * 1024 * MIB => write!(f, "{} GiB", n / (1024 * MIB)),
            n if n >= 10 * MIB => write!(f, "{} MiB", n / MIB),
            n if n >= 10 * KIB => write!(f, "{} KiB", n / KIB),
            n => write!(f, "{n} B"),
        }
    }
}
