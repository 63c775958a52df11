//! Who is taken for whom, and where from.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

mod clients;
mod ladder;
mod model;

/// Fields of a request.
fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn network(text: &str) -> Network {
    let (ip, prefix) = text.split_once('/').unwrap_or((text, "128"));
    Network::new(ip.parse().unwrap(), prefix.parse().unwrap())
}

fn digest(key: &str) -> [u8; 32] {
    *blake3::hash(key.as_bytes()).as_bytes()
}
