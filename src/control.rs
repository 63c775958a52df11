//! Commands that talk to a running gateway over its admin listener: `reload`.
//!
//! One request over HTTP/1.1, answered whole and closed: nothing here keeps a connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use crate::cli::{Answer, Exit, ReloadArgs};
use crate::config::Address;

/// How long a gateway may take to answer; it reads and compiles its configuration meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer that is read.
const LONGEST: u64 = 16 << 20;

/// `svc-gateway reload`.
pub fn reload(args: &ReloadArgs) -> Answer {
    let (status, said) = match ask(&args.admin, "POST", "/reload") {
        Ok(answered) => answered,
        Err(e) => {
            let stderr = format!(
                "svc-gateway reload: the gateway at {} cannot be reached ({e}), name its admin listener with --admin\n",
                args.admin
            );
            return Answer { stdout: String::new(), stderr, exit: Exit::Unreachable };
        }
    };
    let exit = match status {
        200 => Exit::Done,
        422 => Exit::Usage,
        _ => Exit::Failed,
    };
    if args.json {
        return Answer { stdout: format!("{said}\n"), stderr: String::new(), exit };
    }
    let lines = |key: &str, suffix: &str| -> String {
        let all = said.get(key).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(|line| format!("{line}{suffix}\n")).collect()
    };
    let generation = said.get("generation").and_then(Value::as_u64);
    match (exit, generation) {
        (Exit::Done, Some(generation)) => Answer {
            stdout: format!("reloaded: generation {generation} is in force\n"),
            stderr: lines("warnings", " (warning)"),
            exit,
        },
        (Exit::Usage, _) => Answer {
            stdout: String::new(),
            stderr: format!("{}reload refused: what was in force still is\n", lines("errors", "")),
            exit,
        },
        _ => Answer {
            stdout: String::new(),
            stderr: format!("svc-gateway reload: the gateway answered {status}: {said}\n"),
            exit: Exit::Failed,
        },
    }
}

/// Sends a request without a body; the answer's status and JSON.
fn ask(admin: &Address, method: &str, path: &str) -> io::Result<(u16, Value)> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: svc-gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let answer = match admin {
        Address::Tcp(at) => {
            let stream = TcpStream::connect_timeout(at, Duration::from_secs(5))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(stream, &request)?
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(stream, &request)?
        }
    };
    parse(&answer)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what answers there is no gateway"))
}

fn talk(mut stream: impl Read + Write, request: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let _length = stream.take(LONGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

fn parse(answer: &[u8]) -> Option<(u16, Value)> {
    let at = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..at)?).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let body = answer.get(at.checked_add(4)?..)?;
    Some((status, serde_json::from_slice(body).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_anything_else_is_not() {
        let good = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"generation\":2}";
        assert_eq!(parse(good), Some((200, serde_json::json!({"generation": 2}))));
        for bad in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\n\r\nhello", b"", b"HTTP/1.1 2\r\n\r\n{}"]
        {
            assert_eq!(parse(bad), None);
        }
    }
}
