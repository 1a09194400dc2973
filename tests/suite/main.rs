//! End to end, over the real binary; one test program, so that it is linked once.

mod check;
mod runs;
mod support;
