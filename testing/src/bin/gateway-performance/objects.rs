//! Real input: the files of a folder, each stored through the gateway and read back at once, by many clients.
//!
//! The gateway runs on its defaults, with its embedded store; half of the clients speak HTTP/1.1, half HTTP/2.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use gateway_testing::client::{Answer, Http1, Http2, Request};
use gateway_testing::net::Address;
use gateway_testing::{Gateway, conf};

use crate::house;

/// The largest object that the defaults take, in bytes.
const MAX: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Whose files.
    #[arg(default_value = "/usr/share/doc")]
    folder: PathBuf,
    /// Clients at once.
    #[arg(long, default_value_t = 32)]
    clients: usize,
}

#[derive(Default)]
struct Tally {
    next: AtomicUsize,
    files: AtomicUsize,
    bytes: AtomicU64,
    wrong: AtomicUsize,
}

enum Client {
    One(Http1),
    Two(Http2),
}

impl Client {
    async fn connect(address: &Address, two: bool) -> Self {
        if two { Self::Two(Http2::connect(address).await) } else { Self::One(Http1::connect(address).await) }
    }

    async fn request(&mut self, request: &Request) -> Answer {
        match self {
            Self::One(client) => client.request(request).await,
            Self::Two(client) => client.request(request).await,
        }
    }
}

pub fn run(arguments: &Arguments) -> bool {
    let files = Arc::new(files(&arguments.folder));
    let runtime = house::runtime();
    let config = conf::minimal()
        .set("log.access", "off")
        .embedded_cluster("objects")
        .object_routes("objects")
        // Faster than one client is usually let ask.
        .set("danger_ok", "[limits.rate]")
        .set("limits", "{ rate: 1000000/s, burst: 1000000, per_address: { rate: none } }");
    let gateway = runtime.block_on(Gateway::start(&house::beside("svc-gateway"), &config.yaml()));
    let address = gateway.address("public");
    let tally = Arc::new(Tally::default());
    let started = Instant::now();
    let clients: Vec<_> = (0..arguments.clients)
        .map(|n| runtime.spawn(client(address.clone(), n % 2 == 1, Arc::clone(&files), Arc::clone(&tally))))
        .collect();
    for client in clients {
        runtime.block_on(client).expect("a client that lives");
    }
    let (stored, wrong) = (tally.files.load(Ordering::Relaxed), tally.wrong.load(Ordering::Relaxed));
    println!(
        "{stored} of {} files of {} (at most 1 MiB each), {} bytes, stored and read back by {} clients in {:.1} s: \
         {wrong} wrong",
        files.len(),
        arguments.folder.display(),
        tally.bytes.load(Ordering::Relaxed),
        arguments.clients,
        started.elapsed().as_secs_f64(),
    );
    wrong == 0 && stored > 0 && stored == files.len()
}

async fn client(address: Address, two: bool, files: Arc<Vec<PathBuf>>, tally: Arc<Tally>) {
    let mut client = Client::connect(&address, two).await;
    while let Some(path) = files.get(tally.next.fetch_add(1, Ordering::Relaxed)) {
        let content = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        match round_trip(&mut client, &content).await {
            Ok(()) => {
                tally.files.fetch_add(1, Ordering::Relaxed);
                tally.bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
            }
            Err(why) => {
                println!("{}: {why}", path.display());
                tally.wrong.fetch_add(1, Ordering::Relaxed);
                // What went wrong may have ended the connection.
                client = Client::connect(&address, two).await;
            }
        }
    }
}

/// Stores and reads back; the address is reckoned here, not taken from the answer.
async fn round_trip(client: &mut Client, content: &[u8]) -> Result<(), String> {
    let address = format!("b3:{}", blake3::hash(content).to_hex());
    let stored = client.request(&Request::post("/api/put", content.to_vec())).await;
    if !stored.looks_whole() || stored.json()["addr"] != address.as_str() {
        return Err(format!("not stored as {address}: {stored:?}"));
    }
    let read = client.request(&Request::get(&format!("/o/{address}"))).await;
    if read.status != 200 || !read.body.complete || read.body.bytes != content {
        return Err(format!("not what was stored: {read:?}"));
    }
    Ok(())
}

/// Readable files of at most [`MAX`] bytes below a folder; links are not followed.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (VecDeque::from([folder.to_owned()]), Vec::new());
    while let Some(folder) = folders.pop_front() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, Ok(found)) = (entry.path(), entry.metadata()) else { continue };
            if found.is_dir() {
                folders.push_back(path);
            } else if found.is_file() && found.len() <= MAX && std::fs::File::open(&path).is_ok() {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_and_large_ones_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("small"), "x").unwrap();
        std::fs::write(folder.path().join("empty"), "").unwrap();
        std::fs::File::create(below.join("large")).unwrap().set_len(MAX + 1).unwrap();
        std::os::unix::fs::symlink(&below, folder.path().join("link")).unwrap();
        assert_eq!(files(folder.path()), [below.join("small"), folder.path().join("empty")]);
    }
}
