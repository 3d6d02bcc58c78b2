//! Numbers for values: a message is compared a million times, and read once.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use crate::observation::Value;

/// Gives equal values the same number, from 0 in the order in which they came. Exact: a hash only finds what is then compared.
#[derive(Debug, Default)]
pub(in crate::check) struct Interner<'h> {
    values: Vec<&'h Value>,
    slots: Slots,
}

impl<'h> Interner<'h> {
    /// The number of a value.
    pub(in crate::check) fn number(&mut self, value: &'h Value) -> u32 {
        let Self { values, slots } = self;
        let known = slots.find_or(hash(value), values.len(), |number| values[number as usize] == value);
        known.unwrap_or_else(|| {
            values.push(value);
            numbered(values.len() - 1)
        })
    }

    /// The number of a value that has one.
    pub(in crate::check) fn known(&self, value: &Value) -> Option<u32> {
        self.slots.find(hash(value), |number| self.values[number as usize] == value).ok()
    }

    /// The value of a number.
    pub(in crate::check) fn value(&self, number: u32) -> &'h Value {
        self.values[number as usize]
    }

    /// How many different values there are.
    pub(in crate::check) fn len(&self) -> usize {
        self.values.len()
    }
}

/// The same for pairs of numbers.
#[derive(Debug, Default)]
pub(in crate::check) struct Numbers {
    pairs: Vec<(u64, u64)>,
    slots: Slots,
}

impl Numbers {
    /// The number of a pair.
    pub(in crate::check) fn number(&mut self, pair: (u64, u64)) -> u32 {
        let Self { pairs, slots } = self;
        let hash = (mixed(mixed(key(), pair.0), pair.1) >> 32) as u32;
        let known = slots.find_or(hash, pairs.len(), |number| pairs[number as usize] == pair);
        known.unwrap_or_else(|| {
            pairs.push(pair);
            numbered(pairs.len() - 1)
        })
    }

    /// The pair of a number.
    pub(in crate::check) fn pair(&self, number: u32) -> (u64, u64) {
        self.pairs[number as usize]
    }

    /// How many different pairs there are.
    pub(in crate::check) fn len(&self) -> usize {
        self.pairs.len()
    }
}

/// A table of places, at most half full: a hash, and the number that lies there.
#[derive(Debug, Default)]
struct Slots(Vec<(u32, u32)>);

/// The number of a place where nothing lies.
const FREE: u32 = u32::MAX;

impl Slots {
    /// The number with this hash at which it is true; else the place where it belongs.
    fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let Some(mask) = self.0.len().checked_sub(1) else { return Err(0) };
        let mut at = hash as usize & mask;
        loop {
            match self.0[at] {
                (_, FREE) => return Err(at),
                (other, number) if other == hash && is(number) => return Ok(number),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// The same; if there is none, the next number is put there.
    fn find_or(&mut self, hash: u32, next: usize, is: impl Fn(u32) -> bool) -> Option<u32> {
        if next * 2 >= self.0.len() {
            self.grow();
        }
        match self.find(hash, is) {
            Ok(number) => Some(number),
            Err(free) => {
                self.0[free] = (hash, numbered(next));
                None
            }
        }
    }

    fn grow(&mut self) {
        let mut larger = Self(vec![(0, FREE); (self.0.len() * 2).max(64)]);
        for &(hash, number) in self.0.iter().filter(|(_, number)| *number != FREE) {
            if let Err(free) = larger.find(hash, |_| false) {
                larger.0[free] = (hash, number);
            }
        }
        *self = larger;
    }
}

fn numbered(index: usize) -> u32 {
    u32::try_from(index).expect("a history has fewer than 2^32 observations")
}

/// The finalizer of MurmurHash3: every bit of the input moves every bit of the output.
fn mixed(hash: u64, word: u64) -> u64 {
    let mut mixed = (hash.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^= mixed >> 33;
    mixed = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}

fn text(kind: u64, text: &str) -> u64 {
    let words = text.as_bytes().chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(mixed(kind, text.len() as u64), mixed)
}

/// Another one in each process, so that nobody who writes a log knows which of its values have the same hash. It decides where a value
/// lies in a table, and never what number it has.
fn key() -> u64 {
    static KEY: OnceLock<u64> = OnceLock::new();
    *KEY.get_or_init(|| RandomState::new().hash_one(0))
}

/// Equal values have equal hashes.
fn hash(value: &Value) -> u32 {
    let hash = match value {
        Value::Int(number) => mixed(key() ^ 1, number.cast_unsigned()),
        Value::Float(number) => mixed(key() ^ 2, number.to_bits()),
        Value::Text(word) => text(key() ^ 3, word),
        Value::Node(word) => text(key() ^ 4, word),
        Value::Nodes(words) => words.iter().fold(key() ^ 5, |hash, word| text(hash, word)),
    };
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            (-3..3_i64).prop_map(Value::Int),
            (-3..3_i64).prop_map(|number| Value::Float(number as f64)),
            "[ab]{0,10}".prop_map(|text| Value::Text(text.into())),
            "[ab]{0,2}".prop_map(|text| Value::Node(text.into())),
            proptest::collection::vec("[ab]{0,2}", 0..3)
                .prop_map(|texts| Value::Nodes(texts.into_iter().map(Into::into).collect())),
        ]
    }

    proptest! {
        #[test]
        fn values_have_the_same_number_exactly_if_they_are_equal(values in proptest::collection::vec(value(), 0..300)) {
            let mut interner = Interner::default();
            let mut known: Vec<&Value> = Vec::new();
            for value in &values {
                let expected = known.iter().position(|other| *other == value).unwrap_or_else(|| {
                    known.push(value);
                    known.len() - 1
                });
                prop_assert_eq!(interner.number(value) as usize, expected);
                prop_assert_eq!(interner.known(value), Some(expected as u32));
                prop_assert_eq!(interner.value(expected as u32), value);
            }
            prop_assert_eq!(interner.len(), known.len());
            prop_assert_eq!(interner.known(&Value::Text("zzz".into())), None);
        }

        #[test]
        fn pairs_have_the_same_number_exactly_if_they_are_equal(pairs in proptest::collection::vec((0..9_u64, 0..9_u64), 0..300)) {
            let mut numbers = Numbers::default();
            let mut known: Vec<(u64, u64)> = Vec::new();
            for pair in pairs {
                let expected = known.iter().position(|other| *other == pair).unwrap_or_else(|| {
                    known.push(pair);
                    known.len() - 1
                });
                prop_assert_eq!(numbers.number(pair) as usize, expected);
                prop_assert_eq!(numbers.pair(expected as u32), pair);
            }
            prop_assert_eq!(numbers.len(), known.len());
        }
    }
}
