//! Readers never panic, whatever bytes they get, and agree with each other.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rashomon_fuzz::readers(bytes));
