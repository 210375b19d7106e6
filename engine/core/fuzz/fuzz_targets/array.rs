//! Fuzz target: any bytes read as a FORMAT array blob end without panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    genokura_core::codec::array::drive_array_row(bytes);
});
