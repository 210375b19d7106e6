//! Fuzz target: any bytes read as a genotype blob end without panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    genokura_core::codec::drive_genotype_row(bytes);
});
