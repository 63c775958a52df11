//! Raw bytes of clients, right and wrong, each with what must become of them. The tables are used twice: against the
//! cores of the gateway's guards, cut at every byte, and against a real listener.

pub mod http1;
pub mod http2;
