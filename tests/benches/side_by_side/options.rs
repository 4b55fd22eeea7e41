//! The command line.

use crate::experiments;
use std::ffi::OsString;
use std::path::PathBuf;

pub const USAGE: &str = "\
usage: scripts/bench [--rounds N] [--only EXPERIMENT]... [--quick] [--out DIR]
  --rounds N         rounds of each experiment; 30 unless told
  --only EXPERIMENT  start, plain, masquerade, store, full, parallel, growth, weight; may come several times
  --quick            a few rounds at a small scale: shows that everything works, measures nothing
  --out DIR          write bench.md and bench.svg there";

/// What was asked for.
#[derive(Debug)]
pub struct Options {
    /// Rounds of each experiment.
    pub rounds: usize,
    /// Small numbers of everything.
    pub quick: bool,
    /// Where the report goes, beside standard output.
    pub out: Option<PathBuf>,
    only: Vec<String>,
}

impl Options {
    /// None when cargo runs all targets as tests: a bench is none.
    pub fn read(words: &[OsString]) -> Result<Option<Self>, String> {
        let mut options = Self {
            rounds: 0,
            quick: false,
            out: None,
            only: Vec::new(),
        };
        let mut benching = false;
        let mut words = words.iter().map(|word| word.to_string_lossy());
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word.as_ref() {
                "--bench" => benching = true,
                "--quick" => options.quick = true,
                "--rounds" => options.rounds = number(&value()?)?,
                "--only" => options.only.push(experiment(&value()?)?),
                "--out" => options.out = Some(PathBuf::from(value()?.as_ref())),
                _ => return Err(format!("{word} is no option")),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 3 } else { 30 };
        }
        Ok(benching.then_some(options))
    }

    /// Whether an experiment was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }

    /// `full` of something, or `small` in a quick run.
    pub const fn scale(&self, full: usize, small: usize) -> usize {
        if self.quick { small } else { full }
    }
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("--rounds {text}: say a number of rounds, as 30")),
    }
}

fn experiment(name: &str) -> Result<String, String> {
    let known = experiments::ALL
        .iter()
        .any(|experiment| experiment.name == name);
    if known {
        Ok(name.to_owned())
    } else {
        Err(format!("--only {name}: there is no such experiment"))
    }
}
