use std::fs;
use std::future::poll_fn;
use std::path::Path;
use std::task::Poll;

use proptest::prelude::*;

use super::lru::{Lru, OVERHEAD};
use super::*;

fn bytes(len: usize, seed: u8) -> Bytes {
    (0..len).map(|n| n.to_le_bytes()[0].wrapping_mul(31).wrapping_add(seed)).collect()
}

async fn put(store: &Store, content: &Bytes) -> Result<Stored, Refused> {
    let mut receiving = store.receive(Some(content.len() as u64));
    for piece in content.chunks(50_000) {
        receiving.push(content.slice_ref(piece)).await?;
    }
    receiving.finish(None).await
}

async fn read(store: &Store, address: &Address, part: Range<u64>) -> Option<Vec<u8>> {
    let mut reading = store.find(address, true).await.unwrap()?.read(part);
    let mut all = Vec::new();
    while let Some(piece) = reading.next().await.unwrap() {
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    Some(all)
}

/// Files below a folder, the lock aside.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|file| format!("{name}/{file}")));
        } else if name != "lock" {
            found.push(name);
        }
    }
    found
}

#[tokio::test]
async fn either_store_gives_back_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    for keep in [Keep::Memory(16 << 20), Keep::Directory(folder.path().join("made"))] {
        let store = Store::open(&keep).unwrap();
        for len in [0, 1, 49_999, 256 * 1024, 256 * 1024 + 1, 3_000_000] {
            let content = bytes(len, 1);
            let address = Address::of(&content);
            assert!(store.find(&address, true).await.unwrap().is_none());
            let expected = Stored { address, size: len as u64, new: true };
            assert_eq!(put(&store, &content).await.unwrap(), expected);
            assert_eq!(put(&store, &content).await.unwrap(), Stored { new: false, ..expected });
            assert_eq!(store.find(&address, false).await.unwrap().unwrap().size(), len as u64);
            let size = len as u64;
            for part in [0..size, 0..size / 2, size / 3..size, size.saturating_sub(1)..size, 0..0] {
                let range = usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap();
                assert_eq!(read(&store, &address, part).await.unwrap(), &content[range], "{len}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_what_its_address_says_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    for keep in [Keep::Memory(16 << 20), Keep::Directory(folder.path().to_owned())] {
        let store = Store::open(&keep).unwrap();
        for len in [10, 600_000] {
            let (right, wrong) = (bytes(len, 1), bytes(len, 2));
            let mut receiving = store.receive(None);
            receiving.push(wrong.clone()).await.unwrap();
            let refused = receiving.finish(Some(Address::of(&right))).await;
            assert!(matches!(refused, Err(Refused::Mismatch)), "{refused:?}");
            for address in [Address::of(&right), Address::of(&wrong)] {
                assert!(store.find(&address, true).await.unwrap().is_none());
            }
        }
        if let Store::Memory(memory) = &store {
            assert_eq!(memory.used(), 0);
        }
    }
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_damaged_object_is_replaced_by_the_next_upload_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Keep::Directory(folder.path().to_owned())).unwrap();
    for len in [8, 600_000] {
        let content = bytes(len, 1);
        let address = put(&store, &content).await.unwrap().address;
        let digits = address.to_string().split_off("b3:".len());
        let file = folder.path().join(&digits[..2]).join(&digits[2..]);
        let mut flipped = content.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [&[][..], &content[..len / 2], &flipped] {
            std::fs::write(&file, damaged).unwrap();
            assert!(put(&store, &content).await.unwrap().new, "{len}: {} bytes", damaged.len());
            assert_eq!(read(&store, &address, 0..len as u64).await.unwrap(), content);
            assert!(!put(&store, &content).await.unwrap().new);
        }
    }
}

#[tokio::test]
async fn uploads_count_against_the_bound_while_they_grow_and_no_longer_when_they_end() {
    let store = Store::open(&Keep::Memory(1 << 20)).unwrap();
    let Store::Memory(memory) = &store else { panic!("memory") };
    let kept = put(&store, &bytes(100_000, 1)).await.unwrap().address;
    let mut first = store.receive(None);
    first.push(bytes(600_000, 2)).await.unwrap();
    assert!(memory.used() > 700_000);
    // What is announced is not believed: nothing is set aside, nothing goes.
    let announced = store.receive(Some(1 << 20));
    assert!(memory.find(&kept).is_some());
    drop(announced);
    // Not even evicting everything would make room beside the first.
    let mut second = store.receive(None);
    assert!(matches!(second.push(bytes(600_000, 3)).await, Err(Refused::Full)));
    assert!(memory.find(&kept).is_some(), "nothing goes for an upload that cannot be");
    let mut huge = store.receive(None);
    assert!(matches!(huge.push(bytes(1 << 20, 3)).await, Err(Refused::TooLarge)));
    drop((first, second, huge));
    assert_eq!(memory.used(), 100_000 + OVERHEAD);
    put(&store, &bytes(1_000_000, 3)).await.unwrap();
    assert!(memory.find(&kept).is_none(), "the least recently used goes for it");
    assert_eq!(memory.used(), 1_000_000 + OVERHEAD);
}

#[tokio::test]
async fn a_folder_never_shows_a_part_of_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Keep::Directory(folder.path().to_owned())).unwrap();
    let content = bytes(1_500_000, 1);
    let address = Address::of(&content);
    let hex = address.to_string()[3..].to_owned();
    let place = folder.path().join(&hex[..2]).join(&hex[2..]);
    let mut receiving = store.receive(None);
    for piece in content.chunks(100_000) {
        receiving.push(content.slice_ref(piece)).await.unwrap();
        assert!(!place.exists() && store.find(&address, true).await.unwrap().is_none());
    }
    // Most of it is in a file already; given up, it leaves nothing.
    let left = files(folder.path());
    assert!(left.len() == 1 && left[0].starts_with("tmp/"), "{left:?}");
    drop(receiving);
    assert_eq!(files(folder.path()), [""; 0]);

    // Many at once, of the same and of others, with readers in between: whole or not at all.
    let store = Arc::new(store);
    let writers: Vec<_> = (0..12u8)
        .map(|n| {
            let (store, content) = (Arc::clone(&store), bytes(1_500_000, n % 3));
            tokio::spawn(async move { put(&store, &content).await.unwrap().address })
        })
        .collect();
    let addresses: Vec<_> = (0..3).map(|seed| Address::of(&bytes(1_500_000, seed))).collect();
    let mut seen = 0;
    while seen < 3 {
        seen = 0;
        for (address, seed) in addresses.iter().zip(0..) {
            if let Some(whole) = read(&store, address, 0..1_500_000).await {
                assert!(whole == bytes(1_500_000, seed));
                seen += 1;
            }
        }
    }
    for writer in writers {
        assert!(addresses.contains(&writer.await.unwrap()));
    }
    assert_eq!(files(folder.path()).len(), 3);
}

#[test]
fn an_upload_that_is_dropped_while_it_is_being_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&Keep::Directory(folder.path().to_owned())).unwrap();
        let mut receiving = store.receive(None);
        receiving.push(bytes(300_000, 1)).await.unwrap();
        // The only thread that writes waits for us.
        let (go, gone) = std::sync::mpsc::channel();
        let busy = tokio::task::spawn_blocking(move || gone.recv().unwrap());
        {
            let mut push = std::pin::pin!(receiving.push(bytes(300_000, 2)));
            assert!(poll_fn(|cx| Poll::Ready(push.as_mut().poll(cx).is_pending())).await);
        }
        // The next one says so instead of storing a gap.
        assert!(matches!(receiving.push(bytes(300_000, 3)).await, Err(Refused::Io(_))));
        drop(receiving);
        go.send(()).unwrap();
        busy.await.unwrap();
        let Store::Directory(directory) = &store else { panic!("a folder") };
        directory.idle().await;
    });
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_start_removes_what_a_crash_has_left_and_keeps_what_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::Directory(folder.path().to_owned());
    let content = bytes(300_000, 1);
    let store = Store::open(&keep).unwrap();
    let address = put(&store, &content).await.unwrap().address;
    let in_use = Store::open(&keep).unwrap_err();
    assert_eq!(in_use.kind(), io::ErrorKind::ResourceBusy);
    fs::write(folder.path().join("tmp/0"), "half an object").unwrap();
    drop(store);
    let store = Store::open(&keep).unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    assert_eq!(read(&store, &address, 0..300_000).await.unwrap(), content);
    // The number of what was left is free again.
    put(&store, &bytes(300_000, 2)).await.unwrap();
}

#[tokio::test]
async fn an_object_that_was_cut_is_never_read_as_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Keep::Directory(folder.path().to_owned())).unwrap();
    let address = put(&store, &bytes(1_000_000, 1)).await.unwrap().address;
    let found = store.find(&address, true).await.unwrap().unwrap();
    let file = files(folder.path()).remove(0);
    fs::File::options().write(true).open(folder.path().join(file)).unwrap().set_len(300_000).unwrap();
    let mut reading = found.read(0..1_000_000);
    assert_eq!(reading.next().await.unwrap().unwrap().len(), 256 * 1024);
    assert_eq!(reading.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

/// What an LRU list should do, the slow way: oldest first.
#[derive(Default)]
struct Model(Vec<(Address, u64)>);

impl Model {
    fn used(&self) -> u64 {
        self.0.iter().map(|(_, charge)| charge).sum()
    }

    fn touch(&mut self, address: &Address) -> bool {
        let Some(at) = self.0.iter().position(|(known, _)| known == address) else { return false };
        let entry = self.0.remove(at);
        self.0.push(entry);
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    Find(u8),
    Insert(u8, u16),
    /// Reserved and given back.
    Abandon(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..24u8).prop_map(Step::Find),
        (0..24u8, 0..3_000u16).prop_map(|(key, size)| Step::Insert(key, size)),
        (0..6_000u16).prop_map(Step::Abandon),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn the_list_holds_what_was_used_last_within_its_bound(steps in steps(), bound in 1_000..20_000u64) {
        let mut lru = Lru::new(bound);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Find(key) => {
                    let address = Address::of(&[key]);
                    prop_assert_eq!(lru.find(&address).is_some(), model.touch(&address));
                }
                Step::Insert(key, size) => {
                    let charge = u64::from(size) + OVERHEAD;
                    let reserved = lru.reserve(charge).is_some();
                    prop_assert_eq!(reserved, charge <= bound);
                    if !reserved {
                        continue;
                    }
                    while model.used() + charge > bound {
                        model.0.remove(0);
                    }
                    let address = Address::of(&[key]);
                    let new = !model.touch(&address);
                    if new {
                        model.0.push((address, charge));
                    }
                    prop_assert_eq!(lru.insert(address, Bytes::from(vec![key; usize::from(size)]), charge), new);
                }
                Step::Abandon(bytes) => {
                    let bytes = u64::from(bytes);
                    if lru.reserve(bytes).is_some() {
                        while model.used() + bytes > bound {
                            model.0.remove(0);
                        }
                        prop_assert!(lru.used() <= bound);
                        lru.release(bytes);
                    } else {
                        prop_assert!(bytes > bound);
                    }
                }
            }
            prop_assert!(lru.used() <= bound);
            prop_assert_eq!(lru.used(), model.used());
            let expected: Vec<_> = model.0.iter().rev().map(|(address, _)| *address).collect();
            prop_assert_eq!(lru.addresses(), expected);
        }
    }
}

#[test]
fn an_object_is_charged_for_what_it_takes_beside_its_bytes() {
    assert!(Lru::entry_size() <= OVERHEAD, "{} bytes", Lru::entry_size());
}
