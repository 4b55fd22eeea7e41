//! Why the driver ended, where kubelet reads it for the pod's status.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where kubelet looks unless a container says otherwise.
pub const PATH: &str = "/dev/termination-log";
/// The variable that names another place.
pub const VARIABLE: &str = "HAWSER_TERMINATION_LOG";
/// What kubelet reads of it, in bytes.
const LONGEST: usize = 4096;

/// The place, as far as the environment tells: for whoever ends before the flags have been understood.
pub fn place(variable: Option<OsString>) -> PathBuf {
    variable.map_or_else(|| PATH.into(), PathBuf::from)
}

/// Leaves `text` at `path`. The file is made by kubelet: where there is none, nobody reads it. Nothing is said of a failure,
/// for the text is in the log as well.
pub fn tell(path: &Path, text: &str) {
    let file = File::options().write(true).truncate(true).open(path);
    let text = text
        .get(..text.floor_char_boundary(LONGEST))
        .unwrap_or(text);
    let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_is_cut_between_characters_and_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        tell(&path, "nobody reads it");
        assert!(!path.exists());
        fs::write(&path, "of an earlier end, and longer").unwrap();
        tell(&path, "short");
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
        tell(&path, &format!("x{}", "é".repeat(4000)));
        assert_eq!(fs::read_to_string(&path).unwrap().len(), LONGEST - 1);
    }
}
