//! What watches a connection's bytes before anybody parses them, as sans-IO cores.
//!
//! | core | watches | says |
//! |---|---|---|
//! | [`http1`] | the bytes of an HTTP/1 client | what may go on to the parser: whole, checked heads, and exactly their bodies |
//! | [`http2`] | the bytes of an HTTP/2 client | when frames come that only cost, or a head that does not end |
//! | [`progress`] | bytes moved, one direction | when they are too few for the time |
//! | [`heads`] | unfinished heads of the process | which to cut when they are too many bytes together |
//! | [`unread`] | bytes of HTTP/2 bodies that nobody has read | which connections hold too much of them |
//! | [`handshakes`] | TLS handshakes under way | which to give up for another |
//! | [`connections`] | open connections | whether one more may be opened, in all and from its address |
//!
//! Nothing here reads a socket or a clock, answers, logs or counts: the accept loop does. Nothing here routes or reads
//! a body: what passes is what a parser behind it can read in one way only.

pub mod connections;
pub mod handshakes;
pub mod heads;
pub mod http1;
pub mod http2;
pub mod progress;
pub mod unread;
