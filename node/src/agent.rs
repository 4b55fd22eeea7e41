//! The loop: what is to be on the node is made to be there, at every event and once a minute.

use crate::api::Api;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::events::{self, Event, Folders};
use crate::leave::{self, Owner};
use crate::settings::Settings;
use crate::standing::{self, Part, Standing};
use crate::{masquerade, routes};
use hawser::conflist::Placed;
use hawser::install::{self, Change};
use ipnetwork::IpNetwork;
use kernel::Termination;
use std::fs;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Whatever happens unseen is found after this time.
const LOOK: Duration = Duration::from_secs(60);
/// Between two looks, so that a quarrel with another installer costs little.
const BREATH: Duration = Duration::from_secs(1);

const PLUGINS: &str = "plugins";
const CONFIGURATION: &str = "configuration";
const ROUTES: &str = "routes";

/// Runs until a signal asks for the end.
pub fn run(settings: Settings) -> Result<(), Error> {
    let termination = Termination::defer().map_err(|source| Error::Events {
        what: "hold back signals",
        source,
    })?;
    if !settings.routes {
        leave::tidy(&settings);
    }
    let parts: &[_] = if settings.routes {
        &[PLUGINS, CONFIGURATION, ROUTES]
    } else {
        &[PLUGINS, CONFIGURATION]
    };
    let standing = Standing::new(parts);
    if let Some(address) = settings.http_endpoint {
        standing::serve(address, standing.clone())?;
    }
    let (sender, events) = channel();
    events::stop(termination, sender.clone())?;
    let folders = Folders::new(sender.clone())?;
    let mut agent = Agent::new(settings, standing, folders);
    // What does not work at the start is for kubelet to show and to try again.
    agent.install()?;
    if let Some(node) = agent
        .settings
        .node
        .clone()
        .filter(|_| agent.settings.asks_for_nodes())
    {
        let api = Api::in_cluster()?;
        events::news(api, node, agent.settings.routes, sender)?;
    }
    let owner = Owner::default();
    events::look_for(owner.clone(), agent.settings.clone())?;
    agent.look();
    agent.follow(&events)?;
    leave::after(&agent.settings, &owner)
}

struct Agent {
    settings: Settings,
    standing: Standing,
    folders: Folders,
    /// This node's part of the pod network; empty until it is known.
    pod_cidrs: Vec<IpNetwork>,
    /// The other nodes, where they are asked for.
    cluster: Option<Cluster>,
    started: Instant,
    looked: Instant,
    /// When there will be a look.
    look_at: Instant,
    /// Why the pod CIDRs are not known yet.
    missing: Option<Error>,
}

impl Agent {
    fn new(settings: Settings, standing: Standing, folders: Folders) -> Self {
        let now = Instant::now();
        Self {
            pod_cidrs: settings.pod_cidrs.clone(),
            settings,
            standing,
            folders,
            cluster: None,
            started: now,
            looked: now,
            look_at: now,
            missing: None,
        }
    }

    /// Handles events until one asks for the end.
    fn follow(&mut self, events: &Receiver<Event>) -> Result<(), Error> {
        loop {
            let now = Instant::now();
            if self.gives_up_at().is_some_and(|end| now >= end)
                && let Some(missing) = self.missing.take()
            {
                return Err(self.last_word(missing));
            }
            if now >= self.look_at {
                self.look();
            }
            match events.recv_timeout(self.next(Instant::now())) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(Event::Files) => self.look_at = self.look_at.min(self.looked + BREATH),
                Ok(Event::News(news)) => {
                    if self.learn(news) {
                        self.look_at = Instant::now();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// How long nothing is to be done.
    fn next(&self, now: Instant) -> Duration {
        let next = self
            .gives_up_at()
            .map_or(self.look_at, |end| end.min(self.look_at));
        next.saturating_duration_since(now)
    }

    /// Not before the first answer, or the first failure to get one, which comes in seconds: it is what will be reported.
    fn gives_up_at(&self) -> Option<Instant> {
        (self.missing.is_some() && self.pod_cidrs.is_empty())
            .then(|| self.started + self.settings.patience)
    }

    /// Takes in what the API server says; tells whether that changes anything.
    fn learn(&mut self, news: Result<Cluster, Error>) -> bool {
        let cluster = match news {
            Ok(cluster) => cluster,
            Err(error) => {
                let part = Part::Waiting(format!("for the API server: {error}"));
                // Once it is configured a node can do without the API server for a while.
                if !self.pod_cidrs.is_empty() || self.standing.set(CONFIGURATION, part) {
                    tracing::warn!("{error}");
                }
                self.missing = Some(error);
                return false;
            }
        };
        self.missing = None;
        if self.settings.pod_cidrs.is_empty() {
            self.take_pod_cidrs(&cluster);
        }
        let changed = self.cluster.as_ref() != Some(&cluster);
        self.cluster = Some(cluster);
        changed
    }

    fn take_pod_cidrs(&mut self, cluster: &Cluster) {
        let own = self
            .settings
            .node
            .as_deref()
            .and_then(|node| cluster.node(node));
        let found = own.map(|node| node.pod_cidrs.clone()).unwrap_or_default();
        if found.is_empty() {
            let node = self.settings.node.clone().unwrap_or_default();
            let missing = match own {
                Some(_) => Error::NoPodCidr(node),
                None => Error::NoNode(node),
            };
            let why = missing.to_string();
            self.missing = Some(missing);
            // A Node that is being made anew; its pods keep what they have.
            if self.pod_cidrs.is_empty()
                && self.standing.set(CONFIGURATION, Part::Waiting(why.clone()))
            {
                tracing::warn!("{why}");
            }
            return;
        }
        if !self.pod_cidrs.is_empty() && self.pod_cidrs != found {
            tracing::warn!(
                "this Node's pod CIDRs are others now; pods that run keep their addresses of the old ones: restart them"
            );
        }
        self.pod_cidrs = found;
    }

    fn last_word(&self, missing: Error) -> Error {
        match missing {
            Error::Api(source) => Error::NoAnswer {
                node: self.settings.node.clone().unwrap_or_default(),
                seconds: self.started.elapsed().as_secs(),
                source,
            },
            other => other,
        }
    }

    /// Makes everything as it should be, as far as it goes, and notes how far that is.
    fn look(&mut self) {
        self.standing.turn();
        let installed = self.install();
        let well = installed.is_ok();
        self.note(PLUGINS, installed.map(|()| Vec::new()));
        if !self.pod_cidrs.is_empty() {
            if self.settings.routes {
                let routed = self.route();
                self.note(ROUTES, routed);
            }
            // After the plugins: the runtime acts on it at once.
            if well {
                let configured = self.configure();
                self.note(CONFIGURATION, configured.map(|()| Vec::new()));
            }
        }
        self.looked = Instant::now();
        self.look_at = self.looked + LOOK;
    }

    /// Notes how a part is, and logs it if that is new.
    fn note(&self, name: &str, outcome: Result<Vec<String>, Error>) {
        let part = match outcome {
            Ok(lacking) if lacking.is_empty() => Part::Well,
            Ok(lacking) => Part::Partly(lacking.join("; ")),
            Err(error) => Part::Ill(error.to_string()),
        };
        if !self.standing.set(name, part.clone()) {
            return;
        }
        match part {
            Part::Ill(why) => tracing::error!("{name}: {why}"),
            Part::Partly(why) => tracing::warn!("{name}: {why}"),
            Part::Waiting(_) | Part::Well => {}
        }
    }

    fn install(&self) -> Result<(), Error> {
        let Settings {
            hawser, bin_dir, ..
        } = &self.settings;
        fs::metadata(hawser).map_err(|source| Error::NoHawser {
            path: hawser.clone(),
            source,
        })?;
        for (name, change) in install::install(hawser, bin_dir)? {
            if change != Change::Unchanged {
                tracing::info!("{}: {change}", bin_dir.join(name).display());
            }
        }
        self.folders.watch(bin_dir);
        Ok(())
    }

    fn configure(&self) -> Result<(), Error> {
        let conf_dir = &self.settings.conf_dir;
        let placed = self.settings.conflist(&self.pod_cidrs).write(conf_dir)?;
        if placed.changed {
            tell(&placed);
        }
        self.folders.watch(conf_dir);
        Ok(())
    }

    /// Routes to the other nodes' pods, and which traffic is masqueraded. What cannot be had is returned.
    fn route(&self) -> Result<Vec<String>, Error> {
        let cluster = self.cluster.as_ref();
        let all: Vec<_> = cluster.into_iter().flat_map(Cluster::pod_cidrs).collect();
        // Before other nodes are known, too: the bridge leaves it to us.
        if masquerade::ensure(&self.pod_cidrs, &all)? {
            tracing::info!("traffic that leaves the cluster's pod network is masqueraded");
        }
        let (Some(cluster), Some(node)) = (cluster, &self.settings.node) else {
            return Ok(vec!["the other nodes are not known yet".to_owned()]);
        };
        Ok(routes::ensure(cluster, node, &self.pod_cidrs)?)
    }
}

fn tell(placed: &Placed) {
    tracing::info!("{}: written", placed.path.display());
    if let Some(first) = placed.before.first() {
        tracing::warn!(
            "{first} comes before it by name, and the container runtime uses the first: move {first} away to use Hawser's network"
        );
    }
    for other in &placed.overlapping {
        tracing::warn!(
            "{other} hands out addresses of the same range: two networks must not share one"
        );
    }
}
