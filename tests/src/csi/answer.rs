//! Judging the answers to calls.

use std::fmt::{Debug, Display};
use tonic::{Code, Status};

/// The longest text of an error, in bytes: events and conditions of Kubernetes cut off what is longer.
const LONGEST: usize = 1024;

/// The answer to a call.
pub trait Answer {
    /// Fails the test unless `call` was refused with this code and for a reason that names `names`. The reason has to be
    /// fit for people (G-09): a line without anything unprintable, and no details besides.
    fn refused(self, call: impl Display, code: Code, names: &str);
}

impl<T: Debug> Answer for Result<T, Status> {
    #[track_caller]
    fn refused(self, call: impl Display, code: Code, names: &str) {
        let status = match self {
            Ok(answer) => panic!("{call}: {answer:?}, and not {code:?}"),
            Err(status) => status,
        };
        let text = status.message();
        assert_eq!(status.code(), code, "{call}: {text:?}");
        assert!(text.contains(names), "{call}: no {names:?} in {text:?}");
        assert!(
            !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control),
            "{call}: not fit for people: {text:?}"
        );
        assert!(status.details().is_empty(), "{call}: {status:?}");
    }
}
