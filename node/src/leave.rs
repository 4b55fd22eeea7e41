//! The end: everything stays, or everything goes.

use crate::api::{self, Api};
use crate::error::Error;
use crate::settings::Settings;
use crate::{masquerade, routes};
use hawser::{conflist, install};
use nix::errno::Errno;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long the API server may think that we still are whom it deleted. It remembers for ten seconds that a token was good;
/// kubelet kills a pod after thirty.
const DOUBT: Duration = Duration::from_secs(20);
/// Between two looks for a DaemonSet that is not seen.
const UNSEEN: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);

/// What becomes of the node.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Another process will go on with it.
    Stays(String),
    /// Nobody will.
    Goes(&'static str),
    /// The answer is not one yet.
    Unclear(String),
}

/// The DaemonSet, and whether it was ever seen. Of one that was not, nobody can tell a removal from a wrong name.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    seen: Arc<AtomicBool>,
}

impl Owner {
    /// Looks for the DaemonSet until it is seen.
    pub fn look_for(&self, settings: &Settings) {
        let Some((namespace, name)) = &settings.daemonset else {
            return;
        };
        let mut said = String::new();
        loop {
            match ask(namespace, name) {
                Ok(_) => {
                    tracing::info!("belongs to the DaemonSet {namespace}/{name}");
                    self.seen.store(true, Ordering::Relaxed);
                    return;
                }
                Err(error) => {
                    let says = format!(
                        "the DaemonSet {namespace}/{name} of DAEMONSET_NAME and POD_NAMESPACE cannot be seen, and until it is, \
                         its removal will not take plugins and configuration back: {error}"
                    );
                    if says != said {
                        tracing::warn!("{says}");
                        said = says;
                    }
                }
            }
            thread::sleep(UNSEEN);
        }
    }
}

fn ask(namespace: &str, name: &str) -> Result<Value, api::Error> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}");
    Api::in_cluster()?.get(&path)
}

/// Ends a process that was asked to: everything is taken back if its DaemonSet is gone.
pub fn after(settings: &Settings, owner: &Owner) -> Result<(), Error> {
    let fate = if owner.seen.load(Ordering::Relaxed) || settings.daemonset.is_none() {
        fate(settings)
    } else {
        Fate::Stays("the DaemonSet was never seen".to_owned())
    };
    match fate {
        Fate::Goes(why) => {
            tracing::info!("{why}: everything is taken back");
            remove(settings)
        }
        Fate::Stays(why) | Fate::Unclear(why) => {
            tracing::info!("plugins and configuration stay: {why}");
            Ok(())
        }
    }
}

fn fate(settings: &Settings) -> Fate {
    let Some((namespace, name)) = &settings.daemonset else {
        return Fate::Stays(
            "no DaemonSet is named by --namespace and --daemonset; `hawser-node remove` takes them back".to_owned(),
        );
    };
    let deadline = Instant::now() + DOUBT;
    loop {
        let answer = ask(namespace, name);
        let deleted = answer.map(|object| !object["metadata"]["deletionTimestamp"].is_null());
        match judge(deleted) {
            Fate::Unclear(why) if Instant::now() < deadline => {
                tracing::info!("asked again in a second: {why}");
                thread::sleep(AGAIN);
            }
            fate => return fate,
        }
    }
}

/// What an answer about the DaemonSet means: whether it is being deleted, or why that is not known.
fn judge(deleted: Result<bool, api::Error>) -> Fate {
    match deleted {
        Ok(true) => Fate::Goes("the DaemonSet is being deleted"),
        Ok(false) => Fate::Stays("the DaemonSet is there, this is a restart".to_owned()),
        Err(error) => match error.status() {
            Some(404) => Fate::Goes("the DaemonSet is gone"),
            Some(401) => Fate::Goes("the service account is gone, and so is the DaemonSet"),
            // Its role went first, and the account may follow within moments.
            Some(403) => Fate::Unclear(format!(
                "{error}; `hawser-node remove` takes them back by hand"
            )),
            _ => Fate::Stays(error.to_string()),
        },
    }
}

/// Takes everything back, as far as it goes; the first thing that went wrong is returned.
pub fn remove(settings: &Settings) -> Result<(), Error> {
    // Before the plugins: no pod is to be promised a network that nobody makes.
    let configuration = conflist::remove(&settings.conf_dir).map(|was_there| {
        if was_there {
            let path = settings.conf_dir.join(conflist::FILE);
            tracing::info!("{}: removed", path.display());
        }
    });
    let plugins = install::uninstall(&settings.bin_dir).map(|changes| {
        for (name, change) in changes {
            tracing::info!("{}: {change}", settings.bin_dir.join(name).display());
        }
    });
    let network = remove_network(settings);
    configuration?;
    plugins?;
    network
}

/// Takes back what an earlier process with `--routes` made, if this one may.
pub fn tidy(settings: &Settings) {
    if let Err(error) = remove_network(settings) {
        tracing::warn!("left of an earlier --routes: {error}");
    }
}

fn remove_network(settings: &Settings) -> Result<(), Error> {
    let count = routes::remove_all()?;
    if count > 0 {
        tracing::info!("removed {count} routes to other nodes");
    }
    match masquerade::remove() {
        Ok(true) => tracing::info!("removed the table inet hawser_node"),
        Ok(false) => {}
        // Who may not look at the packet filter has put nothing into it.
        Err(error) if error.errno() == Some(Errno::EPERM) && count == 0 && !settings.routes => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Result<bool, api::Error> {
        Err(api::Error::Refused {
            path: "/x".to_owned(),
            status,
            message: "no".to_owned(),
        })
    }

    #[test]
    fn only_certainty_takes_a_network_away() {
        assert!(matches!(judge(Ok(true)), Fate::Goes(_)));
        assert!(matches!(judge(refused(404)), Fate::Goes(_)));
        assert!(matches!(judge(refused(401)), Fate::Goes(_)));
        assert!(matches!(judge(refused(403)), Fate::Unclear(_)));
        assert!(matches!(judge(Ok(false)), Fate::Stays(_)));
        for status in [400, 429, 500, 503] {
            assert!(matches!(judge(refused(status)), Fate::Stays(_)), "{status}");
        }
        assert!(matches!(
            judge(Err(api::Error::NotInCluster)),
            Fate::Stays(_)
        ));
    }
}
