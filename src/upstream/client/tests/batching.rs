//! One write carries many requests (design: the deferred flush).

use std::sync::atomic::Ordering;

use super::backend::Speaks;
use super::*;

#[tokio::test]
async fn at_sixty_four_in_flight_a_request_costs_less_than_a_fifth_of_a_write() {
    const EACH: usize = 50;
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let writes = Arc::clone(&backend.writes);
    backend.echo();
    whole(&mut get(&pool, "/first").await.unwrap()).await.unwrap();
    let before = writes.load(Ordering::SeqCst);
    let clients: Vec<_> = (0..64)
        .map(|n| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                for m in 0..EACH {
                    let path = format!("/{n}/{m}");
                    let mut stream = get(&pool, &path).await.unwrap();
                    assert_eq!(whole(&mut stream).await.unwrap().1, path.into_bytes());
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let writes = writes.load(Ordering::SeqCst) - before;
    assert!(writes * 5 < 64 * EACH, "{writes} writes for {} requests", 64 * EACH);
    assert_eq!(pool.counts().shared, 1);
}
