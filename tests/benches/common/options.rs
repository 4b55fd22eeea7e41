//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The bench that is run, as its command line and its files name it.
#[derive(Debug)]
pub struct Bench {
    /// The script that people start.
    pub script: &'static str,
    /// The report's files, without what comes after the dot.
    pub report: &'static str,
    /// The names of its experiments.
    pub experiments: Vec<&'static str>,
}

impl Bench {
    /// How it is called.
    pub fn usage(&self) -> String {
        let (script, report) = (self.script, self.report);
        let experiments = self.experiments.join(", ");
        format!(
            "\
usage: {script} [--rounds N] [--only EXPERIMENT]... [--quick] [--out DIR]
  --rounds N         rounds of what is quick; 30 unless told
  --only EXPERIMENT  {experiments}; may come several times
  --quick            a few rounds at a small scale: shows that everything works, measures nothing
  --out DIR          write {report}.md and {report}.svg there"
        )
    }

    /// Writes the report and its picture where the options want them.
    pub fn write(&self, options: &Options, text: &str, picture: &str) -> Result<(), String> {
        let Some(dir) = &options.out else {
            return Ok(());
        };
        let write = |path: &Path, content: &str| {
            std::fs::write(path, content).map_err(|e| format!("write {}: {e}", path.display()))
        };
        write(&dir.join(format!("{}.md", self.report)), text)?;
        write(&dir.join(format!("{}.svg", self.report)), picture)
    }
}

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
    pub fn read(words: &[OsString], bench: &Bench) -> Result<Option<Self>, String> {
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
                "--only" => options.only.push(experiment(bench, &value()?)?),
                "--out" => options.out = Some(PathBuf::from(value()?.as_ref())),
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

fn experiment(bench: &Bench, name: &str) -> Result<String, String> {
    if bench.experiments.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(format!("--only {name}: there is no such experiment"))
    }
}
