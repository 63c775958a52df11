//! Where lines for the operator go: one a request, one an event (http.md §6).
//!
//! Request code never waits for the log: it appends to a buffer that one thread writes out. A reader of standard
//! error that stalls costs lines, counted and told, never requests and never more than [`PENDING`] bytes.
//!
//! What a line says about a request is decided in `proxy::record`; nothing here knows a request.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Bytes of lines that may wait for the writer; beyond, lines are dropped and counted.
pub const PENDING: usize = 4 << 20;
/// How long the writer gathers lines before it writes them.
const GATHER: Duration = Duration::from_millis(2);

struct Shared {
    pending: Mutex<Vec<u8>>,
    filled: Condvar,
    stop: AtomicBool,
    dropped: AtomicU64,
}

/// The log's writing end; cheap to clone.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

/// The writer's thread; dropping it writes out what waits.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    /// A log that writes whole lines to `sink` from a thread of its own.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn new(sink: impl Write + Send + 'static) -> std::io::Result<(Self, Writer)> {
        let shared = Arc::new(Shared {
            pending: Mutex::new(Vec::new()),
            filled: Condvar::new(),
            stop: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        });
        let writing = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("log".into()).spawn(move || write_out(&writing, sink))?;
        Ok((Self { shared: Arc::clone(&shared) }, Writer { shared, thread: Some(thread) }))
    }

    /// Appends what `write` puts into the buffer, which must be whole lines.
    pub fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut pending = self.shared.pending.lock();
        if pending.len() >= PENDING {
            drop(pending);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = pending.is_empty();
        write(&mut pending);
        drop(pending);
        if was_empty {
            self.shared.filled.notify_one();
        }
    }

    /// Appends an event: `{"ts":…,"level":"info","event":NAME,…}`.
    pub fn event(
        &self,
        now: std::time::SystemTime,
        level: &str,
        event: &str,
        fields: &[(&str, serde_json::Value)],
    ) {
        let mut line = serde_json::Map::new();
        drop(line.insert("ts".into(), timestamp(now).into()));
        drop(line.insert("level".into(), level.into()));
        drop(line.insert("event".into(), event.into()));
        for (name, value) in fields {
            drop(line.insert((*name).into(), value.clone()));
        }
        let line = serde_json::Value::Object(line).to_string();
        self.append(|out| {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        });
    }

    /// Lines lost since the start because their reader stalled.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // The lock orders this with the writer's check: it either sees the flag or is already waiting.
        drop(self.shared.pending.lock());
        self.shared.filled.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn write_out(shared: &Shared, mut sink: impl Write) {
    let mut lines = Vec::new();
    loop {
        let mut pending = shared.pending.lock();
        while pending.is_empty() && !shared.stop.load(Ordering::Acquire) {
            shared.filled.wait(&mut pending);
        }
        if pending.is_empty() {
            return;
        }
        if !shared.stop.load(Ordering::Acquire) {
            // Gathers what comes right behind the first line, so that a busy gateway writes rarely.
            shared.filled.wait_for(&mut pending, GATHER);
        }
        std::mem::swap(&mut *pending, &mut lines);
        drop(pending);
        // A closed standard error is no reason to stop serving.
        drop(sink.write_all(&lines).and_then(|()| sink.flush()));
        lines.clear();
        if lines.capacity() > PENDING / 4 {
            lines = Vec::new();
        }
    }
}

/// RFC 3339 in UTC, to the millisecond: `2026-01-31T23:59:59.999Z`.
pub fn timestamp(now: std::time::SystemTime) -> String {
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut text = String::with_capacity(24);
    push_timestamp(&mut text, since);
    text
}

/// As [`timestamp`], appended to `text`, from the time since the Unix epoch.
pub fn push_timestamp(text: &mut String, since: Duration) {
    use std::fmt::Write as _;
    let secs = since.as_secs();
    let (days, of_day) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = civil(days);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        since.subsec_millis()
    );
}

/// Days since 1970-01-01 to year, month, day (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(buf);
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_before_the_writer_ends() {
        let sink = Sink::default();
        let (log, writer) = Log::new(sink.clone()).unwrap();
        for n in 0..1_000 {
            log.append(|out| out.extend_from_slice(format!("{n}\n").as_bytes()));
        }
        drop(writer);
        let written = String::from_utf8(sink.0.lock().clone()).unwrap();
        let expected: String = (0..1_000).map(|n| format!("{n}\n")).collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_no_more_than_the_bound() {
        struct Stalled(Arc<Mutex<()>>);
        impl Write for Stalled {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                drop(self.0.lock());
                Ok(buf.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock();
        let (log, writer) = Log::new(Stalled(Arc::clone(&gate))).unwrap();
        let line = vec![b'x'; 64 * 1024];
        // Twice the bound may be taken at once: what the writer holds, and what waits behind it.
        for _ in 0..(2 * PENDING / line.len() + 8) {
            log.append(|out| out.extend_from_slice(&line));
        }
        assert!(log.dropped() > 0);
        drop(closed);
        drop(writer);
    }

    #[test]
    fn time_is_told_in_utc_to_the_millisecond() {
        for (secs, millis, text) in [
            (0, 0, "1970-01-01T00:00:00.000Z"),
            (951_827_696, 7, "2000-02-29T12:34:56.007Z"),
            (1_767_225_599, 999, "2025-12-31T23:59:59.999Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
        ] {
            let at = std::time::UNIX_EPOCH + Duration::from_millis(secs * 1000 + millis);
            assert_eq!(timestamp(at), text);
        }
    }
}
