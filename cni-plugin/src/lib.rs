//! The frame around a CNI plugin: environment and stdin in, dispatch, delegation, JSON and exit
//! code out.
//!
//! A plugin is a [`Plugin`]: five functions and what to say about itself; its `main.rs` hands that
//! to [`main`]. The functions see a [`Request`] in which everything the specification asks of the
//! caller is already checked, and they never print: what they return is written by the frame, in
//! the version that the configuration asks for.

mod delegate;
mod environment;
mod error;
mod input;
mod netns;
mod output;
mod panics;
mod plugin;
mod request;
mod run;

pub use cni::Verb;
pub use delegate::{DELEGATE_DEADLINE, Delegate, Running};
pub use environment::{Call, Environment};
pub use error::Error;
pub use plugin::{Plugin, Siblings};
pub use request::Request;
pub use run::{main, main_among};
