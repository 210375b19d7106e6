//! Fuzz target: a start-up packet and any sequence of messages to a server; it answers, ends the connection and goes on.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    genokura_server::pgwire::fuzzing::drive_messages(bytes);
});
