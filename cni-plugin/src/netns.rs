//! The container's namespace, looked at before anything is made.
//!
//! The path is opened without opening what it names (`O_PATH`), so a FIFO or a device does not
//! hold the plugin up. That it is a namespace is told by the filesystem it lives on, whether it is
//! a bind mount or a process's own link. The reference compares with the plugin's own namespace
//! only after the verb, when everything is already made there.

use crate::{Call, Error};
use cni::Verb;
use rustix::fs::{Mode, OFlags, Stat, fstat, fstatfs, open, stat};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// NSFS_MAGIC of linux/magic.h.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// Looks at what the call's namespace path names.
///
/// ADD and CHECK need a network namespace that is not the plugin's own. DEL takes what it can get (DEL-1): a path that
/// names nothing of use, after a reboot perhaps the plugin's own namespace under a process id used again, is dropped
/// from the call.
pub fn settle(call: Call) -> Result<Call, Error> {
    let Some(path) = &call.netns else {
        return Ok(call);
    };
    let error = match inspect(path) {
        Ok(Found::Another) => return Ok(call),
        Ok(Found::Own) if call.may_be_own_netns => return Ok(call),
        _ if call.verb == Verb::Del => {
            return Ok(Call {
                netns: None,
                ..call
            });
        }
        Ok(Found::Own) => Error::OwnNetns(path.clone()),
        Ok(Found::SomethingElse) => Error::NotANetns(path.clone()),
        Ok(Found::Nothing) => Error::NoNetns(path.clone()),
        Err(source) => Error::Netns {
            path: path.clone(),
            source,
        },
    };
    Err(error)
}

enum Found {
    /// A network namespace that is not the plugin's.
    Another,
    /// The plugin's network namespace.
    Own,
    /// Something that is no network namespace.
    SomethingElse,
    /// Nothing.
    Nothing,
}

fn inspect(path: &Path) -> io::Result<Found> {
    let file = match open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Found::SomethingElse),
        Err(errno) => return Err(errno.into()),
    };
    if !is_namespace(&file)? {
        return Ok(Found::SomethingElse);
    }
    let own = stat("/proc/self/ns/net")?;
    Ok(if same(&fstat(&file)?, &own) {
        Found::Own
    } else {
        Found::Another
    })
}

/// Of the several kinds of namespace, only the network's can be entered as such; that shows then.
fn is_namespace(file: &OwnedFd) -> io::Result<bool> {
    Ok(fstatfs(file)?.f_type == NSFS_MAGIC)
}

const fn same(one: &Stat, other: &Stat) -> bool {
    one.st_dev == other.st_dev && one.st_ino == other.st_ino
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;
    use cni::Code;
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    /// A process in a network namespace of its own, until it is dropped. It has bound that
    /// namespace to a file, as runtimes do, in a mount namespace that ends with it.
    struct Pod {
        process: Child,
        folder: tempfile::TempDir,
    }

    impl Pod {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let bind = "touch bound; mount --bind /proc/self/ns/net bound; echo ready; exec cat";
            let process = Command::new("unshare")
                .args(["--net", "--mount", "sh", "-ec", bind])
                .current_dir(&folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut pod = Self { process, folder };
            let mut line = String::new();
            let stdout = pod.process.stdout.as_mut().unwrap();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n");
            pod
        }

        fn link(&self) -> PathBuf {
            format!("/proc/{}/ns/net", self.process.id()).into()
        }

        fn bound(&self) -> PathBuf {
            let root = PathBuf::from(format!("/proc/{}/root", self.process.id()));
            let path = self.folder.path().join("bound");
            root.join(path.strip_prefix("/").unwrap())
        }
    }

    impl Drop for Pod {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// Whether the verb gets the namespace, or the code with which it is refused.
    fn settled(verb: &str, path: &Path, netns_override: Option<&str>) -> Result<bool, Code> {
        let call = Call::read(&Environment {
            command: Some(verb.into()),
            container_id: Some("a".into()),
            netns: Some(path.into()),
            ifname: Some("eth0".into()),
            netns_override: netns_override.map(Into::into),
            ..Environment::default()
        });
        let settled = settle(call.unwrap()).map(|call| call.netns.is_some());
        settled.map_err(|error| {
            assert!(error.to_string().contains("CNI_NETNS"), "{error}");
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
            error.code()
        })
    }

    #[test]
    fn another_network_namespace_is_what_every_verb_wants() {
        let pod = Pod::new();
        for verb in ["ADD", "DEL", "CHECK"] {
            assert_eq!(settled(verb, &pod.link(), None), Ok(true), "{verb}");
            assert_eq!(settled(verb, &pod.bound(), None), Ok(true), "{verb}");
        }
    }

    #[test]
    fn the_plugins_own_namespace_is_nobodys_but_for_the_override() {
        let own = Path::new("/proc/self/ns/net");
        let refused = Err(Code::InvalidEnvironment);
        for (verb, wanted) in [("ADD", refused), ("CHECK", refused), ("DEL", Ok(false))] {
            assert_eq!(settled(verb, own, None), wanted, "{verb}");
            assert_eq!(settled(verb, own, Some("1")), Ok(true), "{verb}");
        }
    }

    #[test]
    fn what_is_no_network_namespace_is_refused_unless_it_is_to_be_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let fifo = folder.path().join("fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let lookalike = folder.path().join("net:[1]");
        fs::write(&lookalike, "").unwrap();
        for path in [file.join("x"), file, fifo, lookalike, folder.path().into()] {
            assert_eq!(
                settled("ADD", &path, None),
                Err(Code::InvalidEnvironment),
                "{path:?}"
            );
            assert_eq!(
                settled("CHECK", &path, None),
                Err(Code::InvalidEnvironment),
                "{path:?}"
            );
            assert_eq!(
                settled("ADD", &path, Some("1")),
                Err(Code::InvalidEnvironment)
            );
            assert_eq!(settled("DEL", &path, None), Ok(false), "{path:?}");
        }
    }

    #[test]
    fn a_container_that_is_gone_is_unknown_and_can_be_left() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        assert_eq!(settled("ADD", &gone, None), Err(Code::UnknownContainer));
        assert_eq!(settled("CHECK", &gone, None), Err(Code::UnknownContainer));
        assert_eq!(settled("DEL", &gone, None), Ok(false));
    }
}
