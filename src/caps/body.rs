//! The cap on a body's bytes as they arrive, declared or counted. It does not keep them.

use super::Breach;

/// Counts one body.
#[derive(Debug)]
pub struct BodyCap {
    max: u64,
    seen: u64,
}

impl BodyCap {
    /// A body of at most `max` bytes.
    pub fn new(max: u64) -> Self {
        Self { max, seen: 0 }
    }

    /// Bytes that came, the ones that did not pass included.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Checks a declared length before a byte is read.
    ///
    /// # Errors
    /// [`Breach::BodyCap`] when it is more than may come.
    pub fn check_declared(&self, declared: Option<u64>) -> Result<(), Breach> {
        match declared {
            Some(length) if length > self.max => Err(Breach::BodyCap),
            _ => Ok(()),
        }
    }

    /// Counts a piece.
    ///
    /// # Errors
    /// [`Breach::BodyCap`] for the piece that crosses the cap, which then passes with no byte, and for all after it.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), Breach> {
        self.seen = self.seen.saturating_add(piece.len() as u64);
        if self.seen > self.max { Err(Breach::BodyCap) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_the_last_byte_that_passes() {
        let mut cap = BodyCap::new(10);
        assert_eq!(cap.take(&[0; 6]), Ok(()));
        assert_eq!(cap.take(&[0; 4]), Ok(()));
        assert_eq!(cap.take(&[]), Ok(()));
        assert_eq!(cap.take(&[0; 1]), Err(Breach::BodyCap));
        assert_eq!((cap.take(&[]), cap.seen()), (Err(Breach::BodyCap), 11));
    }

    #[test]
    fn a_declared_length_is_held_against_the_cap_and_nothing_is_counted() {
        for (max, declared, fits) in [
            (10, None, true),
            (10, Some(10), true),
            (10, Some(11), false),
            (0, Some(0), true),
            (0, Some(1), false),
            (u64::MAX, Some(u64::MAX), true),
        ] {
            let cap = BodyCap::new(max);
            assert_eq!(cap.check_declared(declared).is_ok(), fits, "{declared:?} of {max}");
            assert_eq!(cap.seen(), 0);
        }
    }
}
