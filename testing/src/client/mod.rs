//! Clients that say exactly what they got: above all whether an answer was whole.

mod answer;
mod http1;
mod http2;
mod pace;
mod request;

pub use answer::{Answer, Body};
pub use http1::{Http1, Incoming};
pub use http2::{Http2, Upload};
pub use pace::Pace;
pub use request::Request;
