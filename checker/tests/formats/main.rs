//! Histories in files of every format; one test program, so that it is linked once.

mod examples;
mod large;
mod loading;
mod properties;
mod rash;
mod recorded;
mod strategies;
mod writing;
