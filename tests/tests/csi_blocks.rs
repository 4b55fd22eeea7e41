//! SnapshotMetadata: which blocks of a raw device hold data, and which changed between two moments. A backup made by it is
//! the device.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use proto::csi::{
    BlockMetadata, BlockMetadataType, GetMetadataAllocatedResponse, GetMetadataDeltaResponse,
    Snapshot,
};
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Scene};
use tonic::{Code, Status};

/// An id that nothing has.
const NOBODY: &str = "0123456789abcdef0123456789abcdef";
/// What writes are multiples of, in bytes.
const PAGE: u64 = 4096;

/// A scene whose driver offers the service.
fn scene(pool: PoolKind) -> Scene {
    Scene::with(pool, |setup| setup.flag("enable-snapshot-metadata", "true"))
}

fn raw(name: &str, bytes: i64) -> proto::csi::CreateVolumeRequest {
    create_volume(name).size(bytes).block()
}

/// Messages of a stream, of whichever call: style, capacity, blocks.
type Message = (i32, i64, Vec<BlockMetadata>);

/// What is asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    base: Option<&'a Snapshot>,
    target: &'a Snapshot,
    from: i64,
    most: i32,
}

impl<'a> Asked<'a> {
    fn allocated(target: &'a Snapshot) -> Self {
        Self {
            base: None,
            target,
            from: 0,
            most: 0,
        }
    }

    fn delta(base: &'a Snapshot, target: &'a Snapshot) -> Self {
        Self {
            base: Some(base),
            ..Self::allocated(target)
        }
    }

    /// The messages, and how the stream ended.
    fn stream(self, scene: &Scene) -> (Vec<Message>, Result<(), Status>) {
        let target = &self.target.snapshot_id;
        if let Some(base) = self.base {
            let mut request = delta(&base.snapshot_id, target);
            (request.starting_offset, request.max_results) = (self.from, self.most);
            let told = scene.client.get_metadata_delta(request);
            let messages = told.messages.into_iter();
            let message = |m: GetMetadataDeltaResponse| {
                (
                    m.block_metadata_type,
                    m.volume_capacity_bytes,
                    m.block_metadata,
                )
            };
            return (messages.map(message).collect(), told.end);
        }
        let mut request = allocated(target);
        (request.starting_offset, request.max_results) = (self.from, self.most);
        let told = scene.client.get_metadata_allocated(request);
        let messages = told.messages.into_iter();
        let message = |m: GetMetadataAllocatedResponse| {
            (
                m.block_metadata_type,
                m.volume_capacity_bytes,
                m.block_metadata,
            )
        };
        (messages.map(message).collect(), told.end)
    }

    /// Why it is refused, without a message before.
    #[track_caller]
    fn refused(self, scene: &Scene) -> Status {
        let (messages, end) = self.stream(scene);
        assert!(messages.is_empty(), "{messages:?}");
        end.unwrap_err()
    }

    /// The blocks, after a look at the form of the stream (SM-02, SM-03).
    fn blocks(self, scene: &Scene) -> Vec<BlockMetadata> {
        let mut all: Vec<BlockMetadata> = Vec::new();
        let (messages, end) = self.stream(scene);
        end.unwrap();
        assert!(!messages.is_empty(), "the capacity is told in any case");
        for (style, capacity, blocks) in messages {
            assert_eq!(style, i32::from(BlockMetadataType::VariableLength));
            assert_eq!(capacity, self.target.size_bytes);
            if let Ok(most @ 1..) = usize::try_from(self.most) {
                assert!(blocks.len() <= most);
            }
            for block in blocks {
                let end = all.last().map_or(0, end_of);
                assert!(
                    block.size_bytes > 0 && block.byte_offset >= end,
                    "{block:?} after {end}"
                );
                assert!(end_of(&block) <= capacity, "{block:?} of {capacity}");
                all.push(block);
            }
        }
        all
    }
}

fn end_of(block: &BlockMetadata) -> i64 {
    block.byte_offset + block.size_bytes
}

/// A change of a device: data of some seed, or a hole, over some pages.
#[derive(Debug, Clone)]
struct Change {
    page: u64,
    pages: u64,
    seed: Option<u8>,
}

/// The same numbers in each run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Some changes of a device of so many pages.
    fn changes(&mut self, pages: u64) -> Vec<Change> {
        let count = self.below(12);
        (0..count)
            .map(|_| {
                let page = self.below(pages);
                Change {
                    page,
                    pages: (1 + self.below(24)).min(pages - page),
                    seed: (self.below(4) > 0).then(|| u8::try_from(1 + self.below(255)).unwrap()),
                }
            })
            .collect()
    }
}

/// Writes to a device of the node, or punches holes, and has it on disk.
fn change(scene: &Scene, device: &Path, changes: &[Change]) {
    for change in changes {
        let (offset, length) = (change.page * PAGE, change.pages * PAGE);
        match change.seed {
            Some(seed) => scene.node.run(|| {
                let file = File::options().write(true).open(device).unwrap();
                let bytes = vec![seed; usize::try_from(length).unwrap()];
                file.write_all_at(&bytes, offset).unwrap();
                file.sync_data().unwrap();
            }),
            None => {
                scene.node.sh(&format!(
                    "blkdiscard --offset {offset} --length {length} {}",
                    device.display()
                ));
            }
        }
    }
}

fn read(scene: &Scene, path: &Path) -> Vec<u8> {
    scene.node.run(|| std::fs::read(path)).unwrap()
}

/// What a snapshot holds, read from a volume made of it.
fn content(scene: &Scene, snapshot: &Snapshot) -> Vec<u8> {
    let restored = create_volume(&format!("of-{}", snapshot.snapshot_id));
    let restored = scene.volume(restored.restoring(&snapshot.snapshot_id).block());
    let content = read(scene, &scene.publish(&restored));
    scene.release(&restored);
    scene.delete(&restored);
    content
}

/// What a backup program does: copies blocks that it was told, over what it has.
fn apply(backup: &mut Vec<u8>, blocks: &[BlockMetadata], from: &[u8]) {
    backup.resize(from.len(), 0);
    for block in blocks {
        let start = usize::try_from(block.byte_offset).unwrap();
        let end = usize::try_from(end_of(block)).unwrap();
        backup[start..end].copy_from_slice(&from[start..end]);
    }
}

/// Whether two contents are the same, told without printing them.
#[track_caller]
fn assert_same(backup: &[u8], device: &[u8], what: &str) {
    assert_eq!(backup.len(), device.len(), "{what}");
    let differs = backup.iter().zip(device).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{what}: the first byte that differs");
}

/// SM-02, SM-04: full and incremental backups of random changes, also of a device that grew in between, and streams that
/// are resumed.
fn backups(pool: PoolKind) {
    let scene = scene(pool);
    let volume = scene.volume(raw("volume", 8 * MIB));
    let mut random = Random(20);
    let mut backup = Vec::new();
    let mut before: Option<Snapshot> = None;
    for (round, size) in [8, 8, 8, 12, 12]
        .map(|mib| mib * MIB)
        .into_iter()
        .enumerate()
    {
        let device = scene.publish(&volume);
        let id = &volume.volume.volume_id;
        scene
            .client
            .controller_expand_volume(expand(id, size))
            .unwrap();
        scene
            .kubelet
            .expand(&volume, "pod-of-volume", size)
            .unwrap();
        let changes = random.changes(size.unsigned_abs() / PAGE);
        change(&scene, &device, &changes);
        // What is written there cannot be copied at one moment.
        if pool == PoolKind::Ext4 {
            scene.release(&volume);
        }
        let snapshot = scene.snapshot(&format!("s{round}"), &volume);
        if pool != PoolKind::Ext4 {
            scene.release(&volume);
        }
        assert_eq!(snapshot.size_bytes, size);
        let content = content(&scene, &snapshot);
        let all = Asked::allocated(&snapshot);
        let mut full = Vec::new();
        apply(&mut full, &all.blocks(&scene), &content);
        assert_same(&full, &content, "a full backup");

        let asked = before
            .as_ref()
            .map_or(all, |base| Asked::delta(base, &snapshot));
        apply(&mut backup, &asked.blocks(&scene), &content);
        assert_same(
            &backup,
            &content,
            &format!("an incremental backup after {changes:?}"),
        );
        resumed(&scene, all);
        resumed(&scene, asked);
        before = Some(snapshot);
    }
}

/// SM-03, SM-04: wherever a stream is resumed, it is the tail of the whole one; however small its messages are, it is the
/// same.
fn resumed(scene: &Scene, asked: Asked<'_>) {
    let whole = asked.blocks(scene);
    assert_eq!(Asked { most: 1, ..asked }.blocks(scene), whole);
    assert_eq!(Asked { most: 3, ..asked }.blocks(scene), whole);
    let capacity = asked.target.size_bytes;
    let edges = whole
        .iter()
        .flat_map(|block| [block.byte_offset, end_of(block)]);
    let near = edges.flat_map(|at| [at - 1, at, at + 1]);
    let mut offsets: Vec<_> = near.chain([1, capacity / 2, capacity]).collect();
    offsets.retain(|at| (0..=capacity).contains(at));
    offsets.sort_unstable();
    offsets.dedup();
    for from in offsets {
        let tail: Vec<_> = whole
            .iter()
            .filter(|block| end_of(block) > from)
            .cloned()
            .collect();
        assert_eq!(Asked { from, ..asked }.blocks(scene), tail, "from {from}");
    }
}

#[test]
fn sm_02_sm_04_backups_are_the_device_on_ext4() {
    backups(PoolKind::Ext4);
}

#[test]
fn sm_02_sm_04_backups_are_the_device_on_xfs() {
    backups(PoolKind::Xfs);
}

#[test]
fn sm_02_sm_04_backups_are_the_device_on_btrfs() {
    backups(PoolKind::Btrfs);
}

/// SM-04: what is told is what was written, and not the whole device.
#[test]
fn sm_04_only_what_changed_is_told() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = scene(pool);
        let volume = scene.volume(raw("volume", 64 * MIB));
        let empty = scene.snapshot("empty", &volume);
        let step = |name: &str, changes: &[Change]| {
            let device = scene.publish(&volume);
            change(&scene, &device, changes);
            scene.release(&volume);
            scene.snapshot(name, &volume)
        };
        // Far from each other, and aligned to all that a pool may round to.
        let (first, second) = (16 << 20, 48 << 20);
        let at = |offset: u64, seed| Change {
            page: offset / PAGE,
            pages: 256,
            seed,
        };
        let one = step("one", &[at(first, Some(1))]);
        let two = step("two", &[at(second, Some(2))]);
        let same = step("same", &[]);
        let gone = step("gone", &[at(first, None)]);
        let mib = |offset: u64| BlockMetadata {
            byte_offset: i64::try_from(offset).unwrap(),
            size_bytes: MIB,
        };
        let rows = [
            (Asked::allocated(&empty), vec![]),
            (Asked::allocated(&one), vec![mib(first)]),
            (Asked::allocated(&two), vec![mib(first), mib(second)]),
            (Asked::allocated(&gone), vec![mib(second)]),
            (Asked::delta(&empty, &one), vec![mib(first)]),
            (Asked::delta(&one, &two), vec![mib(second)]),
            (Asked::delta(&two, &same), vec![]),
            (Asked::delta(&two, &two), vec![]),
            (Asked::delta(&same, &gone), vec![mib(first)]),
            (Asked::delta(&empty, &gone), vec![mib(second)]),
        ];
        for (number, (asked, expected)) in rows.into_iter().enumerate() {
            assert_eq!(asked.blocks(&scene), expected, "{pool:?}, row {number}");
        }
        // It does not take the volume.
        scene.delete(&volume);
        scene.forget(&empty);
        assert_eq!(
            Asked::allocated(&two).blocks(&scene),
            [mib(first), mib(second)]
        );
        assert_eq!(Asked::delta(&one, &two).blocks(&scene), [mib(second)]);
    }
}

#[test]
fn sm_03_sm_05_what_is_wrong_is_refused() {
    let scene = scene(PoolKind::Xfs);
    let volume = scene.volume(raw("volume", 8 * MIB));
    let other = scene.volume(raw("other", 8 * MIB));
    let mounted = scene.volume(
        create_volume("mounted")
            .size(64 * MIB)
            .parameter("kind", "image"),
    );
    let (one, two) = (
        scene.snapshot("one", &volume),
        scene.snapshot("two", &volume),
    );
    let of_other = scene.snapshot("of the other", &other);
    let of_mounted = scene.snapshot("of the mounted", &mounted);
    let unknown = Snapshot {
        snapshot_id: format!("snap-{NOBODY}"),
        ..one.clone()
    };
    let foreign = Snapshot {
        snapshot_id: "../../etc".to_owned(),
        ..one.clone()
    };
    let nameless = Snapshot::default();
    let (all, changed) = (Asked::allocated(&one), Asked::delta(&one, &two));
    let past = 8 * MIB + 1;
    let rows = [
        (Asked::allocated(&nameless), Code::InvalidArgument),
        (Asked::delta(&nameless, &one), Code::InvalidArgument),
        (Asked::delta(&one, &nameless), Code::InvalidArgument),
        (Asked::allocated(&unknown), Code::NotFound),
        (Asked::allocated(&foreign), Code::NotFound),
        (Asked::delta(&unknown, &one), Code::NotFound),
        (Asked::delta(&one, &unknown), Code::NotFound),
        (Asked { most: -1, ..all }, Code::InvalidArgument),
        (
            Asked {
                most: -1,
                ..changed
            },
            Code::InvalidArgument,
        ),
        (Asked { from: -1, ..all }, Code::OutOfRange),
        (
            Asked {
                from: -1,
                ..changed
            },
            Code::OutOfRange,
        ),
        (Asked { from: past, ..all }, Code::OutOfRange),
        (
            Asked {
                from: past,
                ..changed
            },
            Code::OutOfRange,
        ),
        (
            Asked {
                from: i64::MAX,
                ..all
            },
            Code::OutOfRange,
        ),
        (Asked::delta(&of_other, &one), Code::InvalidArgument),
        (Asked::allocated(&of_mounted), Code::FailedPrecondition),
        (
            Asked::delta(&of_mounted, &of_mounted),
            Code::FailedPrecondition,
        ),
    ];
    for (number, (asked, code)) in rows.into_iter().enumerate() {
        let refused = asked.refused(&scene);
        assert_eq!(refused.code(), code, "row {number}: {refused}");
    }
}

/// SM-01: it is alpha, and offered when asked for.
#[test]
fn sm_01_it_is_offered_when_asked_for() {
    let scene = Scene::on(PoolKind::Xfs);
    let volume = scene.volume(raw("volume", 8 * MIB));
    let snapshot = scene.snapshot("snapshot", &volume);
    for asked in [
        Asked::allocated(&snapshot),
        Asked::delta(&snapshot, &snapshot),
    ] {
        assert_eq!(asked.refused(&scene).code(), Code::Unimplemented);
    }
}
