//! Whether a connection begins with a whole ClientHello (RFC 8446 §4.1.2), before anything is spent on it.
//!
//! It reads lengths only; what stands in between is rustls' to judge.

/// Bytes of the first message, its record heads included. One with a post-quantum key share has some 2 KiB.
const MOST: usize = 16 * 1024;
/// `type, version, length` of a record.
const RECORD_HEAD: usize = 5;
/// `type, length` of a handshake message.
const MESSAGE_HEAD: usize = 4;
/// `ContentType::handshake`.
const HANDSHAKE: u8 = 22;
/// `HandshakeType::client_hello`.
const CLIENT_HELLO: u8 = 1;

/// What is known of the first message.
#[derive(Debug, Default)]
pub struct Hello {
    /// Where the next record begins.
    next: usize,
    /// Bytes of the message in the records before that.
    have: usize,
    head: [u8; MESSAGE_HEAD],
}

/// Why it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHello {
    /// The first bytes are not TLS.
    NotTls,
    /// It has more bytes than any.
    TooLong,
}

impl Hello {
    /// Whether `read`, all bytes so far, hold the whole message.
    ///
    /// # Errors
    /// They never will.
    pub fn is_whole(&mut self, read: &[u8]) -> Result<bool, NoHello> {
        loop {
            let here = read.get(self.next..).unwrap_or_default();
            let head = match here {
                [kind, ..] if *kind != HANDSHAKE => return Err(NoHello::NotTls),
                [_, major, ..] if *major != 3 => return Err(NoHello::NotTls),
                [_, _, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => return bounded(read.len()),
            };
            let payload = here.get(RECORD_HEAD..).unwrap_or_default();
            let seen = payload.get(..head.min(payload.len())).unwrap_or_default();
            for (slot, byte) in self.head.iter_mut().skip(self.have).zip(seen) {
                *slot = *byte;
            }
            let have = self.have.saturating_add(seen.len());
            if have > 0 && self.head[0] != CLIENT_HELLO {
                return Err(NoHello::NotTls);
            }
            if have >= MESSAGE_HEAD {
                let [_, a, b, c] = self.head;
                let all = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
                if all > MOST {
                    return Err(NoHello::TooLong);
                }
                if have >= all.saturating_add(MESSAGE_HEAD) {
                    return Ok(true);
                }
            }
            if seen.len() < head {
                return bounded(read.len());
            }
            // RFC 8446 §5.1: no empty records of handshakes.
            if head == 0 {
                return Err(NoHello::NotTls);
            }
            self.have = have;
            self.next = self.next.saturating_add(RECORD_HEAD).saturating_add(head);
        }
    }
}

fn bounded(read: usize) -> Result<bool, NoHello> {
    if read > MOST { Err(NoHello::TooLong) } else { Ok(false) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ClientHello of `length` bytes behind its head, in records of `each` bytes.
    fn wire(length: usize, each: usize) -> Vec<u8> {
        let length_bytes = u32::try_from(length).unwrap().to_be_bytes();
        let mut message = vec![CLIENT_HELLO, length_bytes[1], length_bytes[2], length_bytes[3]];
        message.resize(length + MESSAGE_HEAD, 7);
        let record = |part: &[u8]| {
            let length = u16::try_from(part.len()).unwrap().to_be_bytes();
            [&[HANDSHAKE, 3, 1, length[0], length[1]], part].concat()
        };
        message.chunks(each).flat_map(record).collect()
    }

    proptest! {
        #[test]
        fn it_is_whole_with_its_last_byte_however_it_is_cut(
            length in 0_usize..3000, each in 1_usize..4000, step in 1_usize..700,
        ) {
            let wire = wire(length, each);
            let mut hello = Hello::default();
            for end in (0..wire.len()).step_by(step) {
                prop_assert_eq!(hello.is_whole(&wire[..end]), Ok(false), "{}", end);
            }
            prop_assert_eq!(hello.is_whole(&wire), Ok(true));
            let more = [&wire[..], b"more"].concat();
            prop_assert_eq!(Hello::default().is_whole(&more), Ok(true));
        }

        #[test]
        fn no_bytes_make_it_panic_or_wait_for_more_than_there_may_be(bytes: Vec<u8>) {
            let _ = Hello::default().is_whole(&bytes);
            let begun = [&[HANDSHAKE, 3, 1][..], &bytes].concat();
            let _ = Hello::default().is_whole(&begun);
            let filled = [begun, vec![HANDSHAKE; MOST]].concat();
            prop_assert_ne!(Hello::default().is_whole(&filled), Ok(false));
        }
    }

    #[test]
    fn what_is_no_tls_is_told_by_its_first_bytes() {
        for other in
            [&b"G"[..], b"PRI * HTTP/2.0", b"\x16\x02", b"\x16\x03\x01\0\x01\x02", b"\x16\x03\x01\0\0"]
        {
            assert_eq!(Hello::default().is_whole(other), Err(NoHello::NotTls), "{other:?}");
        }
        let mut long = wire(10, 100);
        long[6] = 1;
        assert_eq!(Hello::default().is_whole(&long), Err(NoHello::TooLong));
        // Records of one byte cost six each.
        assert_eq!(Hello::default().is_whole(&wire(10_000, 1)[..MOST + 1]), Err(NoHello::TooLong));
    }
}
