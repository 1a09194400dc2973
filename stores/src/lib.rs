//! The systems under test.
