//! Requests that are wrong, field by field. What fields there are, and which of them are secret, is read from the
//! specification's own definition, so that a field which is added later is covered, or asked for here.
//!
//! Whatever is refused is refused with the code of the specification and a text for people, and leaves the disk as it was.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod calls;
mod fields;
mod ids;
mod limits;
mod links;
mod numbers;
mod paths;
mod secrets;
