//! What watches a connection's bytes before anybody parses them, as sans-IO cores.
//!
//! | core | watches | says |
//! |---|---|---|
//! | [`http1`] | the bytes of an HTTP/1 client | what may go on to the parser: whole, checked heads, and exactly their bodies |
//! | [`http2`] | the bytes of an HTTP/2 client | when frames come that only cost, or a head that does not end |
//!
//! Nothing here reads a socket or a clock, answers, logs or counts: the accept loop does. Nothing here routes or reads
//! a body: what passes is what a parser behind it can read in one way only.

pub mod http1;
pub mod http2;
