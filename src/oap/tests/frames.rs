use proptest::prelude::*;

use super::*;

#[test]
fn the_worked_bytes_of_the_contract_are_what_a_client_says_first() {
    let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window: None });
    let expected: &[u8] = &[
        0x00, 0x00, 0x00, 0x30, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00,
        0x00, // len, ver, flags, code, proto
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // tenant_id
        0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // cap_len, corr_id
        0x7b, 0x22, 0x75, 0x61, 0x22, 0x3a, 0x22, 0x74, 0x22, 0x7d,
    ];
    assert_eq!(written(client.output()), expected);
}

#[test]
fn a_header_reads_back_what_was_written() {
    let header = FrameHeader {
        len: 38 + 7 + 100,
        flags: Flags::REQ | Flags::START | Flags::END | Flags::from_bits(0xfe00),
        code: 0x1234,
        app_proto_id: HTTP,
        tenant_id: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        capability_len: 7,
        stream: StreamId(0x8877_6655_4433_2211),
    };
    let mut bytes = Vec::new();
    header.put(&mut bytes);
    let bytes: [u8; HEADER_LEN] = bytes.try_into().unwrap();
    assert_eq!(FrameHeader::parse(&bytes), Ok(header));
    assert_eq!(header.payload_len(), 100);
}

/// What a decoder makes of `pieces`: headers, capabilities and payloads, whole.
fn decode(pieces: &[&[u8]]) -> Vec<(FrameHeader, Vec<u8>, Vec<u8>)> {
    let mut decoder = Decoder::default();
    let mut input = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(item) = decoder.next(&mut input).unwrap() {
            match item {
                Item::Header(header) => frames.push((header, Vec::new(), Vec::new())),
                Item::Capability(len) => frames.last_mut().unwrap().1.extend(input.split_to(len)),
                Item::Payload(len) => frames.last_mut().unwrap().2.extend(input.split_to(len)),
                Item::End => {}
            }
        }
    }
    assert!(!decoder.is_inside_frame());
    frames
}

proptest! {
    #[test]
    fn a_frame_arrives_whole_however_the_bytes_are_cut(
        shapes in prop::collection::vec((0usize..300, 0usize..2000, any::<u64>()), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let bytes: Vec<u8> = shapes
            .iter()
            .flat_map(|(cap, len, id)| raw(1, REQ | START, 0, 0x0401, *id, &vec![7; *cap], &vec![*id as u8; *len]))
            .collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();

        let frames = decode(&pieces);
        prop_assert_eq!(frames.len(), shapes.len());
        for ((header, cap, payload), (cap_len, len, id)) in frames.iter().zip(&shapes) {
            prop_assert_eq!(header.stream, StreamId(*id));
            prop_assert_eq!(cap, &vec![7; *cap_len]);
            prop_assert_eq!(payload, &vec![*id as u8; *len]);
        }
    }
}

#[test]
fn the_output_keeps_small_frames_together_and_does_not_copy_large_payload() {
    let mut output = Output::default();
    output.put(b"one");
    output.put(b"two");
    let large = Bytes::from(vec![9; 8192]);
    output.put_payload(large.clone());
    output.put(b"three");
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    assert_eq!(output.io_slices(&mut slices), 3);
    assert_eq!(&*slices[0], b"onetwo");
    assert_eq!(slices[1].as_ptr(), large.as_ptr());
    assert_eq!(output.len(), 6 + 8192 + 5);
    output.advance(4);
    output.advance(2 + 8192 + 1);
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    assert_eq!(output.io_slices(&mut slices), 1);
    assert_eq!(&*slices[0], b"hree");
    output.advance(usize::MAX);
    assert!(output.is_empty());
}

#[test]
fn the_output_knows_whose_bytes_have_left() {
    let mut output = Output::default();
    output.put(&[0; 10]);
    assert_eq!(output.book(StreamId(1)), 10);
    output.put(&[0; 5]);
    output.book_nobody();
    output.put_payload(Bytes::from(vec![0; 40_000]));
    assert_eq!(output.book(StreamId(2)), 40_000);
    output.advance(9);
    assert_eq!(output.next_left(), None);
    output.advance(1);
    assert_eq!(output.next_left(), Some((StreamId(1), 10)));
    output.advance(5 + 16 * 1024);
    assert_eq!(output.next_left(), Some((StreamId(2), 16 * 1024)));
    assert_eq!(output.next_left(), None);
    output.advance(40_000);
    let left: usize = std::iter::from_fn(|| output.next_left()).map(|(_, bytes)| bytes).sum();
    assert_eq!(left, 40_000 - 16 * 1024);
}
