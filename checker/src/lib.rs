//! Histories, sequential models, and the question whether one order explains what clients saw.

pub mod history;
pub mod model;
