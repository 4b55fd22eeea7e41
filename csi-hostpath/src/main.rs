//! The storage driver. Nothing yet.

fn main() {}
