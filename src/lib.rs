//! Rashomon: test campaigns against replicated stores.
