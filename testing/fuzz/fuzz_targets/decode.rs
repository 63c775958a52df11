//! An encoded body on its way through the decode guard.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_fuzz::bodies::decode(data));
