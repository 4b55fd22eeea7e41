//! From a call to its answer: environment, stdin, version, namespace, and then the verb.

use crate::output::{self, Answer};
use crate::{Call, Environment, Error, Plugin, Request, Siblings, input, panics};
use cni::{Verb, Version, declared_version};
use std::process::ExitCode;
use std::sync::Arc;

/// Serves the one request that this process was started for.
///
/// Reads the environment and stdin, calls the verb's function, prints, and says how to exit: 0,
/// or 1 with an error object on stdout.
pub fn main(plugin: &'static Plugin) -> ExitCode {
    main_among(plugin, &[])
}

/// The same in an executable that is also all of `siblings`: a delegate that turns out to be this very file is not
/// started as a process, but answers in this one.
pub fn main_among(plugin: &'static Plugin, siblings: Siblings) -> ExitCode {
    panics::answer_for(plugin);
    let environment = Environment::of_process();
    answer(plugin, siblings, &environment, input::read).print(plugin)
}

/// The answer to a call; `stdin` is read only for a call that is sound so far.
pub(crate) fn answer(
    plugin: &Plugin,
    siblings: Siblings,
    environment: &Environment,
    stdin: impl Fn(Verb) -> Result<Vec<u8>, Error>,
) -> Answer {
    if environment.is_empty() && nothing_offered(&stdin) {
        return Answer::About;
    }
    let read = Call::read(environment).and_then(|call| {
        let stdin = stdin(call.verb)?;
        Ok((call, stdin))
    });
    match read {
        Err(error) => Answer::Failure(error.into(), plugin.newest()),
        Ok((call, stdin)) if call.verb == Verb::Version => {
            Answer::Versions(output::versions(plugin, declared_version(&stdin)))
        }
        Ok((call, stdin)) => serve(plugin, siblings, call, stdin.into()),
    }
}

/// Whether no configuration came either: somebody started the plugin to see what it is. A runtime that forgot every
/// variable is told so instead.
fn nothing_offered(stdin: impl Fn(Verb) -> Result<Vec<u8>, Error>) -> bool {
    stdin(Verb::Version).is_ok_and(|offered| offered.is_empty())
}

fn serve(plugin: &Plugin, siblings: Siblings, call: Call, stdin: Arc<[u8]>) -> Answer {
    let request = Request::new(call, Arc::clone(&stdin), plugin.versions);
    let request = request.map(|request| request.among(siblings));
    let checked = request.and_then(|request| match plugin.enters_netns {
        true => request.with_settled_netns(),
        false => Ok(request),
    });
    let done = match checked {
        Ok(request) => dispatch(plugin, &request),
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| {
        let version = spoken(&stdin).unwrap_or_else(|| plugin.newest());
        Answer::Failure(error, version)
    })
}

/// The version that the caller understands, as far as the configuration tells.
fn spoken(stdin: &[u8]) -> Option<Version> {
    declared_version(stdin)?.parse().ok()
}

fn dispatch(plugin: &Plugin, request: &Request) -> Result<Answer, cni::Error> {
    let done = |()| Answer::Done;
    match request.verb() {
        Verb::Add => add(plugin, request),
        Verb::Del => panics::caught(|| (plugin.del)(request)).map(done),
        Verb::Check => panics::caught(|| (plugin.check)(request)).map(done),
        Verb::Gc => panics::caught(|| (plugin.gc)(request)).map(done),
        Verb::Status => panics::caught(|| (plugin.status)(request)).map(done),
        Verb::Version => Ok(Answer::Done),
    }
}

fn add(plugin: &Plugin, request: &Request) -> Result<Answer, cni::Error> {
    let result = panics::caught(|| (plugin.add)(request))?;
    let told = result.to_json(request.config().version());
    told.map(Answer::Result).map_err(|error| {
        // An ADD that fails leaves nothing, also when only its result cannot be told. The first
        // error is the one to report.
        let _ = panics::caught(|| (plugin.del)(request));
        error.into()
    })
}

#[cfg(test)]
mod tests;
