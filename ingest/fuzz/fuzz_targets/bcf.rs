//! Fuzz target: any bytes read as BCF records end without panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = genokura_ingest::fuzz::bcf(bytes);
});
