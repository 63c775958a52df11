//! A call's two ends: the content that comes in, and the reply that goes out.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

use super::Gone;
use super::link::Link;
use crate::oap::{Sent, StreamId};

/// The content of a request, piece by piece.
#[derive(Debug)]
pub struct Content {
    link: Arc<Link>,
    id: StreamId,
    /// Bytes of the last piece, whose credit is not yet returned.
    owed: u32,
}

impl Content {
    pub(super) fn new(link: Arc<Link>, id: StreamId) -> Self {
        Self { link, id, owed: 0 }
    }

    /// The next piece, `None` behind the last one. Asking for it says that the one before is dealt with: the client may
    /// send as much again.
    ///
    /// # Errors
    /// [`Gone`]: the content will never be whole, or the answer is already finished.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Gone> {
        let piece = poll_fn(|cx| {
            let owed = std::mem::take(&mut self.owed);
            self.link.lock().poll_content(self.id, owed, cx)
        })
        .await?;
        self.owed = piece.as_ref().map_or(0, |piece| u32::try_from(piece.len()).unwrap_or(u32::MAX));
        Ok(piece)
    }
}

/// An answer that has not begun. Dropped, it is a 500.
#[derive(Debug)]
pub struct Reply {
    open: Open,
}

impl Reply {
    pub(super) fn new(link: Arc<Link>, id: StreamId) -> Self {
        Self { open: Open { link, id } }
    }

    /// Answers with all of `content`; `content-length` is added to the fields. Waits until the last byte of it is on its
    /// way.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn whole(self, status: u16, fields: &[(&str, &str)], content: Bytes) -> Result<(), Gone> {
        let length = content.len().to_string();
        let length = [("content-length", length.as_str())];
        let fields = fields.iter().chain(&length);
        let mut content = content;
        let sent = self.open.begin(status, fields, &mut content, true)?;
        self.open.send(sent, content, true).await
    }

    /// Answers without content: to HEAD, or with a status that carries none.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn empty(self, status: u16, fields: &[(&str, &str)]) -> Result<(), Gone> {
        self.open.begin(status, fields.iter(), &mut Bytes::new(), true).map(|_| ())
    }

    /// Begins an answer whose content follows. With `content-length` among the fields, the client holds it against that.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn begin(self, status: u16, fields: &[(&str, &str)]) -> Result<Sending, Gone> {
        self.open.begin(status, fields.iter(), &mut Bytes::new(), false)?;
        Ok(Sending { open: self.open })
    }

    /// As [`Reply::begin`], the first piece along with the head. Waits as [`Sending::send`] does.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn begin_with(
        self,
        status: u16,
        fields: &[(&str, &str)],
        first: Bytes,
    ) -> Result<Sending, Gone> {
        let mut first = first;
        let sent = self.open.begin(status, fields.iter(), &mut first, false)?;
        self.open.send(sent, first, false).await?;
        Ok(Sending { open: self.open })
    }
}

/// An answer that has begun. Dropped before [`Sending::finish`], it fails, and the client knows that it is not whole.
#[derive(Debug)]
pub struct Sending {
    open: Open,
}

impl Sending {
    /// Sends a piece; waits until the client has room for all of it.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send(&mut self, piece: Bytes) -> Result<(), Gone> {
        self.open.send(Sent::Blocked, piece, false).await
    }

    /// Sends the last piece, which may be empty: with it the answer is whole.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn finish(self, last: Bytes) -> Result<(), Gone> {
        self.open.send(Sent::Blocked, last, true).await
    }
}

/// The answer's side of a stream; dropping it ends the stream.
#[derive(Debug)]
struct Open {
    link: Arc<Link>,
    id: StreamId,
}

impl Open {
    fn begin<'a>(
        &self,
        status: u16,
        fields: impl Iterator<Item = &'a (&'a str, &'a str)> + Clone,
        content: &mut Bytes,
        end: bool,
    ) -> Result<Sent, Gone> {
        let fields = fields.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        self.link.lock().begin(self.id, status, fields, content, end)
    }

    /// Sends what is left after `sent`.
    async fn send(&self, sent: Sent, mut data: Bytes, end: bool) -> Result<(), Gone> {
        if sent == Sent::All {
            return Ok(());
        }
        poll_fn(|cx| self.link.lock().poll_send(self.id, &mut data, end, cx)).await
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.link.lock().finish(self.id);
    }
}
