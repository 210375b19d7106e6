//! Fuzz target: any bytes read as SQL and as parameter values end without panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    genokura_server::session::drive_incoming(bytes);
});
