//! MD5 and the SHA-2 family over whole inputs. Sources: RFC 1321; FIPS 180-4. The constants are computed from their definitions, not listed.

use alloc::vec::Vec;

/// The message, a one bit, zeroes, and its length in bits, as whole blocks.
fn padded(message: &[u8], block: usize, big_endian: bool) -> Vec<u8> {
    let length_bytes = block / 8;
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    while bytes.len() % block != block - length_bytes {
        bytes.push(0);
    }
    let bits = message.len() as u128 * 8;
    if big_endian {
        bytes.extend_from_slice(&bits.to_be_bytes()[16 - length_bytes..]);
    } else {
        bytes.extend_from_slice(&bits.to_le_bytes()[..length_bytes]);
    }
    bytes
}

pub(super) fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] =
        [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let sines: Vec<u32> = (1..=64)
        .map(|step| libm::floor(libm::fabs(libm::sin(f64::from(step))) * 4_294_967_296.0) as u32)
        .collect();
    for block in padded(message, 64, false).chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(sines[step]).wrapping_add(words[word]);
            let turned = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
            (a, d, c, b) = (d, c, b, turned);
        }
        for (whole, part) in state.iter_mut().zip([a, b, c, d]) {
            *whole = whole.wrapping_add(part);
        }
    }
    let mut answer = [0u8; 16];
    for (chunk, word) in answer.chunks_exact_mut(4).zip(state) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    answer
}

/// The first so many primes.
const fn primes<const COUNT: usize>() -> [u64; COUNT] {
    let mut found = [0u64; COUNT];
    let (mut count, mut candidate) = (0, 2);
    while count < COUNT {
        let mut divisor = 2;
        let mut prime = true;
        while divisor * divisor <= candidate {
            if candidate % divisor == 0 {
                prime = false;
            }
            divisor += 1;
        }
        if prime {
            found[count] = candidate;
            count += 1;
        }
        candidate += 1;
    }
    found
}

/// The first 64 bits after the point of a root, found bit by bit: the largest r with r^power ≤ n · 2^(64·power), r below 2^67.
const fn root_fraction(number: u64, power: u32) -> u64 {
    let mut root: u128 = 0;
    let mut bit = 67;
    while bit > 0 {
        bit -= 1;
        let trial = root | 1 << bit;
        if power_at_most(trial, power, number) {
            root = trial;
        }
    }
    root as u64
}

/// Whether trial^power ≤ number · 2^(64·power), in 320-bit arithmetic.
const fn power_at_most(trial: u128, power: u32, number: u64) -> bool {
    let limbs = [trial as u32, (trial >> 32) as u32, (trial >> 64) as u32];
    let mut product = [0u32; 10];
    product[0] = 1;
    let mut round = 0;
    while round < power {
        let mut next = [0u32; 10];
        let mut low = 0;
        while low < 3 {
            let mut carry = 0u64;
            let mut high = 0;
            while low + high < 10 {
                let sum =
                    next[low + high] as u64 + product[high] as u64 * limbs[low] as u64 + carry;
                next[low + high] = sum as u32;
                carry = sum >> 32;
                high += 1;
            }
            low += 1;
        }
        product = next;
        round += 1;
    }
    let mut bound = [0u32; 10];
    bound[2 * power as usize] = number as u32;
    let mut limb = 10;
    while limb > 0 {
        limb -= 1;
        if product[limb] != bound[limb] {
            return product[limb] < bound[limb];
        }
    }
    true
}

const fn round_constants() -> [u64; 80] {
    let primes = primes::<80>();
    let mut constants = [0u64; 80];
    let mut position = 0;
    while position < 80 {
        constants[position] = root_fraction(primes[position], 3);
        position += 1;
    }
    constants
}

/// Cube roots of the first eighty primes; SHA-256 takes the upper halves.
static ROUNDS: [u64; 80] = round_constants();

const fn square_roots(from: usize) -> [u64; 8] {
    let primes = primes::<16>();
    let mut roots = [0u64; 8];
    let mut position = 0;
    while position < 8 {
        roots[position] = root_fraction(primes[from + position], 2);
        position += 1;
    }
    roots
}

static SHA512_START: [u64; 8] = square_roots(0);
static SHA384_START: [u64; 8] = square_roots(8);

fn sha256_state(message: &[u8], start: [u32; 8]) -> [u32; 8] {
    let mut state = start;
    for block in padded(message, 64, true).chunks_exact(64) {
        let mut words = [0u32; 64];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        for at in 16..64 {
            let (x, y) = (words[at - 15], words[at - 2]);
            let first = x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3;
            let second = y.rotate_right(17) ^ y.rotate_right(19) ^ y >> 10;
            words[at] =
                words[at - 16].wrapping_add(first).wrapping_add(words[at - 7]).wrapping_add(second);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
        for (word, round) in words.iter().zip(ROUNDS) {
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let chosen = e & f ^ !e & g;
            let t1 = h
                .wrapping_add(s1)
                .wrapping_add(chosen)
                .wrapping_add((round >> 32) as u32)
                .wrapping_add(*word);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let t2 = s0.wrapping_add(a & b ^ a & c ^ b & c);
            (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
        }
        for (whole, part) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *whole = whole.wrapping_add(part);
        }
    }
    state
}

fn sha512_state(message: &[u8], start: [u64; 8]) -> [u64; 8] {
    let mut state = start;
    for block in padded(message, 128, true).chunks_exact(128) {
        let mut words = [0u64; 80];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        for at in 16..80 {
            let (x, y) = (words[at - 15], words[at - 2]);
            let first = x.rotate_right(1) ^ x.rotate_right(8) ^ x >> 7;
            let second = y.rotate_right(19) ^ y.rotate_right(61) ^ y >> 6;
            words[at] =
                words[at - 16].wrapping_add(first).wrapping_add(words[at - 7]).wrapping_add(second);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
        for (word, round) in words.iter().zip(ROUNDS) {
            let s1 = e.rotate_right(14) ^ e.rotate_right(18) ^ e.rotate_right(41);
            let chosen = e & f ^ !e & g;
            let t1 =
                h.wrapping_add(s1).wrapping_add(chosen).wrapping_add(round).wrapping_add(*word);
            let s0 = a.rotate_right(28) ^ a.rotate_right(34) ^ a.rotate_right(39);
            let t2 = s0.wrapping_add(a & b ^ a & c ^ b & c);
            (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
        }
        for (whole, part) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *whole = whole.wrapping_add(part);
        }
    }
    state
}

fn sha256_bytes(message: &[u8], start: [u32; 8], kept: usize) -> Vec<u8> {
    sha256_state(message, start).iter().flat_map(|word| word.to_be_bytes()).take(kept).collect()
}

fn sha512_bytes(message: &[u8], start: [u64; 8], kept: usize) -> Vec<u8> {
    sha512_state(message, start).iter().flat_map(|word| word.to_be_bytes()).take(kept).collect()
}

pub(super) fn sha224(message: &[u8]) -> Vec<u8> {
    sha256_bytes(message, SHA384_START.map(|root| root as u32), 28)
}

pub(super) fn sha256(message: &[u8]) -> Vec<u8> {
    sha256_bytes(message, SHA512_START.map(|root| (root >> 32) as u32), 32)
}

pub(super) fn sha384(message: &[u8]) -> Vec<u8> {
    sha512_bytes(message, SHA384_START, 48)
}

pub(super) fn sha512(message: &[u8]) -> Vec<u8> {
    sha512_bytes(message, SHA512_START, 64)
}
