//! Requests that are given up, a thousand times: nothing of them is left, on either side.

use bytes::Bytes;

use super::backend::{Connection, Said, Speaks};
use super::*;
use crate::upstream::client::Mode;

const TIMES: usize = 1000;

/// When the client leaves.
#[derive(Clone, Copy, Debug)]
enum When {
    AtOnce,
    Uploading,
    Downloading,
}

const WHENS: [When; 3] = [When::AtOnce, When::Uploading, When::Downloading];

/// Opens a stream and brings it to where it is left.
async fn begun(pool: &Arc<Pool<Dialer>>, when: When) -> Stream<Pipe> {
    match when {
        When::AtOnce => get(pool, "/").await.unwrap(),
        When::Uploading => {
            let mut piece = Bytes::from(vec![1; 20_000]);
            let mut stream = open(pool, "/up", &mut piece, false, false).await.unwrap();
            stream.send(&mut Bytes::from(vec![2; 5000]), false).await;
            stream
        }
        When::Downloading => {
            let mut stream = get(pool, "/down").await.unwrap();
            while !matches!(stream.recv().await, Incoming::Data { .. }) {}
            stream
        }
    }
}

/// Begins an answer to whoever asks for /down; counts the streams that were given up.
async fn serve(mut connection: Connection) -> (usize, usize) {
    let mut given_up = 0;
    while let Some((id, said)) = connection.next().await {
        match said {
            Said::Head(path) if path == "/down" => connection.begin(id, vec![7; 50_000], false),
            Said::Head(path) if path == "/last" => connection.respond(id, "last"),
            Said::GivenUp => given_up += 1,
            _ => {}
        }
    }
    let open = connection.server().open_streams();
    (given_up, open)
}

#[tokio::test]
async fn on_a_shared_connection_each_is_told_and_all_counters_are_flat() {
    for when in WHENS {
        let (pool, mut backend) =
            pool(PoolPolicy { max: 1, ..PoolPolicy::default() }, Speaks::multiplexed(8));
        let (first, connection) = tokio::join!(get(&pool, "/"), backend.accept());
        let serving = tokio::spawn(serve(connection));
        drop(first);
        for _ in 1..TIMES {
            drop(begun(&pool, when).await);
        }
        assert_eq!(whole(&mut get(&pool, "/last").await.unwrap()).await.unwrap().1, b"last");
        let counts = pool.counts();
        assert_eq!((counts.shared, counts.dialing, counts.exclusive_used), (1, 0, 0), "{when:?}");
        let sent = counts.frames.sent;
        assert_eq!((sent.hello, sent.start), (1, TIMES as u64 + 1));
        // It took no second connection, so the places of all of them came back.
        assert_eq!(backend.dials(), 1);
        drop(pool);
        let (told, open) = serving.await.unwrap();
        assert_eq!(open, 0, "{when:?}");
        // oap1 §3: REQ|END 499 for each; an upload has sent one frame of data before.
        let (data, is_seen) = match when {
            When::AtOnce => (TIMES, false),
            When::Uploading => (2 * TIMES - 1, false),
            When::Downloading => (TIMES, true),
        };
        assert_eq!(sent.data, data as u64, "{when:?}");
        // What is begun and given up in one breath the backend's core never mentions.
        assert!(told == TIMES || (!is_seen && told < TIMES), "{when:?}: {told}");
    }
}

#[tokio::test]
async fn an_exclusive_connection_is_closed_and_its_place_is_free() {
    for when in WHENS {
        let policy = PoolPolicy { max: 2, mode: Mode::Exclusive, ..PoolPolicy::default() };
        let (pool, mut backend) = pool(policy, Speaks::exclusive());
        let dials = Arc::clone(&backend.dials);
        drop(tokio::spawn(async move {
            loop {
                drop(tokio::spawn(serve(backend.accept().await)));
            }
        }));
        for _ in 0..TIMES {
            drop(begun(&pool, when).await);
            let counts = pool.counts();
            assert_eq!((counts.exclusive_used, counts.exclusive_idle, counts.dialing), (0, 0, 0), "{when:?}");
        }
        assert_eq!(dials.made.load(std::sync::atomic::Ordering::SeqCst), TIMES);
    }
}
