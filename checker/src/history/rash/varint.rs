//! Numbers of few bytes: LEB128, and zigzag for those that may be negative.

/// Appends a number.
#[inline]
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a text.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// 0, -1, 1, -2, … as 0, 1, 2, 3, …
#[inline]
pub(super) fn zigzag(signed: i64) -> u64 {
    ((signed << 1) ^ (signed >> 63)) as u64
}

/// What [`zigzag`] made of it.
#[inline]
pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// What is wrong with the content of a block; its checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonsense(pub(super) &'static str);

/// A position in bytes that only moves forward.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Takes a number.
    #[inline]
    pub(super) fn number(&mut self) -> Result<u64, Nonsense> {
        if let [byte @ 0..=0x7F, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_number()
    }

    fn long_number(&mut self) -> Result<u64, Nonsense> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            // The tenth byte has room for one bit.
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Nonsense("a number has more than 64 bits"))
    }

    /// Takes a number that counts something of which each takes a byte at least.
    pub(super) fn count(&mut self) -> Result<usize, Nonsense> {
        let count = self.number()?;
        self.fitting(count)
    }

    /// A count, if the rest has a byte at least for each.
    pub(super) fn fitting(&self, count: u64) -> Result<usize, Nonsense> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.rest.len());
        count.ok_or(Nonsense("there is more of something than there are bytes"))
    }

    /// Takes a byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Nonsense> {
        let (byte, rest) = self.rest.split_first().ok_or(Nonsense("bytes are missing"))?;
        self.rest = rest;
        Ok(*byte)
    }

    /// Takes a text of so many bytes.
    pub(super) fn text(&mut self, length: u64) -> Result<&'a str, Nonsense> {
        let (text, rest) = self.rest.split_at(self.fitting(length)?);
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| Nonsense("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_come_back() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for number in edges.chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            bytes.push(0xFF);
            let mut cursor = Cursor { rest: &bytes };
            assert_eq!(cursor.number(), Ok(number));
            assert_eq!(cursor.rest, [0xFF]);
            let signed = number as i64;
            assert_eq!(unzigzag(zigzag(signed)), signed);
        }
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_no_number_is_not_taken_for_one() {
        let too_large = [&[0xFF; 9][..], &[2]].concat();
        for bytes in [&[][..], &[0x80], &[0xFF; 12], &too_large] {
            assert!((Cursor { rest: bytes }).number().is_err(), "{bytes:?}");
        }
    }
}
