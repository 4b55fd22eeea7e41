//! Delegates whose behaviour a test chooses: shell scripts on the plugin path that keep a record of how they were called.

use crate::host::Host;
use crate::place::Place;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A plugin that is a shell script. It is found in [`Stub::dir`] under its name.
#[derive(Debug)]
pub struct Stub {
    host: Place,
    dir: PathBuf,
}

impl Stub {
    /// Puts a stub on the host. `script` is what it does once it has recorded its call; it finds the configuration in
    /// `$CONFIG`, and may `announce` that it has come so far.
    pub fn new(host: &Host, name: &str, script: &str) -> Self {
        let dir = host.scratch(&format!("stub.{name}"));
        let text = format!(
            "#!/bin/sh\n\
             here='{dir}'\n\
             announce() {{ echo \"$CNI_COMMAND\" >\"$here/announced\"; }}\n\
             CONFIG=$(cat)\n\
             printf '%s' \"$CONFIG\" >\"$here/stdin.$CNI_COMMAND\"\n\
             env | grep ^CNI_ | sort >\"$here/env.$CNI_COMMAND\"\n\
             echo \"$CNI_COMMAND\" >>\"$here/calls\"\n\
             {script}\n",
            dir = dir.display()
        );
        let path = dir.join(name);
        host.write(&path, &text);
        host.run(|| {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))
                .expect("make the stub executable");
            mkfifo(&dir.join("announced"), Mode::S_IRWXU).expect("make the stub's fifo");
        });
        Self {
            host: host.place().clone(),
            dir,
        }
    }

    /// The folder to search for it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The verbs it was called with, in order.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.host.read(self.dir.join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// What it last read for a verb.
    pub fn stdin(&self, verb: &str) -> String {
        self.host
            .read(self.dir.join(format!("stdin.{verb}")))
            .unwrap_or_default()
    }

    /// The CNI variables it last had for a verb, one `KEY=value` each.
    pub fn env(&self, verb: &str) -> Vec<String> {
        let env = self
            .host
            .read(self.dir.join(format!("env.{verb}")))
            .unwrap_or_default();
        env.lines().map(str::to_owned).collect()
    }

    /// Waits until the stub has announced itself once, and returns the verb.
    pub fn announced(&self) -> String {
        self.host
            .read(self.dir.join("announced"))
            .unwrap_or_default()
            .trim_end()
            .to_owned()
    }
}
