//! Whatever happens to a store, its index never disagrees with a plain reading of the directory for longer than one verb.

use super::super::locked::View;
use super::super::stamp::Stamp;
use super::*;
use proptest::prelude::*;

/// What may happen to a store between two looks at it.
#[derive(Debug, Clone)]
enum Event {
    /// A verb of ours, to its end.
    Reserve(u8, u8),
    Release(u8),
    /// A verb of ours that dies: before the index is told, after, or between the two halves of the seal.
    ReserveAndDie(u8, u8, Death),
    ReleaseAndDie(u8, Death),
    /// The reference, or a hand.
    ForeignFile(u8, &'static str),
    ForeignRemoval(u8),
    /// The index goes, or the node boots.
    IndexLost,
    Reboot,
    Reclaim,
}

#[derive(Debug, Clone, Copy)]
enum Death {
    BeforeTheIndex,
    BeforeTheSeal,
    WithinTheSeal,
}

/// Two families, and both sides of a chunk's border.
fn universe() -> Vec<Address> {
    [
        "10.1.127.254",
        "10.1.127.255",
        "10.1.128.0",
        "10.1.128.1",
        "fd00::7fff",
        "fd00::8000",
    ]
    .map(address)
    .to_vec()
}

fn at(index: u8) -> Address {
    let all = universe();
    all[usize::from(index) % all.len()]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let place = 0_u8..6;
    let who = 0_u8..3;
    let death = prop_oneof![
        Just(Death::BeforeTheIndex),
        Just(Death::BeforeTheSeal),
        Just(Death::WithinTheSeal)
    ];
    let content = prop_oneof![
        Just(""),
        Just("c1\r\neth0"),
        Just("c2"),
        Just("leave it alone")
    ];
    let event = prop_oneof![
        4 => (place.clone(), who.clone()).prop_map(|(place, who)| Event::Reserve(place, who)),
        3 => place.clone().prop_map(Event::Release),
        2 => (place.clone(), who, death.clone()).prop_map(|(place, who, death)| Event::ReserveAndDie(place, who, death)),
        2 => (place.clone(), death).prop_map(|(place, death)| Event::ReleaseAndDie(place, death)),
        2 => (place.clone(), content).prop_map(|(place, content)| Event::ForeignFile(place, content)),
        2 => place.prop_map(Event::ForeignRemoval),
        1 => Just(Event::IndexLost),
        1 => Just(Event::Reboot),
        1 => Just(Event::Reclaim),
    ];
    prop::collection::vec(event, 1..40)
}

/// What dies does so with the change made and the stamp not, or half, renewed.
fn die(locked: &Locked<'_>, death: Death) {
    if let (Death::WithinTheSeal, View::Indexed(index)) = (death, &locked.view) {
        index.describe(Stamp::fresh()).unwrap();
    }
}

fn holder_at(locked: &Locked<'_>, place: Address) -> Option<Holder> {
    locked.files().read(place).unwrap()?.holder
}

fn happen(fixture: &mut Fixture, boots: &mut u32, event: &Event) {
    let store = fixture.store();
    match *event {
        Event::Reserve(place, who) => {
            let mut locked = store.lock().unwrap();
            if !is_occupied(&mut locked, at(place)) {
                assert!(locked.reserve(at(place), &pod(who)).unwrap());
            }
            locked.seal();
        }
        Event::Release(place) => {
            let mut locked = store.lock().unwrap();
            if let Some(holder) = holder_at(&locked, at(place)) {
                locked.release(at(place), &holder).unwrap();
            }
            locked.seal();
        }
        Event::ReserveAndDie(place, who, Death::BeforeTheIndex) => {
            let locked = store.lock().unwrap();
            locked.files().publish(at(place), &pod(who)).unwrap();
        }
        Event::ReserveAndDie(place, who, death) => {
            let mut locked = store.lock().unwrap();
            if locked.reserve(at(place), &pod(who)).unwrap() {
                die(&locked, death);
            }
        }
        Event::ReleaseAndDie(place, death) => {
            let mut locked = store.lock().unwrap();
            match (holder_at(&locked, at(place)), death) {
                (Some(_), Death::BeforeTheIndex) => locked.files().remove(at(place)).unwrap(),
                (Some(holder), death) => {
                    locked.release(at(place), &holder).unwrap();
                    die(&locked, death);
                }
                (None, _) => {}
            }
        }
        Event::ForeignFile(place, content) => {
            let _lock = store.files().lock().unwrap();
            // Like the reference: only where there is no file.
            if let Ok(mut file) = fs::File::create_new(fixture.file(at(place))) {
                io::Write::write_all(&mut file, content.as_bytes()).unwrap();
            }
        }
        Event::ForeignRemoval(place) => drop(fs::remove_file(fixture.file(at(place)))),
        Event::IndexLost => drop(fs::remove_dir_all(fixture.index())),
        Event::Reboot => {
            *boots += 1;
            fixture.boot = Boot::of(&format!("boot-{boots}"), "node");
        }
        Event::Reclaim => {
            let mut locked = store.lock().unwrap();
            locked.reclaim(&range_set("10.1.0.0/16")).unwrap();
            locked.seal();
        }
    }
}

/// The directory, read without any cleverness.
fn naive(fixture: &Fixture) -> Vec<(Address, Option<Holder>, bool)> {
    let store = fixture.store();
    let read = |place: Address| {
        let found = store.files().read(place).unwrap()?;
        Some((place, found.holder, found.age == Age::EarlierBoot))
    };
    universe().into_iter().filter_map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_index_never_disagrees_with_the_directory(events in events()) {
        let mut fixture = Fixture::new();
        let mut boots = 1;
        for event in &events {
            happen(&mut fixture, &mut boots, event);
            let expected = naive(&fixture);
            let store = fixture.store();
            let mut locked = store.lock().unwrap();
            for place in universe() {
                let held = expected.iter().any(|(address, ..)| *address == place);
                prop_assert_eq!(is_occupied(&mut locked, place), held, "{} after {:?}", place, event);
            }
            for holder in (0..3).map(pod).chain((0..3).map(|who| pod(who).without_ifname())) {
                let its: BTreeSet<_> = expected.iter()
                    .filter(|(_, other, _)| other.as_ref() == Some(&holder))
                    .map(|(address, ..)| *address)
                    .collect();
                let found: BTreeSet<_> = addresses(&mut locked, &holder).into_iter().collect();
                prop_assert_eq!(found, its, "{} after {:?}", holder, event);
            }
            let leftovers: BTreeSet<_> = locked.leftovers(&range_set("10.1.0.0/16")).unwrap()
                .into_iter().map(|(address, _)| address).collect();
            let expected: BTreeSet<_> = expected.iter()
                .filter(|(address, holder, earlier)| *earlier && holder.is_some() && address.is_ipv4())
                .map(|(address, ..)| *address)
                .collect();
            prop_assert_eq!(leftovers, expected);
            locked.seal();
        }
    }
}
