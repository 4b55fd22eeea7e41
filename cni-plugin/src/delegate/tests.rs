//! Delegates as they may be: small shell scripts that answer, fail, babble, die and hang.

use super::*;
use crate::{Call, Environment};
use cni::Code;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

/// Long enough for any script here on a busy machine, and far shorter than a script that hangs.
const SOON: Duration = Duration::from_secs(10);

const CONFIG: &str = r#"{"cniVersion": "1.0.0", "name": "net", "ipam": {"type": "ipam"}}"#;

/// A folder for plugins with one in it, called `ipam`.
struct Folder(TempDir);

impl Folder {
    fn with(script: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put("ipam", script);
        folder
    }

    fn put(&self, name: &str, script: &str) {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o755);
        let mut file = options.open(self.path().join(name)).unwrap();
        write!(file, "#!/bin/sh\n{script}\n").unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn request(&self, config: &str) -> Request {
        let call = Call::read(&Environment {
            command: Some("ADD".into()),
            container_id: Some("pod-1".into()),
            netns: Some("/run/netns/a".into()),
            ifname: Some("eth0".into()),
            path: Some(self.path().into()),
            ..Environment::default()
        });
        Request::new(call.unwrap(), config.as_bytes().into(), &Version::ALL).unwrap()
    }

    fn start(&self, verb: Verb) -> Running {
        self.start_with(CONFIG, verb)
    }

    fn start_with(&self, config: &str, verb: Verb) -> Running {
        let request = self.request(config);
        let delegate = request.delegate("ipam").unwrap();
        delegate.start(&request, verb).unwrap()
    }

    fn run(&self, verb: Verb) -> Result<Option<AddResult>, Error> {
        self.start(verb).finish_within(SOON, None)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }
}

fn told(result: Result<Option<AddResult>, Error>) -> (Code, String) {
    let error = cni::Error::from(result.unwrap_err());
    (error.code, error.msg)
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_delegate_gets_the_verb_and_exactly_our_stdin_and_answers() {
    let folder = Folder::with(
        r#"cd "${0%/*}"; cat > stdin; echo "$CNI_COMMAND" > command; echo "to stderr" >&2
        echo '{"ips": [{"address": "10.1.0.7/16"}]}'"#,
    );
    let result = folder.run(Verb::Add).unwrap().unwrap();
    assert_eq!(result.ips[0].address.to_string(), "10.1.0.7/16");
    assert_eq!(folder.read("stdin"), CONFIG);
    assert_eq!(folder.read("command"), "ADD\n");
}

#[test]
fn a_result_is_read_in_the_configurations_version_unless_it_has_its_own() {
    let old = r#"{"ip4": {"ip": "10.1.0.7/16"}"#;
    let bare = Folder::with(&format!("echo '{old}}}'"));
    assert!(bare.run(Verb::Add).unwrap().unwrap().ips.is_empty());
    let own = Folder::with(&format!("echo '{old}, \"cniVersion\": \"0.2.0\"}}'"));
    assert_eq!(own.run(Verb::Add).unwrap().unwrap().ips.len(), 1);
}

#[test]
fn verbs_other_than_add_succeed_whatever_is_printed() {
    let folder = Folder::with("echo noise");
    for verb in [Verb::Del, Verb::Check, Verb::Gc, Verb::Status] {
        assert_eq!(folder.run(verb).unwrap(), None);
    }
}

#[test]
fn a_delegates_error_becomes_ours() {
    let folder = Folder::with(
        r#"echo '{"code": 50, "msg": "no address left", "details": "10.1.0.0/16"}'; exit 1"#,
    );
    let error = cni::Error::from(folder.run(Verb::Status).unwrap_err());
    let expected = cni::Error::new(Code::NotAvailable, "ipam: no address left");
    assert_eq!(error, expected.with_details("10.1.0.0/16"));
}

#[test]
fn what_cannot_be_read_is_shown_with_how_it_ended() {
    for (script, verb, code, text) in [
        (
            "echo oops",
            Verb::Add,
            Code::Decode,
            "ipam ended ADD without a result that can be read: the result is not valid JSON: \
             expected value at line 1 column 1; it printed \"oops\"",
        ),
        (
            "exit 0",
            Verb::Add,
            Code::Decode,
            "ipam ended ADD without a result that can be read: the result is not valid JSON: \
             EOF while parsing a value at line 1 column 0; it printed nothing",
        ),
        (
            r#"echo '{"ips": [{"address": "10.1.0.7"}]}'"#,
            Verb::Add,
            Code::Decode,
            "ipam ended ADD without a result that can be read: ips[0].address: found \
             \"10.1.0.7\", wanted an address with its prefix length, such as 10.1.0.0/16 or \
             fd00::/64; it printed \"{\\\"ips\\\": [{\\\"address\\\": \\\"10.1.0.7\\\"}]}\"",
        ),
        (
            "echo; echo ' panic: index'; echo more; exit 2",
            Verb::Del,
            Code::Io,
            "ipam ended DEL with exit status: 2 and no error object; it printed \"panic: index\"",
        ),
        (
            "echo '{\"msg\": \"no code\"}'; exit 1",
            Verb::Del,
            Code::Io,
            "ipam ended DEL with exit status: 1 and no error object; it printed \
             \"{\\\"msg\\\": \\\"no code\\\"}\"",
        ),
        (
            "kill -KILL $$",
            Verb::Check,
            Code::Io,
            "ipam ended CHECK with signal: 9 (SIGKILL) and no error object; it printed nothing",
        ),
    ] {
        let found = told(Folder::with(script).run(verb));
        // A result that is wrong is unreadable, whichever rule it breaks.
        let code = if verb == Verb::Add {
            Code::Decode
        } else {
            code
        };
        assert_eq!(found, (code, text.to_owned()), "{script}");
    }
}

#[test]
fn a_delegate_that_hangs_is_ended_at_the_deadline() {
    for script in [
        "exec sleep 60",
        "exec >&-; exec sleep 60",
        "exec <&-; exec sleep 60",
    ] {
        let folder = Folder::with(script);
        let running = folder.start(Verb::Add);
        let pid = running.process_id();
        let before = Instant::now();
        let found = told(running.finish_within(Duration::from_millis(50), None));
        let text = "ipam did not end ADD within 0.05 s and was ended".to_owned();
        assert_eq!(found, (Code::TryAgainLater, text));
        assert!(before.elapsed() < SOON && !is_alive(pid));
    }
}

#[test]
fn a_delegate_that_does_not_listen_is_killed() {
    let folder = Folder::with(
        "trap '' TERM; echo ready > \"${0%/*}/ready\"; exec 1>&-; while :; do sleep 0.01; done",
    );
    let running = folder.start(Verb::Add);
    while !folder.path().join("ready").exists() {
        std::thread::yield_now();
    }
    let pid = running.process_id();
    let found = told(running.finish_within(Duration::from_millis(1), None));
    assert_eq!(found.0, Code::TryAgainLater);
    assert!(!is_alive(pid));
}

#[test]
fn a_stop_ends_the_delegate_after_its_own_undo() {
    let folder = Folder::with(
        r#"cd "${0%/*}"; trap 'echo undone > undo; exit 1' TERM; echo > ready
        while :; do sleep 0.01; done"#,
    );
    let running = folder.start(Verb::Add);
    while !folder.path().join("ready").exists() {
        std::thread::yield_now();
    }
    let pid = running.process_id();
    let (stop, mut ask) = std::io::pipe().unwrap();
    ask.write_all(b"x").unwrap();
    let found = told(running.finish_within(SOON, Some(stop.as_fd())));
    let text = "stopped by a signal while ipam was at ADD".to_owned();
    assert_eq!(found, (Code::TryAgainLater, text));
    assert_eq!(folder.read("undo"), "undone\n");
    assert!(!is_alive(pid));
}

#[test]
fn a_delegate_that_is_not_waited_for_is_ended() {
    let folder = Folder::with("exec sleep 60");
    let running = folder.start(Verb::Add);
    let pid = running.process_id();
    assert!(is_alive(pid));
    drop(running);
    assert!(!is_alive(pid));
}

#[test]
fn more_than_a_pipe_holds_goes_both_ways_at_once() {
    let filler = "x".repeat(1 << 20);
    let config = json!({"cniVersion": "1.0.0", "name": "net", "filler": filler,
        "ips": [{"address": "10.1.0.7/16"}]});
    let folder = Folder::with("exec cat");
    let running = folder.start_with(&config.to_string(), Verb::Add);
    let result = running.finish_within(SOON, None).unwrap().unwrap();
    assert_eq!(result.ips.len(), 1);
}

#[test]
fn a_delegate_need_not_read() {
    let config = json!({"name": "net", "filler": "x".repeat(1 << 20)}).to_string();
    for script in ["exec <&-; echo '{}'", "echo '{}'"] {
        let folder = Folder::with(script);
        let running = folder.start_with(&config, Verb::Add);
        let result = running.finish_within(SOON, None).unwrap();
        assert_eq!(result, Some(AddResult::default()), "{script}");
    }
}

#[test]
fn an_output_left_open_by_a_grandchild_is_not_waited_for() {
    let folder = Folder::with(
        "sleep 60 & echo $! > \"${0%/*}/pid\"; echo '{\"ips\": [{\"address\": \"10.1.0.7/16\"}]}'",
    );
    let before = Instant::now();
    let result = folder.run(Verb::Add);
    let pid = folder.read("pid").trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(result.unwrap().unwrap().ips.len(), 1);
    assert!(before.elapsed() < SOON);
}

#[test]
fn a_delegate_that_prints_without_end_is_ended() {
    let folder = Folder::with("exec yes");
    let running = folder.start(Verb::Add);
    let pid = running.process_id();
    let (code, text) = told(running.finish_within(SOON, None));
    assert_eq!(code, Code::Decode);
    assert_eq!(text, "ipam printed more than 8388608 bytes and was ended");
    assert!(!is_alive(pid));
}

#[test]
fn the_first_file_of_that_name_is_taken() {
    let [first, second, third] = ["exit 1", "exit 2", "exit 3"].map(Folder::with);
    fs::remove_file(first.path().join("ipam")).unwrap();
    fs::create_dir(first.path().join("ipam")).unwrap();
    let folders = [&first, &second, &third].map(|folder| folder.path().to_owned());
    let delegate = find("ipam", &folders, &[]).unwrap();
    assert_eq!(delegate.path, second.path().join("ipam"));
}

#[test]
fn a_name_is_no_path() {
    let folder = Folder::with("exit 0");
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    let outside = format!("../{name}/ipam");
    for bad in ["", ".", "..", "./ipam", "/bin/sh", "a\0b", outside.as_str()] {
        let error = find(bad, &[folder.path().to_owned()], &[]).unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfig, "{bad:?}");
        assert!(matches!(error, Error::DelegateName(_)), "{bad:?}");
    }
}

#[test]
fn a_delegate_that_is_nowhere_is_named_with_every_folder() {
    let folders = ["/nonexistent/a", "bin", "/nonexistent/b"].map(PathBuf::from);
    let error = find("ipam", &folders, &[]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidEnvironment);
    assert_eq!(
        error.to_string(),
        "the plugin ipam was not found in CNI_PATH: /nonexistent/a, \
         bin (not absolute, so passed over), /nonexistent/b"
    );
    assert_eq!(
        find("ipam", &[], &[]).unwrap_err().to_string(),
        "the plugin ipam was not found in CNI_PATH: it is empty or not set"
    );
}

#[test]
fn a_file_that_cannot_be_run_is_named() {
    let folder = Folder::with("exit 0");
    fs::write(folder.path().join("plain"), "text").unwrap();
    let request = folder.request(CONFIG);
    let delegate = request.delegate("plain").unwrap();
    let (code, text) = told(delegate.run(&request, Verb::Add, None));
    assert_eq!(code, Code::Io);
    assert!(text.contains("/plain: Permission denied"), "{text}");
}

#[test]
fn a_file_being_written_is_tried_again_for_a_while() {
    let folder = Folder::with("exit 0");
    let path = folder.path().join("ipam");
    let writer = OpenOptions::new().append(true).open(path).unwrap();
    let request = folder.request(CONFIG);
    let delegate = request.delegate("ipam").unwrap();
    let before = Instant::now();
    let (code, text) = told(delegate.run(&request, Verb::Del, None));
    assert_eq!(code, Code::Io);
    assert!(text.contains("Text file busy"), "{text}");
    assert!(before.elapsed() > Duration::from_secs(1));
    drop(writer);
    assert_eq!(delegate.run(&request, Verb::Del, None).unwrap(), None);
}
