//! Open-addressing tables for the two look-ups that every operation makes: number of a key, and writer of a value.
//!
//! Linear probing over powers of two, at most three quarters full, never shrinking. The hash is a fixed multiplication, so every run is the same; keys chosen by
//! an adversary could make it slow, but histories are written by our own tests. Cost: 16 bytes a slot, one cache miss a look-up.

const VACANT: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Slot {
    value: u64,
    key: u32,
    found: u32,
}

/// A map from `(key number, value)` to a number below `u32::MAX`.
pub struct Table {
    slots: Vec<Slot>,
    occupied: usize,
}

fn hash(key: u32, value: u64) -> u64 {
    let mixed = (value ^ u64::from(key).rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

impl Table {
    /// An empty one.
    pub fn new() -> Table {
        Table { slots: Vec::new(), occupied: 0 }
    }

    fn place(slots: &[Slot], key: u32, value: u64) -> usize {
        let mask = slots.len() - 1;
        let mut at = (hash(key, value) >> 32) as usize & mask;
        loop {
            let slot = &slots[at];
            if slot.found == VACANT || (slot.key == key && slot.value == value) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    /// What was put there.
    pub fn get(&self, key: u32, value: u64) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let found = self.slots[Table::place(&self.slots, key, value)].found;
        (found != VACANT).then_some(found)
    }

    /// Puts a number there unless there is one; gives the one that was there.
    ///
    /// # Panics
    /// On `u32::MAX`.
    pub fn put(&mut self, key: u32, value: u64, number: u32) -> Option<u32> {
        assert!(number != VACANT, "the last number means a vacant slot");
        if self.occupied * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let at = Table::place(&self.slots, key, value);
        let slot = &mut self.slots[at];
        if slot.found != VACANT {
            return Some(slot.found);
        }
        *slot = Slot { value, key, found: number };
        self.occupied += 1;
        None
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.slots.fill(Slot { value: 0, key: 0, found: VACANT });
        self.occupied = 0;
    }

    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(64);
        let mut grown = vec![Slot { value: 0, key: 0, found: VACANT }; count];
        for slot in self.slots.iter().filter(|slot| slot.found != VACANT) {
            let at = Table::place(&grown, slot.key, slot.value);
            grown[at] = *slot;
        }
        self.slots = grown;
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use std::collections::BTreeMap;

    #[test]
    fn it_is_a_map() {
        let mut table = Table::new();
        let mut model = BTreeMap::new();
        assert_eq!(table.get(0, 0), None);
        for step in 0..20_000u64 {
            let (key, value) = ((step * 7 % 5) as u32, step * step % 9_001);
            let before = model.get(&(key, value)).copied();
            assert_eq!(table.put(key, value, step as u32), before);
            model.entry((key, value)).or_insert(step as u32);
            assert_eq!(table.get(key, value), model.get(&(key, value)).copied());
            assert_eq!(table.get(key + 5, value), None);
        }
        table.clear();
        assert_eq!(table.get(0, 0), None);
    }
}
