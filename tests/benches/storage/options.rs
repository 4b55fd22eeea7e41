//! The command line.

use crate::experiments;
use std::path::PathBuf;

pub const USAGE: &str = "\
usage: scripts/bench-csi [--rounds N] [--only EXPERIMENT]... [--quick] [--out DIR]
  --rounds N         rounds of what is quick; 30 unless told
  --only EXPERIMENT  primitives, growth, subvolumes, use, stats, copies; may come several times
  --quick            a few rounds at a small scale: shows that everything works, measures nothing
  --out DIR          write bench-csi.md and bench-csi.svg there";

/// What was asked for.
#[derive(Debug)]
pub struct Options {
    /// Rounds of what is quick.
    pub rounds: usize,
    /// Small numbers of everything.
    pub quick: bool,
    /// Where the report goes, beside standard output.
    pub out: Option<PathBuf>,
    only: Vec<String>,
}

impl Options {
    /// None when cargo runs all targets as tests: a bench is none.
    pub fn read(words: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self {
            rounds: 0,
            quick: false,
            out: None,
            only: Vec::new(),
        };
        let mut benching = false;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word.as_str() {
                "--bench" => benching = true,
                "--quick" => options.quick = true,
                "--rounds" => options.rounds = number(value()?)?,
                "--only" => options.only.push(experiment(value()?)?),
                "--out" => options.out = Some(PathBuf::from(value()?)),
                _ => return Err(format!("{word} is no option")),
            }
        }
        if options.rounds == 0 {
            options.rounds = options.scale(30, 3);
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
    let known = experiments::ALL.iter().any(|known| known.name == name);
    known
        .then(|| name.to_owned())
        .ok_or_else(|| format!("--only {name}: there is no such experiment"))
}
