//! Backpressure: what one slow side may cost, and whom.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::Running;
use super::calls::Paths;
use crate::backend::Policy;
use crate::backend::link::Link;
use crate::oap::{CHUNK, Client, ClientConfig, Output, Sent, StartRequest};

const WINDOW: usize = 256 * 1024;

#[tokio::test]
async fn a_slow_reader_stalls_nobody_and_is_sent_no_more_than_its_window() {
    let (service, mut ends) = Paths::new();
    let running = Running::tcp(service, Policy::default());
    let mut peer = running.connect().await;
    let slow = peer.get("/endless");
    peer.hold(slow);
    // Until the sender is out of credit: less than a piece is missing.
    while peer.so_far(slow).body.len() + 10_000 < WINDOW {
        peer.turn().await;
    }
    for _ in 0..200 {
        assert_eq!(peer.ask("GET", "/hello", &[], "").await.body, b"hello");
    }
    let mut given = 0;
    while let Ok(told) = ends.try_recv() {
        given += told.parse::<usize>().unwrap_or_default();
    }
    assert!(peer.so_far(slow).body.len() <= WINDOW);
    assert!(given <= WINDOW + CHUNK, "the service could give away {given} bytes");
    // It goes on as soon as the reader does.
    peer.let_go();
    while peer.so_far(slow).body.len() < 4 * WINDOW {
        peer.turn().await;
    }
    assert!(peer.so_far(slow).body.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn credit_goes_back_only_for_content_that_the_service_has_taken() {
    let (service, _ends) = Paths::new();
    let running = Running::tcp(Arc::clone(&service), Policy::default());
    let mut peer = running.connect().await;
    let body = Bytes::from(vec![3; 4 * WINDOW]);
    let (id, mut rest) = peer.open("POST", "/wait-then-count", &[], body.clone(), true);
    while peer.core.credit(id) > 0 {
        assert_eq!(peer.core.send(id, &mut rest, true), Sent::Blocked);
        peer.flush().await;
    }
    for _ in 0..200 {
        assert_eq!(peer.ask("GET", "/hello", &[], "").await.body, b"hello");
    }
    assert_eq!(peer.core.credit(id), 0, "the head's few bytes are less than half the window");
    service.go.notify_one();
    peer.send_rest(id, rest).await;
    assert_eq!(peer.answer(id).await.body, (4 * WINDOW).to_string().as_bytes());
}

/// All that waits in an output.
fn take(output: &mut Output) -> BytesMut {
    let mut bytes = BytesMut::new();
    while !output.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[])];
        output.io_slices(&mut slices);
        let len = slices[0].len();
        bytes.extend_from_slice(&slices[0]);
        output.advance(len);
    }
    bytes
}

#[test]
fn an_exclusive_connection_is_not_read_while_too_much_waits() {
    let policy = Policy { window: None, ..Policy::default() };
    let link = Link::new(&policy.announced());
    let mut client = Client::new(&ClientConfig { user_agent: String::new(), window: None });
    let mut state = link.lock();
    state.core.handle_input(&mut take(client.output())).unwrap();
    client.handle_input(&mut take(state.core.output())).unwrap();

    let mut head = Vec::new();
    let none = std::iter::empty();
    crate::bhttp::encode_request_head(&mut head, b"POST", b"http", b"test", b"/", none).unwrap();
    let start = StartRequest { head: &head, capability: &[], tenant_id: 0, is_head: false };
    let mut body = Bytes::from(vec![0; 1 << 20]);
    let id = client.open(start, &mut body, true).unwrap();
    state.core.handle_input(&mut take(client.output())).unwrap();
    assert_eq!(state.accept().unwrap().id, id);
    while state.may_read() {
        assert_eq!(client.send(id, &mut body, true), Sent::Blocked);
        state.core.handle_input(&mut take(client.output())).unwrap();
        state.wake_streams();
    }
    let arrived = (1 << 20) - body.len();
    assert!((WINDOW..WINDOW + CHUNK).contains(&arrived), "{arrived} bytes");
    let mut cx = Context::from_waker(Waker::noop());
    let mut taken = 0;
    while !state.may_read() {
        let Poll::Ready(Ok(Some(piece))) = state.poll_content(id, 0, &mut cx) else {
            panic!("there is content")
        };
        taken += piece.len();
    }
    assert!(arrived - taken < WINDOW);
    // Whatever nobody will take any more is no reason to wait.
    while state.may_read() {
        assert_eq!(client.send(id, &mut body, true), Sent::Blocked);
        state.core.handle_input(&mut take(client.output())).unwrap();
        state.wake_streams();
    }
    state.finish(id);
    assert!(state.may_read());
}
