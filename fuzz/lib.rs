//! What the fuzz targets try, which is what `checker/tests/attacks.rs` tries with bytes that are
//! drawn.

#[path = "../checker/tests/support/attack.rs"]
mod attack;
#[path = "../checker/tests/support/judge.rs"]
mod judge;
#[path = "../checker/tests/support/recording.rs"]
mod recording;

/// Bytes as a history in any format.
pub fn readers(bytes: &[u8]) {
    attack::attack_readers(bytes);
}

/// Bytes as events, written and read back.
pub fn writers(bytes: &[u8]) {
    attack::attack_writers(bytes);
}

/// Bytes as a small history of some model.
pub fn engines(bytes: &[u8]) {
    attack::attack_engines(bytes);
}
