//! What a client may say to a server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_fuzz::bodies::oap_server_input(data));
