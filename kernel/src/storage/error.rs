//! What the kernel refused, and while doing what.

use rustix::io::Errno;

/// An operation on files, mounts or devices that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {}", said(*.errno, .note))]
pub struct Error {
    doing: String,
    errno: Errno,
    note: String,
}

/// The kernel's answer as people know it, with the text that a filesystem added.
fn said(errno: Errno, note: &str) -> String {
    let text = std::io::Error::from(errno).to_string();
    // "No space left on device (os error 28)": the number helps nobody.
    let text = text.split(" (os error").next().unwrap_or_default();
    if note.is_empty() {
        text.to_owned()
    } else {
        format!("{text} ({note})")
    }
}

impl Error {
    /// `doing` says what was being done, with the path: "mount /a/b on /c/d".
    pub fn new(doing: impl Into<String>, errno: Errno) -> Self {
        Self {
            doing: doing.into(),
            errno,
            note: String::new(),
        }
    }

    /// Adds what the kernel said beyond the number.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The kernel's error number.
    pub const fn errno(&self) -> Errno {
        self.errno
    }

    /// Whether the thing was not there.
    pub fn is_missing(&self) -> bool {
        self.errno == Errno::NOENT
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        matches!(self.errno, Errno::NOSPC | Errno::DQUOT)
    }
}
