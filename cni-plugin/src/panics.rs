//! A bug still gets an answer: the runtime reads an error object, not a stack trace (ERR-1).
//!
//! Where panics unwind, the frame catches them around the verb, so that what the verb made is
//! taken back on the way. Where they abort, as in the release profile, the hook is the last code
//! to run and gives the answer itself.

use crate::output::Answer;
use crate::{Error, Plugin};
use std::any::Any;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process;

/// Replaces what the standard library prints about a panic.
pub fn answer_for(plugin: &'static Plugin) {
    panic::set_hook(Box::new(move |info| {
        let _ = writeln!(io::stderr(), "{}: {}", plugin.name, describe(info));
        if cfg!(panic = "abort") {
            let error = Error::Panicked(describe(info));
            Answer::Failure(error.into(), plugin.newest()).print(plugin);
            process::exit(1);
        }
    }));
}

/// Runs a verb, and makes an error of its panic.
pub fn caught<T>(verb: impl FnOnce() -> Result<T, cni::Error>) -> Result<T, cni::Error> {
    panic::catch_unwind(AssertUnwindSafe(verb)).unwrap_or_else(|payload| {
        let message = message(&*payload).to_owned();
        Err(Error::Panicked(message).into())
    })
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = message(info.payload());
    match info.location() {
        Some(place) => format!("{message} ({}:{})", place.file(), place.line()),
        None => message.to_owned(),
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked")
}
