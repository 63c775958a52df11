//! Where objects are: in memory or in a folder. An object is there whole or not at all.

mod directory;
mod lru;
mod memory;

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use self::directory::{Directory, Opened};
use self::memory::Memory;
use super::Keep;
use crate::object::Address;

/// A store of either kind.
#[derive(Debug)]
pub(super) enum Store {
    Memory(Arc<Memory>),
    Directory(Arc<Directory>),
}

/// Why an upload did not become an object.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The store could never hold it.
    #[error("the object is larger than the store")]
    TooLarge,
    /// Uploads that are under way take all the room.
    #[error("no room for another upload")]
    Full,
    /// It is not what its address says.
    #[error("the bytes are not what their address says")]
    Mismatch,
    /// The folder.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An upload that became an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) address: Address,
    pub(super) size: u64,
    /// It was not there before.
    pub(super) new: bool,
}

impl Store {
    /// Opens the folder, or sets memory aside.
    pub(super) fn open(keep: &Keep) -> io::Result<Self> {
        Ok(match keep {
            Keep::Memory(bound) => Self::Memory(Arc::new(Memory::new(*bound))),
            Keep::Directory(path) => Self::Directory(Arc::new(Directory::open(path)?)),
        })
    }

    /// The object of that address; `to_read` if its content is likely to be read.
    pub(super) async fn find(&self, address: &Address, to_read: bool) -> io::Result<Option<Found>> {
        Ok(match self {
            Self::Memory(memory) => memory.find(address).map(Found::Held),
            Self::Directory(directory) => directory.find(address, to_read).await?.map(Found::File),
        })
    }

    /// Begins an upload, of which `declared` bytes are announced.
    pub(super) fn receive(&self, declared: Option<u64>) -> Receiving {
        match self {
            Self::Memory(memory) => Receiving::Memory(memory::Upload::new(Arc::clone(memory), declared)),
            Self::Directory(directory) => Receiving::Directory(directory::Upload::new(Arc::clone(directory))),
        }
    }
}

/// An object that is there. It stays readable whatever happens to the store.
#[derive(Debug)]
pub(super) enum Found {
    Held(Bytes),
    File(Opened),
}

impl Found {
    /// In bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Held(content) => content.len() as u64,
            Self::File(file) => file.size(),
        }
    }

    /// Reads a part of it, which must lie within.
    pub(super) fn read(self, part: Range<u64>) -> Reading {
        match self {
            Self::Held(content) => {
                let at =
                    |position: u64| usize::try_from(position).map_or(content.len(), |n| n.min(content.len()));
                Reading::Held(Some(content.slice(at(part.start)..at(part.end))))
            }
            Self::File(file) => Reading::File(file.read(part)),
        }
    }
}

/// A part of an object as it is read.
#[derive(Debug)]
pub(super) enum Reading {
    Held(Option<Bytes>),
    File(directory::Reading),
}

impl Reading {
    /// The next piece, `None` behind the last one.
    ///
    /// # Errors
    /// The folder's, or `UnexpectedEof` when the object is shorter than it was.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Held(content) => Ok(content.take().filter(|content| !content.is_empty())),
            Self::File(file) => file.next().await,
        }
    }
}

/// An upload under way. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub(super) enum Receiving {
    Memory(memory::Upload),
    Directory(directory::Upload),
}

impl Receiving {
    /// Takes the next piece.
    pub(super) async fn push(&mut self, piece: Bytes) -> Result<(), Refused> {
        match self {
            Self::Memory(upload) => upload.push(&piece),
            Self::Directory(upload) => upload.push(piece).await,
        }
    }

    /// Makes it an object, if it is the `expected` one.
    pub(super) async fn finish(self, expected: Option<Address>) -> Result<Stored, Refused> {
        match self {
            Self::Memory(upload) => upload.finish(expected),
            Self::Directory(upload) => upload.finish(expected).await,
        }
    }
}

/// Whether what came is what was announced.
fn check(address: Address, expected: Option<Address>) -> Result<(), Refused> {
    if expected.is_none_or(|expected| expected == address) { Ok(()) } else { Err(Refused::Mismatch) }
}

#[cfg(test)]
mod tests;
