//! Objects in a folder: `ab/cdef…` by the digits of their addresses, and `tmp/` for what is not yet whole.
//!
//! An upload is written to a file of its own, synced, renamed to its place, and the place's folder synced: after a crash
//! it is there whole or not at all, and what was answered as stored is there. What a crash has left in `tmp/` is removed at
//! the next start; a lock on the folder keeps a second process from doing that to a first. Files are read and written on
//! the runtime's blocking threads, a few at a time.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{Refused, Stored, check};
use crate::object::{self, Address};

/// Read and written in pieces of this many bytes.
const PIECE: usize = 256 * 1024;
/// Operations on files at once.
const AT_ONCE: usize = 32;
const TEMPORARY: &str = "tmp";
const LOCK: &str = "lock";

/// A store in a folder.
#[derive(Debug)]
pub(in crate::backend) struct Directory {
    root: PathBuf,
    next: AtomicU64,
    slots: Arc<Semaphore>,
    /// Held for as long as the folder is ours.
    _lock: File,
}

impl Directory {
    /// Makes the folder when needed, and removes what a crash has left.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let told = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", root.display()));
        fs::create_dir_all(root).map_err(told)?;
        let lock = File::create(root.join(LOCK)).map_err(told)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let why = format!("{} is in use by another process", root.display());
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
            }
            Err(fs::TryLockError::Error(e)) => return Err(told(e)),
        }
        prepare(root).map_err(told)?;
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self { root: root.to_owned(), next: AtomicU64::new(0), slots, _lock: lock })
    }

    /// Opens an object. One that is small is read at once, if it is `to_read`.
    pub(super) async fn find(
        self: &Arc<Self>,
        address: &Address,
        to_read: bool,
    ) -> io::Result<Option<Opened>> {
        let path = self.place(address);
        let opened = self.run(move || {
            let mut file = match File::open(path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            };
            let size = file.metadata()?.len();
            let whole = match usize::try_from(size) {
                Ok(len) if len <= PIECE && to_read => Some(read_piece(&mut file, len)?),
                _ => None,
            };
            Ok(Some((file, size, whole)))
        });
        let store = Arc::clone(self);
        Ok(opened.await?.map(|(file, size, whole)| Opened { store, file, size, whole }))
    }

    /// Waits until nothing is done on any thread any more.
    #[cfg(test)]
    pub(super) async fn idle(&self) {
        drop(self.slots.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap());
    }

    fn place(&self, address: &Address) -> PathBuf {
        let text = address.to_string();
        let digits = text.rsplit(':').next().unwrap_or_default();
        let (folder, name) = digits.split_at_checked(2).unwrap_or_default();
        self.root.join(folder).join(name)
    }

    fn temporary(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.root.join(TEMPORARY).join(number.to_string())
    }

    /// Does `work` on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        // The slot belongs to the work and what came of it, also when nobody waits for that any more.
        let (done, slot) =
            tokio::task::spawn_blocking(move || (work(), slot)).await.map_err(io::Error::other)?;
        drop(slot);
        done
    }
}

/// All folders, synced, and nothing in `tmp/`.
fn prepare(root: &Path) -> io::Result<()> {
    let temporary = root.join(TEMPORARY);
    make(&temporary)?;
    for left in fs::read_dir(&temporary)? {
        fs::remove_file(left?.path())?;
    }
    for byte in 0..=u8::MAX {
        make(&root.join(format!("{byte:02x}")))?;
    }
    sync(root)
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn read_piece(file: &mut File, len: usize) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(len);
    let read = file.take(len as u64).read_to_end(&mut piece)?;
    if read == len { Ok(Bytes::from(piece)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Whether the file is the object of that address and size. One that a disk or somebody has damaged is not, and what is
/// uploaded takes its place.
fn is_there(place: &Path, address: &Address, size: u64) -> io::Result<bool> {
    let mut file = match File::open(place) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let mut left = file.metadata()?.len();
    if left != size {
        return Ok(false);
    }
    let mut hash = object::Upload::default();
    while left > 0 {
        let len = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        hash.update(&read_piece(&mut file, len)?);
        left = left.saturating_sub(len as u64);
    }
    Ok(hash.address() == *address)
}

/// An object's open file. Objects never change, so what is read is what was there when it was opened.
#[derive(Debug)]
pub(in crate::backend) struct Opened {
    store: Arc<Directory>,
    file: File,
    size: u64,
    whole: Option<Bytes>,
}

impl Opened {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn read(self, part: Range<u64>) -> Reading {
        let Self { store, file, whole, .. } = self;
        let ready = whole.map(|whole| {
            let at = |position: u64| usize::try_from(position).map_or(whole.len(), |n| n.min(whole.len()));
            whole.slice(at(part.start)..at(part.end))
        });
        let part = if ready.is_some() { 0..0 } else { part };
        Reading { store, file: Some(file), ready, part, placed: false }
    }
}

/// A part of an object's file.
#[derive(Debug)]
pub(in crate::backend) struct Reading {
    store: Arc<Directory>,
    file: Option<File>,
    ready: Option<Bytes>,
    part: Range<u64>,
    placed: bool,
}

impl Reading {
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(ready) = self.ready.take().filter(|ready| !ready.is_empty()) {
            return Ok(Some(ready));
        }
        if self.part.is_empty() {
            return Ok(None);
        }
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let len = usize::try_from(self.part.end - self.part.start).map_or(PIECE, |left| left.min(PIECE));
        let start = (!self.placed).then_some(self.part.start);
        let read = self.store.run(move || {
            if let Some(start) = start {
                file.seek(SeekFrom::Start(start))?;
            }
            let piece = read_piece(&mut file, len)?;
            Ok((file, piece))
        });
        let (file, piece) = read.await?;
        self.file = Some(file);
        self.placed = true;
        self.part.start += len as u64;
        Ok(Some(piece))
    }
}

/// An upload into the folder.
#[derive(Debug)]
pub(in crate::backend) struct Upload {
    store: Arc<Directory>,
    /// What has not been written yet, less than a piece.
    held: Vec<Bytes>,
    held_bytes: usize,
    /// Away while it is being written to; not back after an error.
    written: Option<Box<Written>>,
}

/// What is in the file so far. Nothing is made before there is a piece to write.
#[derive(Debug, Default)]
struct Written {
    file: Option<Temporary>,
    hash: object::Upload,
    size: u64,
}

/// A file in `tmp/`, which goes with this.
#[derive(Debug)]
struct Temporary {
    file: File,
    path: PathBuf,
    placed: bool,
}

impl Upload {
    pub(super) fn new(store: Arc<Directory>) -> Self {
        Self { store, held: Vec::new(), held_bytes: 0, written: Some(Box::default()) }
    }

    pub(super) async fn push(&mut self, piece: Bytes) -> Result<(), Refused> {
        self.held_bytes += piece.len();
        self.held.push(piece);
        if self.held_bytes < PIECE {
            return Ok(());
        }
        let (held, mut written) = self.take()?;
        let path = self.store.temporary();
        let write = self.store.run(move || {
            written.hash(&held);
            written.write(&held, path)?;
            Ok(written)
        });
        self.written = Some(write.await?);
        Ok(())
    }

    pub(super) async fn finish(mut self, expected: Option<Address>) -> Result<Stored, Refused> {
        let (held, mut written) = self.take()?;
        let store = Arc::clone(&self.store);
        let finish = self.store.run(move || {
            written.hash(&held);
            let address = written.hash.address();
            if let Err(refused) = check(address, expected) {
                return Ok(Err(refused));
            }
            let place = store.place(&address);
            let new = !is_there(&place, &address, written.size)?;
            if new {
                written.write(&held, store.temporary())?;
                written.place(&place)?;
            }
            // Also when it was there: whoever put it there may not have come so far yet.
            sync(place.parent().unwrap_or(&store.root))?;
            Ok(Ok(Stored { address, size: written.size, new }))
        });
        finish.await?
    }

    fn take(&mut self) -> io::Result<(Vec<Bytes>, Box<Written>)> {
        self.held_bytes = 0;
        let written = self.written.take().ok_or_else(|| io::Error::other("an earlier write failed"))?;
        Ok((std::mem::take(&mut self.held), written))
    }
}

impl Written {
    fn hash(&mut self, pieces: &[Bytes]) {
        for piece in pieces {
            self.hash.update(piece);
            self.size += piece.len() as u64;
        }
    }

    fn write(&mut self, pieces: &[Bytes], path: PathBuf) -> io::Result<()> {
        let temporary = match &mut self.file {
            Some(temporary) => temporary,
            None => self.file.insert(Temporary::new(path)?),
        };
        pieces.iter().try_for_each(|piece| temporary.file.write_all(piece))
    }

    fn place(&mut self, place: &Path) -> io::Result<()> {
        let Some(temporary) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        temporary.file.sync_all()?;
        fs::rename(&temporary.path, place)?;
        temporary.placed = true;
        Ok(())
    }
}

impl Temporary {
    fn new(path: PathBuf) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(Self { file, path, placed: false })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            drop(fs::remove_file(&self.path));
        }
    }
}
