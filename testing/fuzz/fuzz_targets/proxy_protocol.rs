//! The beginning of a connection from a proxy.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_fuzz::bodies::proxy_protocol(data));
