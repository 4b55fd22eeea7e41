//! The one door to Linux. Every other crate says *what* should exist; this one knows how the kernel is asked.
//!
//! It knows neither JSON nor protobuf, starts no program and never prints.

pub mod net;
pub mod storage;
pub mod termination;
pub mod undo;

pub use termination::Termination;
pub use undo::{Step, Undo};
