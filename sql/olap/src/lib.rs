//! Analytics over snapshots.
