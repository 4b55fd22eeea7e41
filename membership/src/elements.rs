//! Joining and leaving the sets and maps of the packet filter.

use kernel::net::nft::{self, Batch, Chain, Element, Key, Set, Socket};
use std::thread;
use std::time::Duration;

/// An element and where it belongs.
pub type Member = (Set<'static>, Element);

/// Where an element is found.
pub type Place = (Set<'static>, Key);

/// How often a transaction that met a change by somebody else is built anew.
const ATTEMPTS: usize = 8;

/// Adds the elements, all or none.
///
/// `ensure` makes the static part; it is called only when an element finds it missing, which is nearly never. `taken` is
/// told of an element that is there already under the key of one of ours, and lets it be replaced or refuses; one that is
/// about to go is replaced without asking.
pub fn join<E: From<nft::Error>>(
    nft: &mut Socket,
    members: &[Member],
    ensure: impl FnMut(&mut Socket) -> Result<(), E>,
    taken: impl FnMut(&Set<'static>, &Element) -> Result<(), E>,
) -> Result<(), E> {
    join_with(nft, members, |_| {}, ensure, taken)
}

/// The same together with what `beside` adds to the transaction in front of the elements, such as chains that they lead
/// to: nobody ever sees the ones without the others.
pub fn join_with<E: From<nft::Error>>(
    nft: &mut Socket,
    members: &[Member],
    beside: impl Fn(&mut Batch),
    mut ensure: impl FnMut(&mut Socket) -> Result<(), E>,
    mut taken: impl FnMut(&Set<'static>, &Element) -> Result<(), E>,
) -> Result<(), E> {
    if members.is_empty() {
        return Ok(());
    }
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        let occupied = outcome.as_ref().is_err_and(nft::Error::already_exists);
        let mut batch = Batch::new();
        beside(&mut batch);
        for (set, element) in members {
            let present = occupied.then(|| nft.element(*set, &element.key));
            if let Some(present) = present.transpose()?.flatten() {
                if !present.expires {
                    taken(set, &present)?;
                }
                batch.delete_element(*set, &element.key);
            }
            batch.add_new_element(*set, element);
        }
        outcome = nft.commit(&batch);
        match &outcome {
            Err(error) if error.is_not_found() => ensure(nft)?,
            Err(error) if error.already_exists() => {}
            _ => break,
        }
    }
    Ok(outcome?)
}

/// A socket to leave by; `None` in a kernel without nf_tables, which has nothing of ours.
pub fn open() -> Result<Option<Socket>, nft::Error> {
    match Socket::open() {
        Err(nft::Error::Unsupported { .. }) => Ok(None),
        socket => socket.map(Some),
    }
}

/// Removes every element of `sets` whose label `belongs`, whatever configuration it was made under, and returns them.
///
/// While pods come and go the kernel may leave an element out of a listing; what is `known` of the places is therefore
/// asked for directly as well. An element that another attachment has put there meanwhile stays.
///
/// The caller closes the socket, and last of all: after a deletion closing waits until the kernel has freed what was
/// deleted, and meanwhile holds up whoever removes a link.
pub fn leave(
    nft: &mut Socket,
    sets: &[Set<'static>],
    belongs: impl Fn(&str) -> bool,
    known: &[Place],
) -> Result<Vec<Member>, nft::Error> {
    let whole = |_: &Set<'_>, _: &[Member]| true;
    leave_found(nft, |nft| found(nft, sets, &belongs, known, whole))
}

/// The same at a cost that does not grow with the pods, where what is `known` of a set is either all that belongs there or
/// out of date: only a set in which nothing is known, or not all that is known belongs, is listed.
pub fn leave_told(
    nft: &mut Socket,
    sets: &[Set<'static>],
    belongs: impl Fn(&str) -> bool,
    known: &[Place],
) -> Result<Vec<Member>, nft::Error> {
    let untold = |set: &Set<'_>, present: &[Member]| {
        let told = known.iter().filter(|(of, _)| of == set).count();
        let present = present.iter().filter(|(of, _)| of == set).count();
        told == 0 || told != present
    };
    leave_found(nft, |nft| found(nft, sets, &belongs, known, untold))
}

fn leave_found(
    nft: &mut Socket,
    mut find: impl FnMut(&mut Socket) -> Result<Vec<Member>, nft::Error>,
) -> Result<Vec<Member>, nft::Error> {
    let mut gone = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        let found = find(nft)?;
        if found.is_empty() {
            return Ok(gone);
        }
        if found.iter().all(|(set, _)| set.expiring) && expire(nft, &found)? {
            return Ok(found);
        }
        let mut batch = Batch::new();
        for (set, element) in &found {
            batch.delete_element(*set, &element.key);
        }
        outcome = nft.commit(&batch);
        gone = found;
        // Not found: somebody else removed one of them meanwhile, and with it this whole transaction.
        if !outcome.as_ref().is_err_and(nft::Error::is_not_found) {
            break;
        }
    }
    outcome.map(|()| gone)
}

/// The same for the places that are `known` alone, at a cost that does not grow with the pods.
pub fn leave_known(
    nft: &mut Socket,
    belongs: impl Fn(&str) -> bool,
    known: &[Place],
) -> Result<Vec<Member>, nft::Error> {
    leave(nft, &[], belongs, known)
}

/// Every element that belongs, once. Of a set of which `listed` says no, from what has been found so far, that is what is
/// known.
fn found(
    nft: &mut Socket,
    sets: &[Set<'static>],
    belongs: impl Fn(&str) -> bool,
    known: &[Place],
    listed: impl Fn(&Set<'_>, &[Member]) -> bool,
) -> Result<Vec<Member>, nft::Error> {
    let of_ours = |element: &Element| element.comment.as_deref().is_some_and(&belongs);
    let mut found: Vec<Member> = Vec::new();
    for (set, key) in known {
        let element = or_none(nft.element(*set, key))?.flatten();
        let element = element.filter(of_ours);
        found.extend(element.map(|element| (*set, element)));
    }
    let sets: Vec<_> = sets.iter().filter(|set| listed(set, &found)).collect();
    for set in sets {
        match or_none(nft.elements(*set)) {
            Err(nft::Error::Unsettled { .. }) if !known.is_empty() => {}
            elements => {
                let elements = elements?.unwrap_or_default().into_iter();
                let elements = elements.filter(of_ours);
                found.extend(elements.map(|element| (*set, element)));
            }
        }
    }
    let mut once: Vec<Member> = Vec::with_capacity(found.len());
    for (set, element) in found {
        let known = |(other, earlier): &Member| *other == set && earlier.key == element.key;
        if !once.iter().any(known) {
            once.push((set, element));
        }
    }
    Ok(once)
}

/// Tells elements to go by themselves, which they do within a tick of the kernel's clock, 1 to 10 ms. False where this
/// kernel cannot; then nothing has changed.
///
/// What was deleted has to be freed, and a process that closes its socket or ends meanwhile waits for that, 7 to 15 ms:
/// in a chain of plugins once for each. Whoever adds such an element anew within the tick replaces it.
fn expire(nft: &mut Socket, members: &[Member]) -> Result<bool, nft::Error> {
    let mut batch = Batch::new();
    for (set, element) in members {
        batch.expire_element(*set, element);
    }
    match nft.commit(&batch) {
        // One of them is another's by now, or its set is gone.
        Err(error) if error.already_exists() || error.is_not_found() => return Ok(false),
        outcome => outcome?,
    }
    // A kernel that does not know this takes it for the addition of what is there.
    let Some((set, element)) = members.last() else {
        return Ok(true);
    };
    let present = or_none(nft.element(*set, &element.key))?.flatten();
    Ok(present.is_none_or(|present| present.expires))
}

/// Waits until no packet meets what was told to go from these places: a tick of the kernel's clock at most.
pub fn await_gone(nft: &mut Socket, places: &[Place]) -> Result<(), nft::Error> {
    const STEP: Duration = Duration::from_micros(500);
    const STEPS: usize = 100;
    for (set, key) in places {
        for _ in 0..STEPS {
            let present = or_none(nft.element(*set, key))?.flatten();
            if !present.is_some_and(|present| present.expires) {
                break;
            }
            thread::sleep(STEP);
        }
    }
    Ok(())
}

/// Says which of the elements is not there as it was made, if one is not.
pub fn absent(nft: &mut Socket, members: &[Member]) -> Result<Option<String>, nft::Error> {
    for (set, element) in members {
        let found = or_none(nft.element(*set, &element.key))?.flatten();
        if found.as_ref() != Some(element) {
            let label = element.comment.as_deref().unwrap_or("anybody");
            return Ok(Some(format!(
                "{set} has no element {} for {label}",
                element.key
            )));
        }
    }
    Ok(None)
}

/// A set that is not there, or that this kernel cannot have, holds nothing.
pub fn or_none<T>(answer: Result<T, nft::Error>) -> Result<Option<T>, nft::Error> {
    match answer {
        Err(error) if error.is_not_found() || matches!(error, nft::Error::Unsupported { .. }) => {
            Ok(None)
        }
        answer => answer.map(Some),
    }
}

/// Commits a static part. Somebody else may make it at the same moment; then it is there, which is all that is wanted.
pub fn commit_new(nft: &mut Socket, batch: &Batch) -> Result<(), nft::Error> {
    match nft.commit(batch) {
        Err(error) if error.already_exists() => Ok(()),
        outcome => outcome,
    }
}

/// Tells whether a chain has lost rules, which are known by their comments.
pub fn lost_rules(
    nft: &mut Socket,
    chain: Chain<'_>,
    wanted: &[&str],
) -> Result<Option<String>, nft::Error> {
    let rules = or_none(nft.rules(chain))?.unwrap_or_default();
    let complete = rules
        .iter()
        .map(|rule| rule.comment.as_deref())
        .eq(wanted.iter().copied().map(Some));
    Ok((!complete).then(|| format!("{chain} does not have the rules that were made")))
}

/// Tells whether a chain, which may have others as well, has lost one of these rules.
pub fn lost_some(
    nft: &mut Socket,
    chain: Chain<'_>,
    wanted: &[&str],
) -> Result<Option<String>, nft::Error> {
    let rules = or_none(nft.rules(chain))?.unwrap_or_default();
    let comments: Vec<_> = rules
        .iter()
        .filter_map(|rule| rule.comment.as_deref())
        .collect();
    let lost = wanted.iter().find(|wanted| !comments.contains(wanted));
    Ok(lost.map(|lost| format!("{chain} does not have the rule \"{lost}\"")))
}
