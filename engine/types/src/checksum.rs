//! The one checksum: CRC32C (Castagnoli), as in iSCSI (RFC 3720) and most storage engines, for its hardware instruction.

/// CRC32C of `bytes`.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Continues `previous` over more bytes, so that parts need not be joined.
pub fn checksum_append(previous: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(previous, bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_vector() {
        // RFC 3720, B.4: 32 bytes of zeroes.
        assert_eq!(super::checksum(&[0u8; 32]), 0x8a91_36aa);
        assert_eq!(super::checksum_append(super::checksum(b"ab"), b"cd"), super::checksum(b"abcd"));
    }
}
