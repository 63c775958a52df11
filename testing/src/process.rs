//! A program under test: its log, its exit, what it takes from the machine. It never outlives the test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::journal::Journal;
use crate::net::Address;

/// A signal, by its number's name.
pub use rustix::process::Signal;

/// A line of a program's log.
#[derive(Clone, Debug)]
pub struct Line {
    /// As it was written.
    pub text: String,
    /// As JSON; null where it is none.
    pub json: Value,
}

/// A running program whose standard error is a log of JSON lines.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    log: Journal<Line>,
    exit: watch::Receiver<Option<ExitStatus>>,
    /// Kills the program when this process ends without running destructors.
    guard: Mutex<Child>,
}

impl Process {
    /// Starts a program.
    pub fn spawn(program: &str, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let pid = child.id();
        let log = Journal::<Line>::default();
        let stderr = child.stderr.take().expect("it is piped");
        let sink = log.clone();
        let (exited, exit) = watch::channel(None);
        std::thread::spawn(move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                let json = serde_json::from_str(&text).unwrap_or(Value::Null);
                sink.push(Line { text, json });
            }
            sink.close();
            // Standard error closes at exit or shortly before; the status belongs to whoever waits.
            exited.send_replace(child.wait().ok());
        });
        Self { pid, log, exit, guard: Mutex::new(guard(pid)) }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All that it has written so far.
    pub fn log(&self) -> Vec<Line> {
        self.log.since(0)
    }

    /// Waits for a line that `pick` takes, from the first one on.
    pub async fn wait_for_line<R>(
        &self,
        within: Duration,
        pick: impl FnMut(&Line) -> Option<R>,
    ) -> Option<R> {
        Some(self.log.wait(0, within, pick).await?.1)
    }

    /// Like [`Process::wait_for_line`], from the `from`th line on; says where the line stands.
    pub async fn wait_for_line_from<R>(
        &self,
        from: usize,
        within: Duration,
        pick: impl FnMut(&Line) -> Option<R>,
    ) -> Option<(usize, R)> {
        self.log.wait(from, within, pick).await
    }

    /// The log's text, for a failing test's message.
    pub fn log_text(&self) -> String {
        self.log().iter().map(|line| format!("  {}\n", line.text)).collect()
    }

    /// Waits for `{"event":"listening","listener":NAME,…}` and returns the address.
    pub async fn listening(&self, name: &str) -> Address {
        let found = self
            .wait_for_line(crate::PATIENCE, |line| {
                let here = line.json["event"] == "listening" && line.json["listener"] == name;
                here.then(|| Address::parse(line.json["address"].as_str().unwrap_or_default()))
            })
            .await;
        found.unwrap_or_else(|| panic!("no listener {name}; the log:\n{}", self.log_text()))
    }

    /// Sends a signal; nothing happens when the program is gone.
    pub fn signal(&self, signal: Signal) {
        if self.exit.borrow().is_none() {
            let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
            let _gone_meanwhile = rustix::process::kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    pub async fn wait_exit(&self, within: Duration) -> Option<ExitStatus> {
        let mut exit = self.exit.clone();
        let status = tokio::time::timeout(within, exit.wait_for(Option::is_some)).await.ok()?;
        *status.ok()?
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        resident(self.pid)
    }

    /// User and system time so far.
    pub fn cpu(&self) -> Duration {
        cpu(self.pid)
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }

    /// Threads.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, Iterator::count)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut guard = self.guard.lock().unwrap();
        drop(guard.kill());
        drop(guard.wait());
        self.signal(Signal::KILL);
    }
}

/// A shell that waits for its input to end, as it does when this process is gone, and then kills.
fn guard(pid: u32) -> Child {
    Command::new("/bin/sh")
        .args(["-c", "read -r _; kill -9 \"$0\" 2>/dev/null", &pid.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

/// Resident memory of a process, in bytes; 0 when it is gone.
pub fn resident(pid: u32) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most that it was since the process began, or since [`forget_peak`].
pub fn peak(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

/// From now on [`peak`] begins with what is resident now.
pub fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("a process of ours");
}

fn memory(pid: u32, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// User and system time of a process and its threads, gone ones included; in steps of 10 ms.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; fields are counted from behind it. utime and stime are 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_heard_measured_and_ended() {
        let script = r#"echo '{"event":"listening","listener":"a","address":"127.0.0.1:7"}' >&2; exec cat /dev/zero >/dev/null"#;
        let process = Process::spawn("/bin/sh", &["-c", script], &[]);
        assert_eq!(process.listening("a").await, Address::parse("127.0.0.1:7"));
        assert!(process.is_running() && process.resident() > 0 && process.descriptors() > 0);
        process.signal(Signal::TERM);
        let status = process.wait_exit(crate::PATIENCE).await.unwrap();
        assert!(!status.success() && !process.is_running());
        assert_eq!(process.log().len(), 1);
    }

    #[tokio::test]
    async fn a_program_does_not_outlive_its_handle() {
        let process = Process::spawn("/bin/sh", &["-c", "echo '{}' >&2; exec cat /dev/zero >/dev/null"], &[]);
        process.wait_for_line(crate::PATIENCE, |_| Some(())).await.unwrap();
        let (exit, pid) = (process.exit.clone(), process.pid());
        drop(process);
        let mut exit = exit;
        tokio::time::timeout(crate::PATIENCE, exit.wait_for(Option::is_some)).await.unwrap().unwrap();
        assert_eq!(resident(pid), 0);
    }
}
