//! What was ever installed in a folder: names and sums, by which ours are told from others'.

use super::Error;
use super::files::Files;
use std::collections::BTreeSet;

const FILE: &str = "record";
const NAME: &str = "name ";
const SUM: &str = "sha256 ";

/// The record of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    names: BTreeSet<String>,
    sums: BTreeSet<String>,
}

impl Record {
    /// Reads the record; one that is missing is empty.
    pub fn read(files: &Files) -> Result<Self, Error> {
        Ok(Self::parse(&files.read_own(FILE)?.unwrap_or_default()))
    }

    /// Writes it, whole.
    pub fn write(&self, files: &Files) -> Result<(), Error> {
        files.write_own(FILE, &self.text())
    }

    /// Adds a version and the names it goes by.
    pub fn add<'a>(&mut self, sum: &str, names: impl Iterator<Item = &'a str>) {
        self.sums.insert(sum.to_owned());
        self.names.extend(names.map(str::to_owned));
    }

    /// Whether a file of this sum is ours.
    pub fn knows(&self, sum: &str) -> bool {
        self.sums.contains(sum)
    }

    /// Every name that was installed.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            // A name goes into a path.
            if let Some(name) = line.strip_prefix(NAME).filter(|name| is_plain(name)) {
                record.names.insert(name.to_owned());
            } else if let Some(sum) = line.strip_prefix(SUM) {
                record.sums.insert(sum.to_owned());
            }
        }
        record
    }

    fn text(&self) -> String {
        let names = self.names.iter().map(|name| format!("{NAME}{name}\n"));
        let sums = self.sums.iter().map(|sum| format!("{SUM}{sum}\n"));
        names.chain(sums).collect()
    }
}

fn is_plain(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut record = Record::default();
        record.add("00ff", ["bridge", "host-local"].into_iter());
        record.add("11aa", ["portmap"].into_iter());
        assert_eq!(Record::parse(&record.text()), record);
        assert!(record.knows("00ff") && record.knows("11aa") && !record.knows("22bb"));
        let names: Vec<_> = record.names().collect();
        assert_eq!(names, ["bridge", "host-local", "portmap"]);
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        let record =
            Record::parse("name ../passwd\nname .hawser\nname a/b\nname \nnonsense\nname ok\n");
        assert_eq!(record.names().collect::<Vec<_>>(), ["ok"]);
    }
}
