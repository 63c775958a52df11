//! System calls on one process's connections to one address: how many reads and writes a request costs upstream.
//!
//! `perf stat` counts them in the kernel, on the connections' descriptors alone, at no cost to speak of. Where it may
//! not, `strace` counts them, and slows the process down while it does.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;

/// All that can read a socket, then all that can write one.
const CALLS: [&str; 8] = ["read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg"];
const READS: usize = 4;

/// What was counted.
pub struct Calls {
    /// Reads, those that found nothing included.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// What the load printed meanwhile.
    pub output: String,
    /// Who counted.
    pub by: &'static str,
    /// Connections that were watched.
    pub connections: usize,
}

/// Counts while `load` runs; `None` where neither tool works, or connections changed meanwhile.
pub fn count(pid: u32, peer: SocketAddr, load: &[String]) -> Option<Calls> {
    let before = descriptors(pid, peer);
    if before.is_empty() {
        return None;
    }
    let calls = perf(pid, &before, load).or_else(|| strace(pid, peer, before.len(), load))?;
    (descriptors(pid, peer) == before).then_some(calls)
}

/// Descriptors of `pid` that are connected to `peer`.
fn descriptors(pid: u32, peer: SocketAddr) -> Vec<String> {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let inodes = connected(&table, peer);
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let ours =
        |path: &std::path::Path| std::fs::metadata(path).is_ok_and(|found| inodes.contains(&found.ino()));
    let mut all: Vec<_> = folder
        .filter(|entry| ours(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    all.sort();
    all
}

/// Inodes of the established connections of a `/proc/net/tcp` whose other end is `peer`.
fn connected(table: &str, peer: SocketAddr) -> Vec<u64> {
    let SocketAddr::V4(peer) = peer else { return Vec::new() };
    let peer = format!("{:08X}:{:04X}", u32::from_ne_bytes(peer.ip().octets()), peer.port());
    let line = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let ours = fields.get(2) == Some(&peer.as_str()) && fields.get(3) == Some(&"01");
        ours.then(|| fields.get(9)?.parse().ok()).flatten()
    };
    table.lines().filter_map(line).collect()
}

fn perf(pid: u32, descriptors: &[String], load: &[String]) -> Option<Calls> {
    let results = NamedTempFile::new().ok()?;
    let filter = descriptors.iter().map(|fd| format!("fd=={fd}")).collect::<Vec<_>>().join("||");
    let mut perf = Command::new("perf");
    perf.args(["stat", "-x", ",", "-o"]).arg(results.path()).args(["-p", &pid.to_string()]);
    for call in CALLS {
        perf.args(["-e", &format!("syscalls:sys_enter_{call}"), "--filter", &filter]);
    }
    let done = perf.arg("--").args(load).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let (reads, writes) = counted(&std::fs::read_to_string(results.path()).ok()?)?;
    let output = String::from_utf8(done.stdout).ok().filter(|output| !output.is_empty())?;
    Some(Calls { reads, writes, output, by: "perf", connections: descriptors.len() })
}

/// Reads and writes of `perf stat -x ,`; `None` when one of the calls was not counted.
fn counted(results: &str) -> Option<(u64, u64)> {
    let lines = results.lines().filter(|line| line.contains("sys_enter_"));
    let counts: Option<Vec<u64>> = lines.map(|line| line.split(',').next()?.parse().ok()).collect();
    let counts = counts.filter(|counts| counts.len() == CALLS.len())?;
    let (reads, writes) = counts.split_at(READS);
    Some((reads.iter().sum(), writes.iter().sum()))
}

fn strace(pid: u32, peer: SocketAddr, connections: usize, load: &[String]) -> Option<Calls> {
    let results = NamedTempFile::new().ok()?;
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-yy", "-s", "0", "-e", &format!("trace={}", CALLS.join(",")), "-o"])
        .arg(results.path())
        .args(["-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let attached = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        traced(pid)
    });
    let done = attached.then(|| Command::new(&load[0]).args(&load[1..]).stdin(Stdio::null()).output());
    let number = i32::try_from(strace.id()).ok().and_then(rustix::process::Pid::from_raw)?;
    // It lets go of what it traces before it ends; killed, it would not have written all that it saw.
    let _gone_meanwhile = rustix::process::kill_process(number, rustix::process::Signal::INT);
    drop(strace.wait());
    let text = std::fs::read_to_string(results.path()).ok()?;
    let to = format!("->{peer}]>");
    // A call that another one interrupts has two lines, of which the second says `resumed`.
    let lines = || text.lines().filter(|line| line.contains(&to) && !line.contains(" resumed>"));
    let of = |calls: &[&str]| {
        let here = |line: &&str| calls.iter().any(|call| line.contains(&format!(" {call}(")));
        u64::try_from(lines().filter(here).count()).unwrap_or(u64::MAX)
    };
    let (reads, writes) = CALLS.split_at(READS);
    let (reads, writes) = (of(reads), of(writes));
    let output = String::from_utf8(done?.ok()?.stdout).ok()?;
    Some(Calls { reads, writes, output, by: "strace", connections })
}

/// Whether all threads of `pid` are traced.
fn traced(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut states =
        threads.map(|thread| std::fs::read_to_string(thread.path().join("status")).unwrap_or_default());
    states.all(|status| !status.contains("TracerPid:\t0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_to_the_peer_are_found_and_no_others() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let pid = std::process::id();
        assert_eq!(descriptors(pid, peer), Vec::<String>::new());
        let client = std::net::TcpStream::connect(peer).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&client).to_string();
        assert_eq!(descriptors(pid, peer), [fd]);
    }

    #[test]
    fn counts_are_added_up_only_when_all_are_there() {
        let line = |count: usize, call: &str| format!("{count},,syscalls:sys_enter_{call},1,100.00,,\n");
        let all: String = CALLS.iter().enumerate().map(|(n, call)| line(n, call)).collect();
        assert_eq!(counted(&all), Some((6, 22)));
        assert_eq!(counted(&all.replacen('3', "<not counted>", 1)), None);
        assert_eq!(counted(&line(3, "read")), None);
    }
}
