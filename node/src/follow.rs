//! Asking the API server for nodes, again and again.
//!
//! A node that needs only its own pod CIDRs gets its own Node now and then: the CIDRs of a Node never change, but a Node may
//! be deleted and come back with others. With `--routes` all nodes are listed once and then watched.

use crate::api::{Api, WATCH_SECONDS};
use crate::cluster::{self, Cluster, Node};
use crate::error::Error;
use serde_json::Value;
use std::thread;
use std::time::Duration;

/// Between two looks at a Node that has all it needs.
const SETTLED: Duration = Duration::from_secs(60);
/// Between two looks at one that has not, and after an error.
const UNSETTLED: Duration = Duration::from_secs(2);

const GONE: u16 = 410;

/// Whom to ask about what.
#[derive(Debug)]
pub struct Follow {
    /// The server.
    pub api: Api,
    /// This node's name.
    pub node: String,
    /// Whether all nodes matter.
    pub all: bool,
}

/// Takes news, and says whether more of them are wanted.
pub trait Tell: FnMut(Result<Cluster, Error>) -> bool {}
impl<F: FnMut(Result<Cluster, Error>) -> bool> Tell for F {}

impl Follow {
    /// Tells of nodes until nobody listens any more.
    pub fn run(&self, mut tell: impl Tell) {
        loop {
            let goes_on = if self.all {
                self.all_nodes(&mut tell)
            } else {
                self.own_node(&mut tell)
            };
            if !goes_on {
                return;
            }
        }
    }

    fn own_node(&self, tell: &mut impl Tell) -> bool {
        let news = self.look_at_own_node();
        let own = news
            .as_ref()
            .ok()
            .and_then(|cluster| cluster.node(&self.node));
        let settled = own.is_some_and(|node| !node.pod_cidrs.is_empty());
        let goes_on = tell(news);
        thread::sleep(if settled { SETTLED } else { UNSETTLED });
        goes_on
    }

    fn look_at_own_node(&self) -> Result<Cluster, Error> {
        let object = self.api.get(&format!("/api/v1/nodes/{}", self.node))?;
        let mut cluster = Cluster::default();
        cluster.put(Node::read(&object)?);
        Ok(cluster)
    }

    /// Lists, then watches until that fails.
    fn all_nodes(&self, tell: &mut impl Tell) -> bool {
        let failure = match self.list() {
            Ok((cluster, version)) => match self.watch(cluster, version, tell) {
                Ok(()) => return false,
                Err(error) => error,
            },
            Err(error) => error,
        };
        // The server does not keep old versions for ever, which is nobody's fault.
        let forgotten = matches!(&failure, Error::Api(error) if error.status() == Some(GONE));
        let goes_on = forgotten || tell(Err(failure));
        thread::sleep(UNSETTLED);
        goes_on
    }

    fn list(&self) -> Result<(Cluster, String), Error> {
        // Version 0 is whatever the server has at hand, which spares its store.
        let list = self.api.get("/api/v1/nodes?resourceVersion=0")?;
        let mut cluster = Cluster::default();
        for object in list["items"].as_array().into_iter().flatten() {
            self.put(&mut cluster, object)?;
        }
        let version = text(&list["metadata"]["resourceVersion"]);
        Ok((cluster, version))
    }

    /// Ends without error when nobody listens any more.
    fn watch(
        &self,
        mut cluster: Cluster,
        mut version: String,
        tell: &mut impl Tell,
    ) -> Result<(), Error> {
        if !tell(Ok(cluster.clone())) {
            return Ok(());
        }
        loop {
            let path = format!(
                "/api/v1/nodes?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={version}"
            );
            let mut heard = false;
            for event in self.api.watch(&path)? {
                heard = true;
                let event = event?;
                let before = cluster.clone();
                self.apply(&mut cluster, &event)?;
                version = text(&event["object"]["metadata"]["resourceVersion"]);
                if cluster != before && !tell(Ok(cluster.clone())) {
                    return Ok(());
                }
            }
            if !heard {
                // A server that ends every answer at once is not to be asked without pause.
                thread::sleep(UNSETTLED);
            }
        }
    }

    fn apply(&self, cluster: &mut Cluster, event: &Value) -> Result<(), Error> {
        let object = &event["object"];
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => self.put(cluster, object)?,
            Some("DELETED") => cluster.remove(&cluster::name(object)?),
            Some("ERROR") => return Err(refusal(object).into()),
            // BOOKMARK, and whatever later servers have: only the version counts.
            _ => {}
        }
        Ok(())
    }

    /// A node that makes no sense is left out, unless it is this one.
    fn put(&self, cluster: &mut Cluster, object: &Value) -> Result<(), Error> {
        match Node::read(object) {
            Ok(node) => cluster.put(node),
            Err(error) if cluster::name(object).is_ok_and(|name| name != self.node) => {
                tracing::warn!("{error}; no route to its pods meanwhile");
                cluster.remove(&cluster::name(object)?);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a Status object in a watch says.
fn refusal(status: &Value) -> crate::api::Error {
    crate::api::Error::Refused {
        path: "/api/v1/nodes?watch=true".to_owned(),
        status: status["code"]
            .as_u64()
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(500),
        message: text(&status["message"]),
    }
}
