//! The object service (http.md §3): what a request asks for, and what it is told.
//!
//! Conditions and ranges are evaluated here; the store only knows whole objects. No caveat, tenant or quota is: who knows
//! an address may read it.

mod answer;
mod conditions;
mod range;
mod upload;

use std::io;

use bytes::Bytes;

use self::answer::Failure;
use self::conditions::Verdict;
use self::range::Asked;
use super::store::{Found, Reading, Refused, Store};
use super::{Content, Gone, Reply, Request, Service};
use crate::bhttp::RequestHead;
use crate::object::{self, Address};

/// Objects as a service.
#[derive(Debug)]
pub(super) struct Objects {
    store: Store,
    object_max: u64,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// GET or HEAD of an object.
    Read { address: Address, head: bool },
    /// PUT of an object.
    Put(Address),
    /// POST of whatever it is.
    Post,
}

impl Service for Objects {
    async fn call(&self, request: Request, content: Content, reply: Reply) -> Result<(), Gone> {
        match ask(&request.head) {
            Err(failure) => failure.answer(&request.head, reply).await,
            Ok(Asking::Read { address, head }) => self.read(&request.head, &address, head, reply).await,
            Ok(Asking::Put(address)) => self.put(&request.head, Some(address), content, reply).await,
            Ok(Asking::Post) => self.put(&request.head, None, content, reply).await,
        }
    }
}

/// Reads method and path.
fn ask(head: &RequestHead) -> Result<Asking, Failure> {
    let path = head.path.split(|byte| *byte == b'?').next().unwrap_or_default();
    let path = std::str::from_utf8(path).map_err(|_| Failure::NotFound)?;
    let method: &[u8] = &head.method;
    match object::address_of_path(path) {
        Some(Err(_)) => Err(Failure::Malformed),
        Some(Ok(address)) => match method {
            b"GET" => Ok(Asking::Read { address, head: false }),
            b"HEAD" => Ok(Asking::Read { address, head: true }),
            b"PUT" => Ok(Asking::Put(address)),
            _ => Err(Failure::Method("GET, HEAD, PUT")),
        },
        None if path != "/api/put" => Err(Failure::NotFound),
        None if method == b"POST" => Ok(Asking::Post),
        None => Err(Failure::Method("POST")),
    }
}

impl Objects {
    pub(super) fn new(store: Store, object_max: u64) -> Self {
        Self { store, object_max }
    }

    async fn read(
        &self,
        request: &RequestHead,
        address: &Address,
        is_head: bool,
        reply: Reply,
    ) -> Result<(), Gone> {
        let found = match self.store.find(address, !is_head).await {
            Ok(Some(found)) => found,
            Ok(None) => return Failure::NotFound.answer(request, reply).await,
            Err(error) => return unreadable(address, &error, request, reply).await,
        };
        let etag = address.etag();
        match conditions::check(&request.fields, &etag) {
            Verdict::Go => {}
            Verdict::NotModified => return answer::not_modified(reply, &etag),
            Verdict::Failed => return Failure::Precondition.answer(request, reply).await,
        }
        let size = found.size();
        // RFC 9110 §14.2: Range is defined for GET alone.
        let asked = if is_head { Asked::Whole } else { range::asked(&request.fields, &etag, size) };
        let (status, part) = match asked {
            Asked::Whole => (200, 0..size),
            Asked::Part(part) => (206, part),
            Asked::Unsatisfiable => return answer::unsatisfiable(reply, size).await,
        };
        let head = answer::Head::new(status, &etag, &part, size);
        if is_head {
            return head.with(|status, fields| reply.empty(status, fields));
        }
        send(found, part, &head, reply, address).await
    }

    async fn put(
        &self,
        request: &RequestHead,
        named: Option<Address>,
        content: Content,
        reply: Reply,
    ) -> Result<(), Gone> {
        if request.content_length().is_some_and(|length| length > self.object_max) {
            return Failure::TooLarge.answer(request, reply).await;
        }
        if let Some(address) = named {
            match self.allows_put(request, &address).await {
                Ok(true) => {}
                Ok(false) => return Failure::Precondition.answer(request, reply).await,
                Err(error) => return unreadable(&address, &error, request, reply).await,
            }
        }
        let receiving = self.store.receive(request.content_length());
        match upload::receive(receiving, content, self.object_max, named).await? {
            Ok(stored) => answer::stored(reply, &stored).await,
            Err(refused) => {
                if let Refused::Io(error) = &refused {
                    log::error!("an object cannot be stored: {error}");
                }
                Failure::from(&refused).answer(request, reply).await
            }
        }
    }

    /// Whether the request's conditions allow an upload to that address. Without any the store is not asked.
    async fn allows_put(&self, request: &RequestHead, address: &Address) -> io::Result<bool> {
        if !conditions::any(&request.fields) {
            return Ok(true);
        }
        let there = self.store.find(address, false).await?.is_some();
        let verdict = if there {
            conditions::check(&request.fields, &address.etag())
        } else {
            conditions::check_absent(&request.fields)
        };
        Ok(verdict == Verdict::Go)
    }
}

/// Sends a part of an object, head and first piece together.
async fn send(
    found: Found,
    part: std::ops::Range<u64>,
    head: &answer::Head<'_>,
    reply: Reply,
    address: &Address,
) -> Result<(), Gone> {
    let mut left = part.end - part.start;
    let mut reading = found.read(part);
    let first = next(&mut reading, &mut left, address).await?;
    if left == 0 {
        return head.whole(reply, first).await;
    }
    let mut sending = head.begin(reply, first).await?;
    loop {
        let piece = next(&mut reading, &mut left, address).await?;
        if left == 0 {
            return sending.finish(piece).await;
        }
        sending.send(piece).await?;
    }
}

/// The next piece of the `left` bytes. A failure drops the reply: 500 before the head, a broken answer after it.
async fn next(reading: &mut Reading, left: &mut u64, address: &Address) -> Result<Bytes, Gone> {
    let read = match reading.next().await {
        Ok(Some(piece)) => Ok(piece),
        Ok(None) if *left == 0 => Ok(Bytes::new()),
        Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) => Err(error),
    };
    let piece = read.map_err(|error| {
        log::error!("object {address} cannot be read: {error}");
        Gone
    })?;
    *left = left.saturating_sub(piece.len() as u64);
    Ok(piece)
}

async fn unreadable(
    address: &Address,
    error: &io::Error,
    request: &RequestHead,
    reply: Reply,
) -> Result<(), Gone> {
    log::error!("object {address} cannot be read: {error}");
    Failure::Internal.answer(request, reply).await
}

#[cfg(test)]
mod tests;
