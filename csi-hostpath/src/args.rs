//! The command line and the environment: the documentation of every flag.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::log::{Format, Level};
use crate::{quantity, termination};

/// A CSI driver for volumes on a node's own disks: enforced sizes, real growth, instant snapshots.
///
/// Every flag can also be given by environment, as HAWSER_ and the flag's name in capitals with underscores:
/// HAWSER_MAX_VOLUME_SIZE for --max-volume-size. The one exception is CSI_ENDPOINT, whose name CSI prescribes. A flag wins
/// over the environment, and over the same flag before it. Lists are separated by commas. Sizes are written as Kubernetes
/// writes them: 500Mi, 1.5Gi, 10G.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true)]
#[allow(clippy::struct_excessive_bools)]
pub struct Args {
    /// The driver's name: of the CSIDriver object, and what a StorageClass calls its provisioner.
    #[arg(
        long,
        env = "HAWSER_DRIVERNAME",
        value_name = "NAME",
        default_value = "hostpath.hawser.io"
    )]
    pub drivername: String,

    /// This node's id, unique in the cluster; usually the node's name. Required in the modes node and all.
    #[arg(
        long,
        env = "HAWSER_NODEID",
        value_name = "ID",
        default_value = "",
        hide_default_value = true
    )]
    pub nodeid: String,

    /// What this process answers for: calls about this node's mounts, calls about volumes and snapshots, or both.
    #[arg(
        long,
        env = "HAWSER_MODE",
        value_enum,
        value_name = "MODE",
        default_value = "all"
    )]
    pub mode: Mode,

    /// The UNIX socket to answer at, as unix:///path or /path. The path ends in .sock.
    #[arg(long, env = "CSI_ENDPOINT", value_name = "SOCKET", default_value = "unix:///csi/csi.sock", value_parser = endpoint)]
    pub endpoint: PathBuf,

    /// Where the driver keeps its state, and the data of the pool "default". One driver at a time.
    #[arg(
        long,
        env = "HAWSER_STATEDIR",
        value_name = "DIRECTORY",
        default_value = "/csi-data-dir"
    )]
    pub statedir: PathBuf,

    /// A further pool: a directory, usually on a filesystem of its own, that classes choose by the parameter "pool". May be
    /// given more than once.
    #[arg(long, env = "HAWSER_POOL", value_name = "NAME=DIRECTORY", value_delimiter = ',', value_parser = pool)]
    pub pool: Vec<(String, PathBuf)>,

    /// The most that the volumes of a pool may be promised together. Without it, the filesystem's free space decides. May be
    /// given more than once.
    #[arg(long, env = "HAWSER_CAPACITY", value_name = "POOL=SIZE", value_delimiter = ',', value_parser = capacity)]
    pub capacity: Vec<(String, u64)>,

    /// The largest volume that can be had.
    #[arg(long, env = "HAWSER_MAX_VOLUME_SIZE", value_name = "SIZE", default_value = "1Ti", value_parser = quantity::parse)]
    pub max_volume_size: u64,

    /// How many volumes may be used on this node; 0 for any number.
    #[arg(
        long,
        alias = "maxvolumespernode",
        env = "HAWSER_ATTACH_LIMIT",
        value_name = "NUMBER",
        default_value = "0"
    )]
    pub attach_limit: u32,

    /// Offer ControllerPublishVolume. Node-local volumes do not need it; external-attacher and attachRequired go with it.
    #[arg(long, env = "HAWSER_ENABLE_ATTACH", value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = switch)]
    pub enable_attach: bool,

    /// Say on which node a volume is, so that pods follow their volumes.
    #[arg(long, env = "HAWSER_ENABLE_TOPOLOGY", value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = switch)]
    pub enable_topology: bool,

    /// Offer to grow volumes.
    #[arg(long, env = "HAWSER_ENABLE_VOLUME_EXPANSION", value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = switch)]
    pub enable_volume_expansion: bool,

    /// Offer ControllerModifyVolume (VolumeAttributesClass).
    #[arg(long, env = "HAWSER_ENABLE_CONTROLLER_MODIFY_VOLUME", value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = switch)]
    pub enable_controller_modify_volume: bool,

    /// Offer the service SnapshotMetadata: which blocks a snapshot has, and which changed since another.
    #[arg(long, env = "HAWSER_ENABLE_SNAPSHOT_METADATA", value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = switch)]
    pub enable_snapshot_metadata: bool,

    /// Give a volume's files to the pod's fsGroup in the driver, where kubelet would otherwise do it file by file.
    #[arg(long, env = "HAWSER_ENABLE_VOLUME_MOUNT_GROUP", value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = switch)]
    pub enable_volume_mount_group: bool,

    /// Where kubelet lives. It may be a symbolic link; on the way from there to a staging or target path none is followed.
    #[arg(
        long,
        env = "HAWSER_KUBELET_DIR",
        value_name = "DIRECTORY",
        default_value = "/var/lib/kubelet"
    )]
    pub kubelet_dir: PathBuf,

    /// Register with kubelet, in plugins_registry beneath its directory. Switch it off behind node-driver-registrar.
    #[arg(long, env = "HAWSER_REGISTRATION", value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = switch)]
    pub registration: bool,

    /// The path of the driver's socket as kubelet sees it. Without it, the path of --endpoint where that is beneath kubelet's
    /// directory, else plugins/DRIVERNAME/SOCKET beneath it.
    #[arg(long, env = "HAWSER_KUBELET_REGISTRATION_PATH", value_name = "PATH", value_parser = absolute)]
    pub kubelet_registration_path: Option<PathBuf>,

    /// Where /healthz and /metrics are served over HTTP, as :9808 or 127.0.0.1:9808. Not served without it.
    #[arg(long, env = "HAWSER_HTTP_ENDPOINT", value_name = "ADDRESS", value_parser = listen_address)]
    pub http_endpoint: Option<String>,

    /// The file in which kubelet reads why the driver ended. It is written only if it is there.
    #[arg(
        long,
        env = termination::VARIABLE,
        value_name = "FILE",
        default_value = termination::PATH
    )]
    pub termination_log: PathBuf,

    /// How log lines look.
    #[arg(
        long,
        env = "HAWSER_LOG_FORMAT",
        value_enum,
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: Format,

    /// What is logged: error, warn, info, debug or trace, or a number as klog has it (4 and 5 are debug). Secrets and mount
    /// options never are.
    #[arg(
        short = 'v',
        long,
        alias = "v",
        env = "HAWSER_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: Level,
}

/// What a process answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Mounts of this node.
    Node,
    /// Volumes and snapshots.
    Controller,
    /// Both.
    All,
}

impl Mode {
    /// Whether it answers for mounts of its node.
    pub const fn is_node(self) -> bool {
        matches!(self, Self::Node | Self::All)
    }

    /// Whether it answers for volumes and snapshots.
    pub const fn is_controller(self) -> bool {
        matches!(self, Self::Controller | Self::All)
    }
}

impl Args {
    /// Reads a command line, program name first, and the environment. What is wrong is one line.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, Refusal> {
        Self::try_parse_from(line).map_err(|error| {
            if error.use_stderr() {
                Refusal::Wrong(one_line(&error.render().to_string()))
            } else {
                Refusal::Told(error.render().to_string())
            }
        })
    }
}

/// Why there are no arguments to go on with.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The help or the version was asked for: here it is.
    Told(String),
    /// Something is wrong, in one line.
    Wrong(String),
}

/// What clap says is wrong, without the usage that it adds.
fn one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    text.lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A boolean as Go's flag package takes it.
fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("say true or false".to_owned()),
    }
}

fn endpoint(text: &str) -> Result<PathBuf, String> {
    let path = match text.split_once("://") {
        None => text.strip_prefix("unix:").unwrap_or(text),
        Some(("unix", path)) => path,
        Some((scheme, _)) => {
            return Err(format!(
                "CSI is served on a UNIX socket and not on {scheme}: anybody who reaches the driver can mount and delete"
            ));
        }
    };
    if !text.ends_with(".sock") {
        return Err("the path must end in .sock (CSI prescribes it)".to_owned());
    }
    absolute(path)
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    if Path::new(text).is_absolute() {
        Ok(PathBuf::from(text))
    } else {
        Err("the path must begin with /".to_owned())
    }
}

fn pool(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write it as name=/directory")?;
    Ok((name.to_owned(), absolute(path)?))
}

fn capacity(text: &str) -> Result<(String, u64), String> {
    let (name, size) = text.split_once('=').ok_or("write it as pool=100Gi")?;
    Ok((name.to_owned(), quantity::parse(size)?))
}

/// Host and port, the host empty for every address.
fn listen_address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':').map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err("write it as :9808 or 127.0.0.1:9808".to_owned()),
    }
}
