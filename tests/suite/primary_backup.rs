//! The example of a store of one's own does what it says.

use rashomon::sim::shrink::{Size, Symptom};

#[path = "../../examples/primary_backup.rs"]
mod example;

#[test]
fn the_naive_primary_backup_is_caught_and_shrunk() {
    let shrunk = example::hunt().expect("it is caught");
    assert!(matches!(shrunk.symptom, Symptom::Anomaly(_)), "{:?}", shrunk.symptom);
    let size = Size::of(&shrunk.run.scenario);
    assert!(size.operations <= 4 && size.faults <= 1, "{size:?}");
    example::main().expect("and told of");
}
