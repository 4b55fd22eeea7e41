//! What is put is there, under its id, its name, in lists and in sums; what is refused leaves no trace.

use std::collections::{BTreeMap, HashMap};
use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn what_is_put_is_found_also_after_a_restart() {
    let fresh = Fresh::new();
    let (volume, snapshot) = (volume(1), snapshot(2, &volume(1)));
    let group = Group {
        id: "group-1".into(),
        name: "together".into(),
        ..Group::default()
    };
    let changes = vec![
        Change::PutVolume(volume.clone()),
        Change::PutSnapshot(snapshot.clone()),
        Change::PutGroup(group.clone()),
    ];
    fresh.store.commit(changes).unwrap();
    let store = fresh.reopened();
    let store = &store.store;
    assert_eq!(store.volume(&volume.id), Ok(Some(volume.clone())));
    assert_eq!(store.volume_named(&volume.name), Ok(Some(volume)));
    assert_eq!(store.snapshot(&snapshot.id), Ok(Some(snapshot.clone())));
    assert_eq!(store.snapshot_named(&snapshot.name), Ok(Some(snapshot)));
    assert_eq!(store.group(&group.id), Ok(Some(group.clone())));
    assert_eq!(store.group_named(&group.name), Ok(Some(group)));
    assert_eq!(store.volume("vol-none"), Ok(None));
    assert_eq!(store.volume_named(""), Ok(None));
}

#[test]
fn a_taken_name_fails_all_of_its_call() {
    let Fresh {
        store,
        folder: _folder,
    } = Fresh::new();
    let (first, second) = (volume(1), volume(2));
    store
        .commit(vec![Change::PutVolume(first.clone())])
        .unwrap();
    let bigger = Volume {
        size: 2 << 30,
        name: "renamed".into(),
        ..first.clone()
    };
    let thief = Volume {
        name: second.name.clone(),
        ..volume(3)
    };
    let changes = vec![
        Change::PutVolume(bigger),
        Change::PutSnapshot(snapshot(4, &first)),
        Change::PutVolume(second.clone()),
        Change::DropVolume(first.id.clone()),
        Change::PutVolume(thief),
    ];
    let refused = store.commit(changes).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Aborted);
    assert_eq!(
        refused,
        Error::NameTaken {
            name: second.name.clone(),
            owner: second.id
        }
    );
    let all = store.volumes(None, None).unwrap();
    assert_eq!(all.items, std::slice::from_ref(&first));
    assert_eq!(store.volume_named(&first.name), Ok(Some(first.clone())));
    assert_eq!(store.volume_named("renamed"), Ok(None));
    assert_eq!(store.volume_named(&second.name), Ok(None));
    let listed = store.snapshots(Some(&first.id), None, None).unwrap();
    assert_eq!(listed.items, []);
    let sums = Promised {
        bytes: first.size,
        volumes: 1,
        snapshots: 0,
    };
    assert_eq!(store.promised("default"), Ok(sums));
}

#[test]
fn a_name_given_up_is_free_and_an_empty_one_is_none() {
    let Fresh {
        store,
        folder: _folder,
    } = Fresh::new();
    let (first, mut second) = (volume(1), volume(2));
    store
        .commit(vec![Change::PutVolume(first.clone())])
        .unwrap();
    second.name.clone_from(&first.name);
    let handed_over = vec![
        Change::DropVolume(first.id.clone()),
        Change::PutVolume(second.clone()),
    ];
    store.commit(handed_over).unwrap();
    assert_eq!(store.volume_named(&first.name), Ok(Some(second)));
    let members = [3, 4].map(|number| Snapshot {
        name: String::new(),
        ..snapshot(number, &first)
    });
    let changes = members.clone().map(Change::PutSnapshot);
    store.commit(changes.into()).unwrap();
    assert_eq!(store.snapshots(None, None, None).unwrap().items, members);
    assert_eq!(store.snapshot_named(""), Ok(None));
}

#[test]
fn lists_come_in_parts() {
    let Fresh {
        store,
        folder: _folder,
    } = Fresh::new();
    let (source, other) = (volume(1), volume(2));
    let of_source: Vec<_> = (0..5).map(|number| snapshot(2 * number, &source)).collect();
    let changes = (0..5)
        .map(|number| Change::PutSnapshot(snapshot(2 * number + 1, &other)))
        .chain(of_source.iter().cloned().map(Change::PutSnapshot));
    store.commit(changes.collect()).unwrap();

    let part = |after, most| {
        let part = store.snapshots(Some(&source.id), after, most).unwrap();
        (part.items, part.more)
    };
    assert_eq!(part(None, None), (of_source.clone(), false));
    assert_eq!(part(None, Some(2)), (of_source[..2].to_vec(), true));
    assert_eq!(
        part(Some(&of_source[1].id), Some(3)),
        (of_source[2..].to_vec(), false)
    );
    assert_eq!(part(Some(&of_source[4].id), Some(3)), (vec![], false));
    // Nothing says that the last one read is still there.
    store
        .commit(vec![Change::DropSnapshot(of_source[1].id.clone())])
        .unwrap();
    assert_eq!(
        part(Some(&of_source[1].id), Some(1)),
        (of_source[2..3].to_vec(), true)
    );
    let all = store
        .snapshots(None, Some(&of_source[2].id), Some(2))
        .unwrap();
    assert_eq!(all.items, [snapshot(5, &other), of_source[3].clone()]);
    assert!(all.more);
}

#[test]
fn a_part_is_no_longer_than_a_message() {
    let Fresh {
        store,
        folder: _folder,
    } = Fresh::new();
    let volumes: Vec<_> = (0..5).map(volume).collect();
    store
        .commit(volumes.iter().cloned().map(Change::PutVolume).collect())
        .unwrap();

    let part = |entries, bytes| {
        let most = Most { entries, bytes };
        let part = store.volumes_as(None, most, |volume| volume).unwrap();
        (part.items, part.more)
    };
    let message = |volumes: &[Volume]| {
        let lengths = volumes
            .iter()
            .map(|volume| volume.encode_length_delimited_to_vec().len() + 1);
        lengths.sum()
    };
    for count in 1..5 {
        let bytes = message(&volumes[..count]);
        assert_eq!(part(9, bytes), (volumes[..count].to_vec(), true));
        assert_eq!(part(9, bytes - 1).0.len(), (count - 1).max(1));
    }
    assert_eq!(part(9, message(&volumes)), (volumes.clone(), false));
    assert_eq!(part(2, message(&volumes)), (volumes[..2].to_vec(), true));
    assert_eq!(part(9, 0), (volumes[..1].to_vec(), true));
}

#[test]
fn a_refused_call_does_not_fail_those_it_came_with() {
    const CALLS: u32 = 20;
    let Fresh {
        store,
        folder: _folder,
    } = Fresh::new();
    let start = Barrier::new(CALLS as usize);
    let refused = thread::scope(|scope| {
        let calls: Vec<_> = (0..CALLS)
            .map(|number| {
                let (store, start) = (&store, &start);
                scope.spawn(move || {
                    // Two want each name.
                    let name = format!("pvc-{}", number / 2);
                    let volume = Volume {
                        name,
                        ..volume(number)
                    };
                    start.wait();
                    store.commit(vec![Change::PutVolume(volume)]).is_err()
                })
            })
            .collect();
        let refused = calls.into_iter().map(|call| call.join().unwrap());
        refused.filter(|refused| *refused).count()
    });
    assert_eq!(refused, 10);
    assert_eq!(store.volumes(None, None).unwrap().items.len(), 10);
    assert_eq!(store.promised("default").unwrap().volumes, 10);
}

#[test]
fn calls_that_come_together_share_a_commit() {
    const CALLS: u32 = 50;
    let Fresh {
        store,
        folder: _folder,
    } = Fresh::new();
    let commits = || store.shared.file.commits.load(Ordering::SeqCst);
    let put = |number| store.commit(vec![Change::PutVolume(volume(number))]);
    thread::scope(|scope| {
        // Somebody writes while all of them come: the first waits for it, and the others for the first.
        let busy = store.shared.file.write(false, |_| {
            for number in 0..CALLS {
                let put = &put;
                scope.spawn(move || put(number).unwrap());
            }
            store.shared.calls.until_waiting(CALLS as usize - 1);
            Ok(())
        });
        busy.unwrap();
    });
    assert_eq!(commits(), 1 + 2);
    assert_eq!(store.promised("default").unwrap().volumes, u64::from(CALLS));
    put(CALLS).unwrap();
    assert_eq!(commits(), 1 + 3);
}

/// What the store should hold, told in the simplest way.
#[derive(Default, Clone)]
struct Model {
    volumes: BTreeMap<String, Volume>,
    snapshots: BTreeMap<String, Snapshot>,
    unsettled: BTreeMap<String, i64>,
}

impl Model {
    /// The state after `changes`, or `None` where a name is taken.
    fn after(&self, changes: &[Change]) -> Option<Self> {
        let mut next = self.clone();
        for change in changes.iter().cloned() {
            match change {
                Change::PutVolume(volume) => {
                    let rivals = next.volumes.values().filter(|other| other.id != volume.id);
                    if rivals
                        .filter(|_| !volume.name.is_empty())
                        .any(|other| other.name == volume.name)
                    {
                        return None;
                    }
                    next.volumes.insert(volume.id.clone(), volume);
                }
                Change::DropVolume(id) => drop(next.volumes.remove(&id)),
                Change::PutSnapshot(snapshot) => {
                    drop(next.snapshots.insert(snapshot.id.clone(), snapshot));
                }
                Change::DropSnapshot(id) => drop(next.snapshots.remove(&id)),
                Change::PutGroup(_) | Change::DropGroup(_) => {}
                Change::Unsettle(volume) => {
                    next.unsettled.insert(volume.volume, volume.since);
                }
                Change::Settle(volume) => {
                    next.unsettled
                        .retain(|id, since| (id, &*since) != (&volume.volume, &volume.since));
                }
            }
        }
        Some(next)
    }

    fn promised(&self) -> HashMap<String, Promised> {
        let mut sums: HashMap<String, Promised> = HashMap::new();
        for volume in self.volumes.values() {
            let sum = sums.entry(volume.pool.clone()).or_default();
            sum.bytes = sum.bytes.saturating_add(volume.size);
            sum.volumes += 1;
        }
        for snapshot in self.snapshots.values() {
            sums.entry(snapshot.pool.clone()).or_default().snapshots += 1;
        }
        sums
    }
}

const POOLS: [&str; 2] = ["default", "fast"];

fn change() -> impl Strategy<Value = Change> {
    let number = 0..6u32;
    let id = number.clone();
    let size = prop_oneof![0..100u64, Just(u64::MAX)];
    let name = prop_oneof![Just(String::new()), "[ab]"];
    let volumes =
        (number.clone(), name, 0..2usize, size).prop_map(|(number, name, pool, size)| Volume {
            name,
            pool: POOLS[pool].into(),
            size,
            ..volume(number)
        });
    let snapshots = (number, 0..3u32, 0..2usize).prop_map(|(number, source, pool)| Snapshot {
        name: String::new(),
        pool: POOLS[pool].into(),
        ..snapshot(number, &volume(source))
    });
    let unsettled = (id.clone(), 0..3i64).prop_map(|(number, since)| Unsettled {
        volume: volume(number).id,
        since,
    });
    prop_oneof![
        2 => unsettled.clone().prop_map(Change::Unsettle),
        2 => unsettled.prop_map(Change::Settle),
        3 => volumes.prop_map(Change::PutVolume),
        2 => snapshots.prop_map(Change::PutSnapshot),
        1 => id.clone().prop_map(|number| Change::DropVolume(volume(number).id)),
        1 => id.prop_map(|number| Change::DropSnapshot(snapshot(number, &volume(0)).id)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_changes_leave_what_they_should(calls in vec(vec(change(), 1..5), 1..20)) {
        let Fresh { store, folder: _folder } = Fresh::new();
        let mut model = Model::default();
        for changes in calls {
            let next = model.after(&changes);
            prop_assert_eq!(store.commit(changes).is_ok(), next.is_some());
            model = next.unwrap_or(model);
            let volumes: Vec<_> = model.volumes.values().cloned().collect();
            prop_assert_eq!(store.volumes(None, None).unwrap().items, volumes);
            let unsettled = model.unsettled.clone().into_iter();
            let unsettled: Vec<_> = unsettled.map(|(volume, since)| Unsettled { volume, since }).collect();
            prop_assert_eq!(store.unsettled().unwrap(), unsettled);
            for name in ["a", "b"] {
                let named = model.volumes.values().find(|volume| volume.name == name);
                prop_assert_eq!(store.volume_named(name).unwrap(), named.cloned());
            }
            for source in (0..3).map(volume) {
                let taken = model.snapshots.values().filter(|snapshot| snapshot.source == source.id);
                let taken: Vec<_> = taken.cloned().collect();
                prop_assert_eq!(store.snapshots(Some(&source.id), None, None).unwrap().items, taken);
            }
            for pool in POOLS {
                let sums = model.promised().remove(pool).unwrap_or_default();
                prop_assert_eq!(store.promised(pool).unwrap(), sums);
            }
        }
    }
}
