//! What the test executable said inside of the VM, test by test, read from its console.

use super::root::MARKER;

/// A console's text.
#[derive(Debug)]
pub struct Report(String);

/// How one test ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Well.
    Passed,
    /// Badly, and this is what it said.
    Failed(&'a str),
    /// It is not known; this is the whole console.
    Unknown(&'a str),
}

impl Report {
    /// The report of a run in which the test executable came to its end.
    pub fn of(console: String) -> Result<Self, String> {
        if console.lines().any(|line| line.starts_with(MARKER)) {
            return Ok(Self(console));
        }
        Err(format!(
            "the VM turned itself off before the tests ended; its console:\n{console}"
        ))
    }

    /// How the test of that name ended.
    pub fn verdict(&self, test: &str) -> Verdict<'_> {
        let head = format!("test {test} ... ");
        // The kernel and what runs beside may write in between; the word stands at a line's end all the same.
        let word = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix(head.as_str()));
        match word {
            Some("ok") => Verdict::Passed,
            Some("FAILED") => Verdict::Failed(self.output_of(test).unwrap_or(&self.0)),
            _ => Verdict::Unknown(&self.0),
        }
    }

    /// The section that libtest prints for a failed test.
    fn output_of(&self, test: &str) -> Option<&str> {
        let start = self.0.find(&format!("---- {test} stdout ----"))?;
        let section = &self.0[start..];
        let end = ["\n---- ", "\nfailures:\n"]
            .iter()
            .filter_map(|next| section.find(next))
            .min();
        Some(&section[..end.unwrap_or(section.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "\nrunning 2 tests\ntest good ... ok\ntest of::bad ... FAILED\n\nfailures:\n\n---- of::bad stdout ----\n\
         thread panicked\n\nfailures:\n    of::bad\n\ntest result: FAILED\n";

    #[test]
    fn each_test_has_its_own_verdict() {
        let console = format!("{CONSOLE}{MARKER}101\n");
        let report = Report::of(console.clone()).unwrap();
        assert_eq!(report.verdict("good"), Verdict::Passed);
        assert_eq!(
            report.verdict("of::bad"),
            Verdict::Failed("---- of::bad stdout ----\nthread panicked\n")
        );
        assert_eq!(report.verdict("absent"), Verdict::Unknown(&console));
    }

    #[test]
    fn a_run_without_the_marker_is_none() {
        assert!(
            Report::of(CONSOLE.to_owned())
                .unwrap_err()
                .contains("before the tests ended")
        );
    }
}
