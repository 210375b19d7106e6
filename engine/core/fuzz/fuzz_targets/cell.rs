//! Fuzz target: any bytes read as a genotype cell end without panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    genokura_core::codec::cell::drive_cell(bytes);
});
