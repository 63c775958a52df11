//! A rate: the one place where time passes on purpose. It makes load; nothing waits on it for something to happen.

use std::time::Duration;

use tokio::time::Instant;

/// Lets so many bytes a second pass, evenly from its creation on.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_second: u64,
    started: Instant,
    passed: u64,
}

impl Pace {
    /// Starts now.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), started: Instant::now(), passed: 0 }
    }

    /// Bytes to move at a time, so that the rate is even: a hundredth of a second's worth.
    pub fn piece(&self) -> usize {
        usize::try_from(self.bytes_per_second / 100).unwrap_or(usize::MAX).clamp(1, 64 * 1024)
    }

    /// Counts `bytes` as moved, and returns when the rate has caught up with them.
    pub async fn moved(&mut self, bytes: usize) {
        self.passed += bytes as u64;
        let due = Duration::from_secs_f64(self.passed as f64 / self.bytes_per_second as f64);
        tokio::time::sleep_until(self.started + due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_megabyte_at_a_megabyte_a_second_takes_a_second() {
        let started = Instant::now();
        let mut pace = Pace::new(1_000_000);
        assert_eq!(pace.piece(), 10_000);
        for _ in 0..100 {
            pace.moved(10_000).await;
        }
        assert!((999..=1010).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    }
}
