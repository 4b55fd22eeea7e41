//! The life of a volume, as kubelet and the provisioner's sidecars have it: made, used until it is full, grown, snapshotted
//! while it is written to, restored, deleted. Its pool is an XFS filesystem in a file.

mod picture;
mod writing;

use proto::csi::Volume;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::csi::requests::*;
use testkit::csi::{Leaks, PoolKind, Pv, Scene};
use writing::Writer;

/// Sizes of the volume, before and after it grows. The first is little more than the least that XFS takes.
const SMALL: i64 = 320 * MIB;
const LARGE: i64 = 640 * MIB;
/// How much more is written when there is room again.
const MORE: u64 = 64 << 20;
/// Records of the journal before and after the snapshot, at least.
const RECORDS: u64 = 30;

/// Shows it. What is not as it should be ends the program. Times of the node's calls have kubelet's own work in them.
pub fn show() {
    let scene = Scene::on(PoolKind::Xfs);
    let (plugin, node) = scene.kubelet.register().expect("registration");
    println!(
        "A volume of {}, registered for {}, on a pool of XFS in a file\n",
        plugin.name, node.node_id
    );
    let leaks = scene.leaks();
    let unused = scene.pool.used();

    let volume = timed("CreateVolume", || {
        let wanted = create_volume("pvc-web").size(SMALL).filesystem("xfs");
        let made = scene.client.create_volume(wanted);
        made.expect("a volume")
            .volume
            .expect("a volume in the answer")
    });
    say(&format!(
        "{}, {}",
        size(SMALL.unsigned_abs()),
        volume.volume_id
    ));
    let web = Pv::of("pv-web", &volume).filesystem("xfs");
    let dir = use_in_pod(&scene, &web, "web");

    until_full(&scene, &dir);
    grow(&scene, &web, &dir);
    let snapshot = snapshot_while_writing(&scene, &volume, &dir);

    let restored = timed("CreateVolume", || {
        let wanted = create_volume("pvc-audit").size(LARGE).filesystem("xfs");
        let made = scene.client.create_volume(wanted.restoring(&snapshot.id));
        made.expect("a restored volume")
            .volume
            .expect("a volume in the answer")
    });
    say("restored from the snapshot");
    let audit = Pv::of("pv-audit", &restored).filesystem("xfs");
    let copy = use_in_pod(&scene, &audit, "audit");
    compare(&scene, &dir, &copy, &snapshot);

    println!(
        "\n{}",
        picture::of(&scene, [("web", &dir), ("audit", &copy)], unused)
    );

    let made = leaks.diff();
    give_up(&scene, [(&web, "web"), (&audit, "audit")], &snapshot.id);
    nothing_left(&leaks, made.lines());
}

/// A snapshot, and how much of the journal it must have at least and can have at most.
struct Taken {
    id: String,
    journal: (u64, u64),
}

fn use_in_pod(scene: &Scene, pv: &Pv, pod: &str) -> std::path::PathBuf {
    timed("NodeStage", || scene.kubelet.stage(pv).expect("staging"));
    let mount = scene
        .node
        .mount_at(scene.kubelet.staging_path(pv))
        .expect("a mount at the staging path");
    say(&format!("{} from {}", mount.filesystem, mount.source));
    let dir = timed("NodePublish", || {
        scene.kubelet.publish(pv, pod).expect("publishing")
    });
    let mount = scene
        .node
        .mount_at(&dir)
        .expect("a mount at the pod's path");
    say(&format!("to pod {pod}, {}", mount.options));
    dir
}

fn until_full(scene: &Scene, dir: &Path) {
    let (written, why) = timed("write", || {
        scene
            .node
            .run(|| writing::until_refused(&dir.join("data")))
            .expect("writing")
    });
    say(&format!("{}, then: {why}", size(written)));
    let (limit, left) = (
        SMALL.unsigned_abs(),
        scene
            .node
            .run(|| writing::room(scene.pool.path()))
            .expect("the pool's room"),
    );
    assert!(
        written < limit,
        "{written} bytes fit into a volume of {limit}"
    );
    assert!(
        left > limit,
        "it was the pool that had no room: {left} bytes"
    );
}

fn grow(scene: &Scene, pv: &Pv, dir: &Path) {
    timed("ControllerExpand", || {
        scene
            .client
            .controller_expand_volume(expand(&pv.volume.volume_id, LARGE))
            .expect("the promise")
    });
    say(&format!("to {}", size(LARGE.unsigned_abs())));
    timed("NodeExpand", || {
        scene.kubelet.expand(pv, "web", LARGE).expect("growth")
    });
    let room = scene
        .node
        .run(|| writing::room(dir))
        .expect("the volume's room");
    say(&format!(
        "mounted, and now with room for {} more",
        size(room)
    ));
    timed("write", || {
        scene
            .node
            .run(|| writing::more(&dir.join("data"), MORE))
            .expect("writing on")
    });
    say(&format!("{} more", size(MORE)));
}

fn snapshot_while_writing(scene: &Scene, volume: &Volume, dir: &Path) -> Taken {
    let writer = Writer::start(scene.node.place(), dir.join("journal"));
    writer.wait_for(RECORDS);
    let before = writer.on_disk();
    let snapshot = timed("CreateSnapshot", || {
        let wanted = create_snapshot("snap-web", &volume.volume_id);
        let made = scene.client.create_snapshot(wanted).expect("a snapshot");
        made.snapshot.expect("a snapshot in the answer")
    });
    assert!(
        snapshot.ready_to_use,
        "the snapshot is not ready to use, on a pool that shares bytes"
    );
    writer.wait_for(writer.records() + RECORDS);
    let (after, pause) = writer.stop();
    say(&format!(
        "while a journal is written, record by record; its longest wait was {}",
        milliseconds(pause)
    ));
    Taken {
        id: snapshot.snapshot_id,
        journal: (before, after),
    }
}

/// The snapshot has the data, and the journal up to one moment.
fn compare(scene: &Scene, dir: &Path, copy: &Path, taken: &Taken) {
    let hash = |file: std::path::PathBuf, bytes: u64| {
        scene.node.sh(&format!(
            "head -c {bytes} {} | sha256sum | cut -c -64",
            file.display()
        ))
    };
    for name in ["data", "journal"] {
        let bytes = writing::length(scene.node.place(), &copy.join(name));
        let hashes = [dir, copy].map(|dir| hash(dir.join(name), bytes));
        assert_eq!(hashes[0], hashes[1], "{name} is not what was written");
        let whole = if name == "data" {
            assert_eq!(
                bytes,
                writing::length(scene.node.place(), &dir.join(name)),
                "the length of {name}"
            );
            String::new()
        } else {
            let (least, most) = taken.journal;
            assert!(
                (least..=most).contains(&bytes),
                "{bytes} bytes of a journal that had {least} to {most}"
            );
            format!(
                " of {}, all that was on disk when it was asked for",
                size(most)
            )
        };
        println!(
            "{:<18}{:>9}    {name}: {}... the same, {}{whole}",
            "compare",
            "",
            &hashes[0][..16],
            size(bytes)
        );
    }
}

fn give_up(scene: &Scene, used: [(&Pv, &str); 2], snapshot: &str) {
    for (pv, pod) in used {
        timed("NodeUnpublish", || {
            scene.kubelet.unpublish(pv, pod).expect("unpublishing")
        });
        say(&format!("from pod {pod}"));
        timed("NodeUnstage", || {
            scene.kubelet.unstage(pv).expect("unstaging")
        });
        say("");
    }
    // The source first: a snapshot does not need it.
    for (pv, _) in used {
        timed("DeleteVolume", || {
            scene
                .client
                .delete_volume(delete_volume(&pv.volume.volume_id))
                .expect("deleting")
        });
        say(&pv.volume.volume_id);
    }
    timed("DeleteSnapshot", || {
        scene
            .client
            .delete_snapshot(delete_snapshot(snapshot))
            .expect("deleting")
    });
    say(snapshot);
}

/// Waits for what the driver clears away in the background, and tells what there was.
fn nothing_left(leaks: &Leaks<'_>, made: &[String]) {
    leaks.assert_none();
    let count = |kind: &str| made.iter().filter(|line| line.contains(kind)).count();
    let (mounts, loops, files) = (count("mount "), count("loop device "), count("file "));
    println!(
        "\nin use were {mounts} mounts, {loops} loop devices and {files} files; left of them: 0"
    );
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let outcome = act();
    print!("{what:<18}{:>9}    ", milliseconds(started.elapsed()));
    outcome
}

/// The rest of the line that [`timed`] begins.
fn say(text: &str) {
    println!("{text}");
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    }
}
