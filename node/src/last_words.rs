//! The termination message: the end of a container that `kubectl describe pod` shows.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Kubelet shows no more bytes than this.
const LIMIT: usize = 4096;

/// Leaves the message, where there is a file for it: kubelet mounts it, and elsewhere nobody would read it.
pub fn leave(file: &Path, message: &str) {
    let written = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(file)
        .and_then(|mut file| file.write_all(within_limit(message).as_bytes()));
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!("--termination-log {}: {error}", file.display());
        }
        _ => {}
    }
}

fn within_limit(message: &str) -> &str {
    let end = message.floor_char_boundary(LIMIT);
    message.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        assert_eq!(within_limit("no pod CIDR"), "no pod CIDR");
        let long = "ö".repeat(LIMIT);
        assert_eq!(within_limit(&long), "ö".repeat(LIMIT / 2));
        let odd = format!("x{long}");
        assert_eq!(within_limit(&odd).len(), LIMIT - 1);
    }

    #[test]
    fn a_file_that_nobody_made_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("termination-log");
        leave(&file, "gone");
        assert!(!file.exists());
        std::fs::write(&file, "an older and longer message").unwrap();
        leave(&file, "gone");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "gone");
    }
}
