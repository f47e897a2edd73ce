//! Reading and writing bytes of the packed form: fixed width where a script compares, varints elsewhere.

use uuid::Uuid;

/// Flips the sign bit, so that signed numbers compare as their big-endian bytes do.
const SIGN: u64 = 1 << 63;

/// A number whose big-endian bytes stand in the order of the signed ones.
pub(crate) const fn ordered(value: i64) -> [u8; 8] {
    ((value as u64) ^ SIGN).to_be_bytes()
}

/// The reverse of [`ordered`].
pub(crate) const fn from_ordered(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ SIGN) as i64
}

/// Appends a number, seven bits a byte, the low ones first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number; small ones of either sign are short.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// What is left to read. Each step says `None` when the bytes do not hold what is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn uuid(&mut self) -> Option<Uuid> {
        self.array().map(Uuid::from_bytes)
    }

    /// A number in its shortest form only: what one value means is spelled in one way.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A number of things of at least one byte each. More than there are bytes left is no such number, so that a
    /// hostile one reserves no memory.
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [i64::MIN, -65, -64, -1, 0, 1, 63, 64, 1 << 40, i64::MAX] {
            let mut out = Vec::new();
            put_signed(&mut out, value);
            let mut reader = Reader(&out);
            assert_eq!((reader.signed(), reader.is_empty()), (Some(value), true), "{value}");
            assert_eq!(from_ordered(ordered(value)), value);
        }
    }

    #[test]
    fn ordered_bytes_keep_the_order() {
        let values = [i64::MIN, -2, -1, 0, 1, 2, i64::MAX];
        assert!(values.map(ordered).is_sorted());
    }

    #[test]
    fn overlong_and_oversized_numbers_are_refused() {
        let check = |bytes: &[u8], expected: Option<u64>| assert_eq!(Reader(bytes).varint(), expected, "{bytes:x?}");
        check(&[0x00], Some(0));
        check(&[0x80, 0x01], Some(128));
        check(&[0x80, 0x00], None);
        check(&[0x80], None);
        check(&[0xff; 10], None);
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Some(u64::MAX));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], None);
    }
}
