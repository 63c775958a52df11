//! The active check of an OAP/1 backend: dial anew, HELLO, and a GET where one is asked for (oap1 §3).

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::dial::{Dial, OpenError};
use super::greet::{greet, late};
use super::policy::PoolPolicy;
use super::wire::Wire;
use crate::bhttp::encode_request_head;
use crate::oap::{Client, ClientConfig, Incoming, StartRequest, StreamId};

/// Why a check did not pass, in words for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The backend is not well.
    #[error("{0}")]
    Unwell(String),
    /// This process lacks what a connection needs: the backend has not been asked.
    #[error("{0}")]
    Local(String),
}

impl From<String> for CheckError {
    fn from(why: String) -> Self {
        Self::Unwell(why)
    }
}

impl From<OpenError> for CheckError {
    fn from(e: OpenError) -> Self {
        if e.is_local() { Self::Local(e.to_string()) } else { Self::Unwell(e.to_string()) }
    }
}

/// Checks a backend on a connection of its own, which is closed after it: HELLO, and with `path` a GET whose answer must
/// be whole and below 400. Dial and HELLO are bounded by the policy, all of it by the caller.
///
/// # Errors
/// A [`CheckError`].
pub async fn check<D: Dial>(dial: &D, policy: &PoolPolicy, path: Option<&str>) -> Result<(), CheckError> {
    let dialled = timeout(policy.connect, dial.dial()).await.map_err(|_| OpenError::Timeout)?;
    let io = dialled.map_err(OpenError::Connect)?;
    let mut wire = Wire::new(io, policy.write);
    let mut core = Client::new(&ClientConfig { user_agent: policy.user_agent.clone(), window: None });
    let greeted = timeout(policy.hello, greet(&mut wire, &mut core)).await.unwrap_or_else(|_| Err(late()));
    let _ = greeted.map_err(|e| e.to_string())?;
    let Some(path) = path else { return Ok(()) };
    let mut head = Vec::new();
    let fields = [(b"user-agent".as_slice(), b"svc-gateway health check".as_slice())];
    encode_request_head(&mut head, b"GET", b"http", b"localhost", path.as_bytes(), fields.into_iter())
        .map_err(|e| format!("health.path: {e}"))?;
    let start = StartRequest { head: &head, capability: &[], tenant_id: 0, is_head: false };
    let stream = core.open(start, &mut Bytes::new(), true).map_err(|e| e.to_string())?;
    Ok(poll_fn(|cx| poll_answer(cx, &mut wire, &mut core, stream)).await?)
}

/// Moves bytes until the answer is whole.
fn poll_answer<Io>(
    cx: &mut Context<'_>,
    wire: &mut Wire<Io>,
    core: &mut Client,
    stream: StreamId,
) -> Poll<Result<(), String>>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        while let Some(incoming) = core.poll(stream) {
            match incoming {
                Incoming::Head { head, .. } if head.status >= 400 => {
                    return Poll::Ready(Err(format!("answered {}", head.status)));
                }
                Incoming::Head { credit, .. } | Incoming::Data { credit, .. } => {
                    core.passed_on(stream, credit)
                }
                Incoming::End => return Poll::Ready(Ok(())),
                Incoming::Failed(failure) => {
                    return Poll::Ready(Err(format!("answered nothing whole: {failure}")));
                }
            }
        }
        if let Poll::Ready(Err(e)) = wire.poll_write(cx, core.output()) {
            return Poll::Ready(Err(e.to_string()));
        }
        match ready!(wire.poll_read(cx)) {
            Ok(input) if !input.is_empty() => {
                core.handle_input(input).map_err(|e| e.to_string())?;
            }
            _ => return Poll::Ready(Err("closed before its answer was whole".into())),
        }
    }
}
