//! Records as callers are told of them.

use proto::csi::volume_content_source::{SnapshotSource, Type as Source, VolumeSource};
use proto::csi::volume_usage::Unit;
use proto::csi::{self, Topology, VolumeContentSource, VolumeUsage};

use crate::attachment::{Stats, Usage};
use crate::driver::{Condition, Settings};
use crate::record::{Group, Kind, Progress, Snapshot, Volume};

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// A size or an offset in bytes. No file is larger than an `i64`.
pub fn bytes(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The topology of this node, if topology is offered.
pub fn topology(settings: &Settings) -> Option<Topology> {
    settings.offers.topology.then(|| Topology {
        segments: [(
            format!("topology.{}/node", settings.name),
            settings.node.clone(),
        )]
        .into(),
    })
}

/// The context of a volume: the same as long as it exists (G-17).
pub fn context<M: FromIterator<(String, String)>>(kind: Kind, pool: &str) -> M {
    let told = [("kind", kind.name()), ("pool", pool)];
    told.into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A volume (CV-10).
pub fn volume(settings: &Settings, volume: Volume) -> csi::Volume {
    let common = common(settings, volume.kind(), &volume.pool);
    csi::Volume {
        volume_context: common.volume_context,
        accessible_topology: common.accessible_topology,
        ..own(volume)
    }
}

/// What the volumes of a kind in a pool have in common, and nothing else.
pub fn common(settings: &Settings, kind: Kind, pool: &str) -> csi::Volume {
    csi::Volume {
        volume_context: context(kind, pool),
        accessible_topology: topology(settings).into_iter().collect(),
        ..csi::Volume::default()
    }
}

/// What a volume has for itself, without what is [`common`].
pub fn own(volume: Volume) -> csi::Volume {
    csi::Volume {
        capacity_bytes: bytes(volume.size),
        content_source: source(volume.from_snapshot, volume.from_volume),
        volume_id: volume.id,
        ..csi::Volume::default()
    }
}

fn source(snapshot: Option<String>, volume: Option<String>) -> Option<VolumeContentSource> {
    let snapshot = snapshot.map(|snapshot_id| Source::Snapshot(SnapshotSource { snapshot_id }));
    let volume = volume.map(|volume_id| Source::Volume(VolumeSource { volume_id }));
    snapshot.or(volume).map(|source| VolumeContentSource {
        r#type: Some(source),
    })
}

/// The nodes that a volume is attached to, where attaching is offered (LV-02).
pub fn nodes(settings: &Settings, volume: &Volume) -> Vec<String> {
    let attached = volume.attached.iter().map(|attached| attached.node.clone());
    attached.filter(|_| settings.offers.attach).collect()
}

/// A condition.
pub fn condition(condition: Condition) -> csi::VolumeCondition {
    csi::VolumeCondition {
        abnormal: condition.abnormal,
        message: condition.message,
    }
}

/// A snapshot (CS-03).
pub fn snapshot(snapshot: &Snapshot) -> csi::Snapshot {
    csi::Snapshot {
        size_bytes: bytes(snapshot.size),
        snapshot_id: snapshot.id.clone(),
        source_volume_id: snapshot.source.clone(),
        creation_time: Some(time(snapshot.created)),
        ready_to_use: snapshot.progress() == Progress::Ready,
        group_snapshot_id: snapshot.group.clone().unwrap_or_default(),
    }
}

/// A group of snapshots, ready when all of them are (GG-03).
pub fn group((group, snapshots): &(Group, Vec<Snapshot>)) -> csi::VolumeGroupSnapshot {
    let snapshots: Vec<_> = snapshots.iter().map(snapshot).collect();
    csi::VolumeGroupSnapshot {
        group_snapshot_id: group.id.clone(),
        creation_time: Some(time(group.created)),
        ready_to_use: snapshots.iter().all(|snapshot| snapshot.ready_to_use),
        snapshots,
    }
}

/// What a volume uses (NG-01). Of a raw device only the size is told.
pub fn usage(stats: &Stats) -> Vec<VolumeUsage> {
    let all = |usage: Usage, unit: Unit| VolumeUsage {
        available: bytes(usage.available),
        total: bytes(usage.total),
        used: bytes(usage.used),
        unit: unit.into(),
    };
    let mut space = all(stats.bytes, Unit::Bytes);
    if !stats.measured {
        (space.available, space.used) = (0, 0);
    }
    let inodes = stats.inodes.map(|inodes| all(inodes, Unit::Inodes));
    [space].into_iter().chain(inodes).collect()
}

fn time(nanoseconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: nanoseconds.div_euclid(SECOND),
        nanos: i32::try_from(nanoseconds.rem_euclid(SECOND)).unwrap_or_default(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::driver::Offers;
    use crate::record::Attached;
    use std::collections::BTreeMap;

    pub(crate) fn settings(offered: bool) -> Settings {
        Settings {
            name: "d.example".to_owned(),
            node: "n1".to_owned(),
            kubelet_dir: "/k".into(),
            max_volume_size: 1,
            attach_limit: 0,
            offers: Offers {
                attach: offered,
                topology: offered,
                expansion: offered,
                modify: offered,
                metadata: offered,
                mount_group: offered,
            },
            remote: false,
        }
    }

    pub(crate) fn record() -> Volume {
        Volume {
            id: "vol-1".to_owned(),
            pool: "fast".to_owned(),
            kind: Kind::Image.into(),
            size: 7,
            parameters: BTreeMap::from([("secretive".to_owned(), "x".to_owned())]),
            from_volume: Some("vol-0".to_owned()),
            attached: vec![Attached {
                node: "n1".to_owned(),
                readonly: false,
                mode: 1,
            }],
            ..Volume::default()
        }
    }

    #[test]
    fn a_volume_is_where_its_node_is() {
        let told = volume(&settings(true), record());
        assert_eq!(told.capacity_bytes, 7);
        let segments = &told.accessible_topology[0].segments;
        assert_eq!(segments["topology.d.example/node"], "n1");
        assert_eq!(
            told.content_source.unwrap().r#type,
            Some(Source::Volume(VolumeSource {
                volume_id: "vol-0".to_owned()
            }))
        );
        assert!(
            volume(&settings(false), record())
                .accessible_topology
                .is_empty()
        );
    }

    #[test]
    fn the_context_is_kind_and_pool_and_nothing_else() {
        let told = [("kind", "image"), ("pool", "fast")];
        assert_eq!(
            context::<BTreeMap<_, _>>(Kind::Image, "fast"),
            told.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        );
    }

    #[test]
    fn nodes_are_told_where_attaching_is_offered() {
        assert_eq!(nodes(&settings(true), &record()), ["n1"]);
        assert!(nodes(&settings(false), &record()).is_empty());
    }

    #[test]
    fn a_group_is_ready_when_its_last_snapshot_is() {
        let member = |progress: Progress| Snapshot {
            progress: progress.into(),
            created: -1,
            ..Snapshot::default()
        };
        let told = |last| {
            group(&(
                Group::default(),
                vec![member(Progress::Ready), member(last)],
            ))
        };
        assert!(told(Progress::Ready).ready_to_use);
        assert!(!told(Progress::Copying).ready_to_use);
        let time = told(Progress::Failed).snapshots[0].creation_time.unwrap();
        assert_eq!((time.seconds, time.nanos), (-1, 999_999_999));
    }

    #[test]
    fn a_raw_device_tells_its_size_only() {
        let bytes = Usage {
            total: 9,
            used: 4,
            available: 5,
        };
        let stats = |measured| Stats {
            bytes,
            measured,
            inodes: measured.then_some(bytes),
            condition: Condition::default(),
        };
        let raw = usage(&stats(false));
        assert_eq!(raw.len(), 1);
        assert_eq!((raw[0].total, raw[0].used, raw[0].available), (9, 0, 0));
        let mounted = usage(&stats(true));
        assert_eq!(mounted[0].used, 4);
        assert_eq!(mounted[1].unit(), Unit::Inodes);
    }
}
