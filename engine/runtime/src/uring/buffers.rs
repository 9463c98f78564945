//! Receive buffers that the kernel picks from when bytes arrive, so that an idle connection holds
//! none.
//!
//! The kernel takes buffers from a ring of entries (address, length, id) between its own head and
//! our tail. A completion names the buffer it filled; the driver copies the bytes into the
//! connection's own vector at once and puts the buffer back, so buffers are never held.
//!
//! Safety argument: both memories are owned by this value and are unregistered from the kernel (by
//! closing the ring, which owns this value and outlives it in the kernel's sense: see `Ring::drop`)
//! before they are freed. A buffer belongs to the kernel from the tail store that offers it until
//! the completion that names it; only in between completion and [`ReceiveBuffers::give_back`] is it
//! read, through [`ReceiveBuffers::bytes`], whose borrow of `self` ends before the buffer is given
//! back (`&mut self`). The tests of `uring/socket` run it; Miri has no io_uring.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use platform::AlignedBuf;

/// The one group of receive buffers of a ring.
pub(crate) const RECEIVE_GROUP: u16 = 0;
const BUFFERS: u16 = 256;
const BUFFER_BYTES: usize = 8 * types::KIB as usize;
const ENTRY_BYTES: usize = size_of::<BufRingEntry>();

pub(crate) struct ReceiveBuffers {
    entries: AlignedBuf,
    memory: AlignedBuf,
    tail: u16,
}

impl ReceiveBuffers {
    /// Allocates the buffers and offers all of them to the kernel.
    pub(crate) fn register(ring: &IoUring) -> io::Result<ReceiveBuffers> {
        const { assert!(BUFFERS.is_power_of_two()) };
        let mut buffers = ReceiveBuffers {
            entries: AlignedBuf::zeroed(usize::from(BUFFERS) * ENTRY_BYTES),
            memory: AlignedBuf::zeroed(usize::from(BUFFERS) * BUFFER_BYTES),
            tail: 0,
        };
        let address = buffers.entries.as_mut_ptr().addr() as u64;
        // SAFETY: the entries are page aligned, as large as said, and live as long as the ring:
        // `Ring` owns both and closes the ring first.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(address, BUFFERS, RECEIVE_GROUP, 0)?
        };
        for id in 0..BUFFERS {
            buffers.give_back(id);
        }
        Ok(buffers)
    }

    /// What the kernel wrote into the buffer that a completion named.
    pub(crate) fn bytes(&self, id: u16, length: usize) -> &[u8] {
        assert!(id < BUFFERS, "the kernel names a buffer of ours");
        assert!(length <= BUFFER_BYTES, "the kernel writes into the buffer only");
        // SAFETY: in bounds by the asserts; initialised (zeroed at first); not the kernel's until
        // given back, which needs `&mut self`.
        unsafe {
            std::slice::from_raw_parts(
                self.memory.as_ptr().add(usize::from(id) * BUFFER_BYTES),
                length,
            )
        }
    }

    /// Offers a buffer to the kernel again.
    pub(crate) fn give_back(&mut self, id: u16) {
        let base = self.entries.as_mut_ptr().cast::<BufRingEntry>();
        // SAFETY: the index is below the number of entries; entries from our tail on are not read
        // by the kernel until the tail moves. The first entry's last field is the tail itself and
        // is not touched by the setters. Zeroed memory is a valid entry.
        let entry = unsafe { &mut *base.add(usize::from(self.tail & (BUFFERS - 1))) };
        let start = self.memory.as_mut_ptr().wrapping_add(usize::from(id) * BUFFER_BYTES);
        entry.set_addr(start.addr() as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry's reserved field, is 2-aligned, and only this
        // thread stores to it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()) };
        // Release: the kernel sees the entry whole once it sees the tail.
        tail.store(self.tail, Ordering::Release);
    }
}
