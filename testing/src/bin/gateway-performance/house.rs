//! What the runs start: the gateway on `testing/open.yaml`, and what stands behind it.

use std::path::PathBuf;

use gateway_testing::Gateway;
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::process::Process;

/// The configuration that all loads share.
const OPEN: &str = include_str!("../../../open.yaml");

/// A program that was built into the same folder as this one.
pub fn beside(name: &str) -> String {
    let here: PathBuf = std::env::current_exe().expect("a path of this program");
    let path = here.with_file_name(name);
    assert!(path.exists(), "{} is not built", path.display());
    path.to_str().expect("a path of text").to_owned()
}

/// The gateway, in front of an OAP/1 service and an HTTP/1.1 origin.
pub async fn gateway(oap: &Address, http1: &Address, workers: &str) -> Gateway {
    let free = "127.0.0.1:0";
    Gateway::builder(&beside("svc-gateway"))
        .config(OPEN)
        .environment("PUBLIC", free)
        .environment("ADMIN", free)
        .environment("WORKERS", workers)
        .environment("OAP_BACKEND", &oap.to_string())
        .environment("HTTP1_ORIGIN", &http1.to_string())
        .start()
        .await
}

/// `svc-gateway backend` as a process of its own, and where it listens.
pub async fn backend() -> (Process, Address) {
    let process = Process::spawn(&beside("svc-gateway"), &["backend", "--listen", "127.0.0.1:0"], &[]);
    let address = process.listening("backend").await;
    (process, address)
}

/// The HTTP/1.1 origin as a process of its own, and where it listens.
pub async fn origin_process() -> (Process, Address) {
    let process = Process::spawn(&beside("gateway-performance"), &["origin"], &[]);
    let address = process.listening("origin").await;
    (process, address)
}

/// The origin itself: says where it listens as the gateway does, and serves until it is killed.
pub fn origin() -> bool {
    let origin = Origin::http1(2);
    let address = origin.address();
    eprintln!("{{\"event\":\"listening\",\"listener\":\"origin\",\"address\":\"{address}\"}}");
    loop {
        std::thread::park();
    }
}

/// The TCP address behind an [`Address`].
pub fn tcp(address: &Address) -> std::net::SocketAddr {
    match address {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("{} is no TCP address", path.display()),
    }
}

/// A runtime for what has to be awaited before and between the loads.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
