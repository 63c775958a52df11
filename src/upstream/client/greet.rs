//! The first exchange on a connection: HELLO and its answer (oap1 §3). How long it may take is the caller's.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::dial::OpenError;
use super::wire::Wire;
use crate::oap::{Client, ProtocolError, Settings};

/// Says HELLO and waits for the answer.
pub(super) async fn greet<Io>(wire: &mut Wire<Io>, core: &mut Client) -> Result<Settings, OpenError>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let settings = poll_fn(|cx| poll_greet(cx, wire, core)).await.map_err(OpenError::Protocol)?;
    if core.is_draining() || core.is_over() { Err(OpenError::Draining) } else { Ok(settings) }
}

fn poll_greet<Io>(
    cx: &mut Context<'_>,
    wire: &mut Wire<Io>,
    core: &mut Client,
) -> Poll<Result<Settings, ProtocolError>>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        if let Some(settings) = core.settings() {
            return Poll::Ready(Ok(settings));
        }
        if let Poll::Ready(Err(_)) = wire.poll_write(cx, core.output()) {
            return Poll::Ready(Err(missing()));
        }
        match ready!(wire.poll_read(cx)) {
            Ok(input) if !input.is_empty() => core.handle_input(input)?,
            // oap1 §2: HELLO missing.
            _ => return Poll::Ready(Err(missing())),
        }
    }
}

fn missing() -> ProtocolError {
    ProtocolError::BadHello("the connection ended before HELLO was answered".into())
}

/// oap1 §2: HELLO late.
pub(super) fn late() -> OpenError {
    OpenError::Protocol(ProtocolError::BadHello("HELLO was not answered in time".into()))
}
