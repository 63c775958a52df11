//! What a server may say to a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_fuzz::bodies::oap_client_input(data));
