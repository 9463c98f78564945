//! The receive buffer of one connection: bytes in as they come, frames out as ranges, memory that follows what has arrived.
//!
//! A length field is only a claim. It is compared with the limit before anything is reserved, and the buffer grows with the bytes that arrive, to at
//! most twice of them. Bodies stay in place until the next [`InputBuffer::receive_buffer`], so messages are borrowed from here.

use std::ops::Range;

use crate::limits::RECEIVE_BYTES_KEPT;

/// Bytes received and not yet taken.
#[derive(Debug, Default)]
pub(crate) struct InputBuffer {
    bytes: Vec<u8>,
    /// Where the bytes not yet taken begin.
    start: usize,
    /// Bytes of the frame that is arriving, from `start`, if its header is there.
    arriving: usize,
}

impl InputBuffer {
    /// Where the socket appends what it has. Ranges handed out before are void.
    #[inline]
    pub(crate) fn receive_buffer(&mut self) -> &mut Vec<u8> {
        if self.start == self.bytes.len() {
            self.bytes.clear();
        } else if self.start > 0 {
            // What is left is the beginning of a frame whose rest is about to arrive behind it.
            self.bytes.drain(..self.start);
        }
        self.start = 0;
        if self.arriving > self.bytes.capacity() {
            let wanted = self.arriving.min(2 * self.bytes.len().max(RECEIVE_BYTES_KEPT));
            self.bytes.reserve_exact(wanted.saturating_sub(self.bytes.len()));
        }
        &mut self.bytes
    }

    /// Bytes not yet taken.
    #[inline]
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Notes that a frame of `bytes` is arriving, to size the buffer by it.
    pub(crate) fn expect(&mut self, bytes: usize) {
        self.arriving = bytes;
    }

    /// Takes `bytes` of a frame, of which the first `header` are its header; returns the body.
    #[inline]
    pub(crate) fn take(&mut self, header: usize, bytes: usize) -> Range<usize> {
        let body = self.start + header..self.start + bytes;
        self.start += bytes;
        self.arriving = 0;
        body
    }

    /// The bytes of a range that was taken since the last [`InputBuffer::receive_buffer`].
    #[inline]
    pub(crate) fn slice(&self, body: Range<usize>) -> &[u8] {
        &self.bytes[body]
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.arriving = 0;
    }

    /// Frees the memory of a long message, once the buffer is empty.
    pub(crate) fn shrink(&mut self, bytes_kept: usize) {
        if self.start == self.bytes.len() && self.bytes.capacity() > bytes_kept {
            self.bytes = Vec::new();
            self.start = 0;
        }
    }

    /// Bytes of memory held.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}
