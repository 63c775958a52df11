//! A request over either version of HTTP, so that a test says once what must hold for both.

use gateway_testing::Gateway;
use gateway_testing::client::{Answer, Http1, Http2, Request};

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// One request on a connection of its own.
    pub async fn ask(self, gateway: &Gateway, request: &Request) -> Answer {
        match self {
            Self::Http1 => Http1::connect(gateway.address("public")).await.request(request).await,
            Self::Http2 => Http2::connect(gateway.address("public")).await.request(request).await,
        }
    }
}
