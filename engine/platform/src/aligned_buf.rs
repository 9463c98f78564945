//! An owned buffer that direct I/O accepts: address and capacity are multiples of
//! [`DISK_ALIGNMENT`].
//!
//! Safety argument: the memory is allocated zeroed and owned by exactly one `AlignedBuf` from
//! allocation to drop; `length <= capacity` always, and all `capacity` bytes are initialised for
//! the whole life of the buffer (they start as zeroes and are only overwritten), so a slice of any
//! length up to the capacity is sound. Nothing hands out the pointer with ownership. Miri runs the
//! tests of this file.
#![expect(unsafe_code, reason = "Vec cannot promise an alignment, and direct I/O refuses less")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Alignment of address, length and file offset of every direct read and write, in bytes.
pub const DISK_ALIGNMENT: usize = types::limits::BLOCK_BYTES;

/// A zero-initialised, aligned, owned run of bytes. Derefs to the first [`len`](Self::len) of them.
pub struct AlignedBuf {
    start: NonNull<u8>,
    length: usize,
    capacity: usize,
}

// SAFETY: the buffer owns its memory and has no interior sharing; moving it moves the ownership.
unsafe impl Send for AlignedBuf {}
// SAFETY: a shared reference gives only shared access to the bytes.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// `length` bytes of zero. The capacity is `length` rounded up to the alignment, at least one
    /// unit.
    pub fn zeroed(length: usize) -> AlignedBuf {
        let capacity = length.max(1).next_multiple_of(DISK_ALIGNMENT);
        let layout = layout(capacity);
        // SAFETY: the layout has a size above zero, because the capacity is at least one unit of
        // alignment.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        AlignedBuf { start, length, capacity }
    }

    /// An empty buffer with room for `capacity` bytes, rounded up to the alignment.
    pub fn with_capacity(capacity: usize) -> AlignedBuf {
        let mut buffer = AlignedBuf::zeroed(capacity);
        buffer.length = 0;
        buffer
    }

    /// A copy of `bytes`, zero-padded to the alignment: the length is a multiple of
    /// [`DISK_ALIGNMENT`].
    pub fn padded_from(bytes: &[u8]) -> AlignedBuf {
        let mut buffer = AlignedBuf::zeroed(bytes.len().next_multiple_of(DISK_ALIGNMENT));
        buffer[..bytes.len()].copy_from_slice(bytes);
        buffer
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.length
    }

    /// True when no byte is in use.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes the length without touching the bytes: bytes exposed by growing hold what was last
    /// written there, zero at first.
    ///
    /// # Panics
    /// If `length` exceeds the capacity.
    pub fn set_len(&mut self, length: usize) {
        assert!(length <= self.capacity, "length {length} beyond capacity {}", self.capacity);
        self.length = length;
    }

    /// Forgets the bytes and keeps the memory.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Appends, moving to a larger allocation when the capacity does not suffice.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if end > self.capacity {
            let mut larger = AlignedBuf::with_capacity(end.max(self.capacity * 2));
            larger.length = self.length;
            larger.copy_from_slice(self);
            *self = larger;
        }
        let start = self.length;
        self.length = end;
        self[start..].copy_from_slice(bytes);
    }

    /// Grows the length to the next multiple of the alignment, with zeroes.
    pub fn pad_to_alignment(&mut self) {
        let start = self.length;
        self.length = start.next_multiple_of(DISK_ALIGNMENT);
        debug_assert!(self.length <= self.capacity, "the capacity is a multiple of the alignment");
        self[start..].fill(0);
    }

    /// The address that the kernel is given; valid until the buffer drops.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The address that the kernel is given; valid until the buffer drops.
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }
}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(capacity, DISK_ALIGNMENT)
        .expect("the alignment is a power of two and no capacity comes near isize::MAX")
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: allocated by `zeroed` with this very layout, and dropped once.
        unsafe { dealloc(self.start.as_ptr(), layout(self.capacity)) }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `length <= capacity` and all of the capacity is initialised and ours.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access unique.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Clone for AlignedBuf {
    fn clone(&self) -> AlignedBuf {
        let mut copy = AlignedBuf::with_capacity(self.capacity);
        copy.length = self.length;
        copy.copy_from_slice(self);
        copy
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({} of {} bytes)", self.length, self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_zeroed_and_padded() {
        let buffer = AlignedBuf::zeroed(5000);
        assert_eq!(buffer.as_ptr().addr() % DISK_ALIGNMENT, 0);
        assert_eq!(buffer.len(), 5000);
        assert_eq!(buffer.capacity(), 2 * DISK_ALIGNMENT);
        assert!(buffer.iter().all(|byte| *byte == 0));
        let padded = AlignedBuf::padded_from(b"abc");
        assert_eq!(padded.len(), DISK_ALIGNMENT);
        assert_eq!(&padded[..4], b"abc\0");
    }

    #[test]
    fn growing_keeps_the_bytes() {
        let mut buffer = AlignedBuf::with_capacity(1);
        for round in 0..3000_u32 {
            buffer.extend_from_slice(&round.to_le_bytes());
        }
        assert_eq!(buffer.len(), 12_000);
        assert_eq!(&buffer[8..12], &2_u32.to_le_bytes());
        buffer.pad_to_alignment();
        assert_eq!(buffer.len(), 12_288);
        assert_eq!(buffer.clone()[..], buffer[..]);
    }

    #[test]
    #[should_panic(expected = "beyond capacity")]
    fn length_beyond_capacity_is_our_bug() {
        AlignedBuf::zeroed(1).set_len(DISK_ALIGNMENT + 1);
    }
}
