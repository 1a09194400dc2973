//! Faults as data, when they strike, and the hands that carry them out.
