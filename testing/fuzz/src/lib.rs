//! The bodies of the fuzz targets in `fuzz_targets/`, and the seeds that they start from.

pub mod bodies;
pub mod seeds;
