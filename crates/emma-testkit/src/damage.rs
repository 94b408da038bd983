//! Damage to files and texts, for tests that nothing panics.

/// A change: a place as a share of the length (of 2^32), a byte, and what is done with it.
pub type Change = (u32, u8, u8);

/// Bytes that texts, tables and configurations are made of.
const SIGNS: &[u8; 12] = b",\n\"=[]:.#-\r ";

/// Replaces, puts in, takes out and cuts off bytes.
///
/// The kind of a change, modulo 5: 0 replaces a byte, 1 puts one in, 2 takes one out, 3 cuts the rest off, 4 puts in a sign that
/// means something in a text.
pub fn damaged(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(place, byte, kind) in changes {
        if bytes.is_empty() {
            break;
        }
        let place = ((u64::from(place) * bytes.len() as u64) >> 32) as usize;
        match kind % 5 {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            2 => drop(bytes.remove(place)),
            3 => bytes.truncate(place),
            _ => bytes.insert(place, SIGNS[usize::from(byte) % SIGNS.len()]),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::damaged;

    #[test]
    fn every_kind_of_change_does_what_it_says() {
        let half = 1 << 31;
        let one = |kind| damaged(b"abcd", &[(half, b'x', kind)]);
        assert_eq!(one(0), b"abxd");
        assert_eq!(one(1), b"abxcd");
        assert_eq!(one(2), b"abd");
        assert_eq!(one(3), b"ab");
        assert_eq!(one(4), b"ab,cd");
        assert_eq!(damaged(b"", &[(half, b'x', 1)]), b"");
    }
}
