//! How the driver runs: the flags, with every rule that one flag alone cannot check (G-04).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::args::{Args, Mode};
use crate::driver::{Offers, Settings};
use crate::parameters::is_pool_name;
use crate::pool;

/// Bytes in a driver's name (I-01).
const NAME: usize = 63;
/// Bytes in a node's id.
const NODE: usize = 256;
/// Bytes in a topology's value, which becomes a label of the node.
const LABEL: usize = 63;
/// Bytes in the path of a UNIX socket, which ends in a zero.
const SOCKET: usize = 107;

/// How the driver runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// What verbs care about.
    pub settings: Settings,
    /// What this process answers for.
    pub mode: Mode,
    /// The CSI socket.
    pub endpoint: PathBuf,
    /// Where state is kept.
    pub statedir: PathBuf,
    /// The pools.
    pub pools: Vec<Pool>,
    /// How it registers with kubelet; `None` where it does not.
    pub registration: Option<Registration>,
    /// Where HTTP is served, as host and port.
    pub http: Option<String>,
}

/// A pool as it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// The most that its volumes may be promised together, in bytes.
    pub limit: Option<u64>,
}

/// How the driver registers with kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The socket that kubelet finds.
    pub socket: PathBuf,
    /// The driver's name.
    pub name: String,
    /// The CSI socket as kubelet sees it.
    pub endpoint: PathBuf,
}

impl Config {
    /// The configuration that `args` ask for, or what is wrong with them.
    pub fn new(args: Args) -> Result<Self, String> {
        check_driver_name(&args.drivername)?;
        check_node(&args)?;
        check_socket(&args.endpoint)?;
        Ok(Self {
            registration: registration(&args)?,
            pools: pools(&args.statedir, args.pool, args.capacity)?,
            settings: Settings {
                name: args.drivername,
                node: args.nodeid,
                kubelet_dir: args.kubelet_dir,
                max_volume_size: args.max_volume_size,
                attach_limit: args.attach_limit,
                offers: Offers {
                    attach: args.enable_attach,
                    topology: args.enable_topology,
                    expansion: args.enable_volume_expansion,
                    modify: args.enable_controller_modify_volume,
                    metadata: args.enable_snapshot_metadata,
                    mount_group: args.enable_volume_mount_group,
                },
                remote: args.mode == Mode::Controller,
            },
            mode: args.mode,
            endpoint: args.endpoint,
            statedir: args.statedir,
            http: args.http_endpoint,
        })
    }
}

fn check_driver_name(name: &str) -> Result<(), String> {
    if is_dotted(name, NAME, "-.") {
        return Ok(());
    }
    Err(format!(
        "--drivername {name:?} is no name of a driver: up to {NAME} letters, digits, dots and dashes, as in hostpath.hawser.io"
    ))
}

fn check_node(args: &Args) -> Result<(), String> {
    let node = &args.nodeid;
    if node.is_empty() && args.mode.is_node() {
        return Err("--nodeid is missing: give the node's name".to_owned());
    }
    if node.len() > NODE {
        return Err(format!(
            "--nodeid has {} bytes, at most {NODE} are allowed",
            node.len()
        ));
    }
    if args.enable_topology && !node.is_empty() && !is_dotted(node, LABEL, "-_.") {
        return Err(format!(
            "--nodeid {node:?} cannot be the value of a label, which topology needs: up to {LABEL} letters, digits, dots, dashes and underscores, or --enable-topology=false"
        ));
    }
    Ok(())
}

/// Whether `text` has up to `most` letters, digits and characters of `also`, the latter not at its ends.
fn is_dotted(text: &str, most: usize, also: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    text.len() <= most
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || also.contains(c))
}

fn check_socket(path: &Path) -> Result<(), String> {
    let length = path.as_os_str().len();
    if length <= SOCKET {
        return Ok(());
    }
    Err(format!(
        "socket {} has {length} bytes, a socket's path has at most {SOCKET}",
        path.display()
    ))
}

fn pools(
    statedir: &Path,
    pools: Vec<(String, PathBuf)>,
    limits: Vec<(String, u64)>,
) -> Result<Vec<Pool>, String> {
    let mut paths = BTreeMap::from([(pool::DEFAULT.to_owned(), statedir.to_owned())]);
    for (name, path) in pools {
        if name == pool::DEFAULT {
            return Err(format!(
                "--pool {name}: that is the state directory's pool, choose it by --statedir"
            ));
        }
        if !is_pool_name(&name) {
            return Err(format!(
                "--pool {name:?} is no name of a pool, which a class can say: 1 to 63 characters of a-z, 0-9 and -"
            ));
        }
        if let Some((other, _)) = paths.iter().find(|(_, other)| **other == path) {
            return Err(format!(
                "--pool {name}: {} is the pool {other:?} already",
                path.display()
            ));
        }
        if paths.insert(name.clone(), path).is_some() {
            return Err(format!("--pool {name} is given twice"));
        }
    }
    let mut most = BTreeMap::new();
    for (name, limit) in limits {
        if !paths.contains_key(&name) {
            return Err(format!(
                "--capacity {name}: there is no such pool, add --pool {name}=/directory"
            ));
        }
        if most.insert(name.clone(), limit).is_some() {
            return Err(format!("--capacity {name} is given twice"));
        }
    }
    Ok(paths
        .into_iter()
        .map(|(name, path)| Pool {
            limit: most.remove(&name),
            name,
            path,
        })
        .collect())
}

fn registration(args: &Args) -> Result<Option<Registration>, String> {
    if !args.registration || !args.mode.is_node() {
        return Ok(None);
    }
    let name = args.drivername.clone();
    let socket = args
        .kubelet_dir
        .join("plugins_registry")
        .join(format!("{name}-reg.sock"));
    check_socket(&socket)?;
    let endpoint = match &args.kubelet_registration_path {
        Some(path) => path.clone(),
        None => seen_by_kubelet(args),
    };
    Ok(Some(Registration {
        socket,
        name,
        endpoint,
    }))
}

/// In a container the socket's directory is mounted from kubelet's directory for plugins.
fn seen_by_kubelet(args: &Args) -> PathBuf {
    if args.endpoint.starts_with(&args.kubelet_dir) {
        return args.endpoint.clone();
    }
    let mut path = args.kubelet_dir.join("plugins").join(&args.drivername);
    path.extend(args.endpoint.file_name());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[&str]) -> Result<Config, String> {
        let line = ["csi-hostpath"].iter().chain(flags).map(Into::into);
        Config::new(Args::read(line).map_err(|refusal| format!("{refusal:?}"))?)
    }

    #[track_caller]
    fn refused(flags: &[&str], says: &str) {
        let error = config(flags).unwrap_err();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }

    #[test]
    fn a_node_id_is_enough() {
        let config = config(&["--nodeid=n1"]).unwrap();
        assert_eq!(config.settings.name, "hostpath.hawser.io");
        assert_eq!(config.settings.node, "n1");
        assert_eq!(config.settings.max_volume_size, 1 << 40);
        assert_eq!(config.mode, Mode::All);
        assert_eq!(config.endpoint, Path::new("/csi/csi.sock"));
        assert_eq!(config.http, None);
        let offers = config.settings.offers;
        assert!(offers.topology && offers.expansion);
        assert!(!offers.attach && !offers.modify && !offers.metadata && !offers.mount_group);
        assert_eq!(
            config.pools,
            [Pool {
                name: "default".to_owned(),
                path: "/csi-data-dir".into(),
                limit: None
            }]
        );
    }

    #[test]
    fn switches_are_those_of_go() {
        let offers = |flags: &[&str]| config(flags).unwrap().settings.offers;
        assert!(offers(&["--nodeid=n", "--enable-attach"]).attach);
        assert!(offers(&["--nodeid=n", "--enable-attach=T"]).attach);
        assert!(!offers(&["--nodeid=n", "--enable-topology=false"]).topology);
        // What follows a switch is not its value.
        assert!(offers(&["--enable-attach", "--nodeid", "n"]).attach);
        refused(
            &["--nodeid=n", "--enable-attach=maybe"],
            "say true or false",
        );
    }

    #[test]
    fn pools_have_paths_and_limits() {
        let config = config(&[
            "--nodeid=n",
            "--statedir=/state",
            "--pool=fast=/fast,slow=/slow",
            "--capacity=fast=10Gi",
            "--capacity",
            "default=1Gi",
        ]);
        let pool = |name: &str, path: &str, limit| Pool {
            name: name.to_owned(),
            path: path.into(),
            limit,
        };
        assert_eq!(
            config.unwrap().pools,
            [
                pool("default", "/state", Some(1 << 30)),
                pool("fast", "/fast", Some(10 << 30)),
                pool("slow", "/slow", None)
            ]
        );
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_way_out() {
        refused(&[], "--nodeid is missing");
        refused(&["--mode=node"], "--nodeid is missing");
        refused(&["--nodeid=n", "--drivername=a_b"], "--drivername \"a_b\"");
        refused(&["--nodeid=n", "--drivername=.hidden"], "--drivername");
        refused(&["--nodeid=a b"], "--enable-topology=false");
        refused(&["--nodeid=n", "--endpoint=tcp://0.0.0.0:1"], "not on tcp");
        refused(&["--nodeid=n", "--endpoint=/csi/csi"], ".sock");
        refused(&["--nodeid=n", "--endpoint=csi.sock"], "begin with /");
        let long = format!("--endpoint=/{}.sock", "d".repeat(110));
        refused(&["--nodeid=n", &long], "at most 107");
        refused(&["--nodeid=n", "--pool=default=/x"], "--statedir");
        refused(&["--nodeid=n", "--pool=a=/x", "--pool=a=/y"], "twice");
        refused(
            &["--nodeid=n", "--pool=a=/x", "--pool=b=/x"],
            "\"a\" already",
        );
        refused(&["--nodeid=n", "--pool=../a=/x"], "name of a pool");
        // A class could not ask for it.
        refused(&["--nodeid=n", "--pool=Fast=/x"], "name of a pool");
        refused(&["--nodeid=n", "--pool=a"], "name=/directory");
        refused(&["--nodeid=n", "--capacity=b=1Gi"], "no such pool");
        refused(&["--nodeid=n", "--http-endpoint=9808"], ":9808");
        refused(&["--nodeid=n", "--mode=both"], "node, controller, all");
    }

    #[test]
    fn a_refusal_is_one_line() {
        let line = ["csi-hostpath", "--nodid=n"].map(Into::into);
        let Err(crate::args::Refusal::Wrong(text)) = Args::read(line) else {
            panic!("accepted");
        };
        assert!(!text.contains('\n') && text.contains("--nodeid"), "{text}");
    }

    #[test]
    fn kubelet_is_told_the_path_that_it_sees() {
        let endpoint = |flags: &[&str]| {
            let flags = [&["--nodeid=n"], flags].concat();
            config(&flags)
                .unwrap()
                .registration
                .map(|registration| registration.endpoint)
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(
            endpoint(&[]),
            path("/var/lib/kubelet/plugins/hostpath.hawser.io/csi.sock")
        );
        assert_eq!(
            endpoint(&["--kubelet-dir=/k", "--endpoint=/k/here/x.sock"]),
            path("/k/here/x.sock")
        );
        assert_eq!(
            endpoint(&["--kubelet-registration-path=/host/csi.sock"]),
            path("/host/csi.sock")
        );
        assert_eq!(endpoint(&["--registration=false"]), None);
        assert_eq!(endpoint(&["--mode=controller"]), None);
    }

    #[test]
    fn a_controller_needs_no_node() {
        let config = config(&["--mode=controller"]).unwrap();
        assert!(config.settings.remote && config.settings.node.is_empty());
    }
}
