//! One call, with a crash at each of its moments.

use testkit::csi::{Leaks, PoolKind, Scene, Tripwire};
use tonic::Status;

use crate::world::{Case, Shape, World};

/// A call that is to survive a crash.
pub struct Sweep {
    pub pool: PoolKind,
    /// Of the volumes that it is about.
    pub shape: Shape,
    /// What is there before.
    pub before: fn(&World, &mut Case),
    pub call: fn(&World, &mut Case) -> Result<(), Status>,
    /// What is seen to be so when the call has succeeded.
    pub after: fn(&World, &mut Case),
    /// What can be done instead of a repeat, before all is taken back.
    pub instead: fn(&World, &mut Case),
}

/// What is done after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Repeat,
    Opposite,
}

impl Sweep {
    /// The moments to try: in front of the calls that were met, and after them.
    fn moments(calls: &[String]) -> Vec<(usize, Then)> {
        let numbers = 1..calls.len() + 2;
        if std::env::var_os("HAWSER_CRASH_ALL").is_some() {
            let both = |number| [(number, Then::Repeat), (number, Then::Opposite)];
            return numbers.flat_map(both).collect();
        }
        // Half a commit of the store is none, and what is not written to the disk yet outlives a process.
        let is_dull = |number: usize| {
            let call = calls.get(number - 1).map(String::as_str);
            matches!(call, Some("pwrite64" | "fsync" | "fdatasync"))
        };
        let telling =
            numbers.filter(|number| !is_dull(*number) || *number == 1 || !is_dull(number - 1));
        let ways = [Then::Opposite, Then::Repeat].into_iter().cycle();
        telling.zip(ways).collect()
    }

    pub fn run(&self) {
        let modifiable =
            |setup: testkit::csi::Setup| setup.flag("enable-controller-modify-volume", "true");
        let mut world = World {
            scene: Scene::with(self.pool, modifiable),
        };
        // The driver clears away behind earlier calls, so that one may look longer than it is.
        let first = self.round(&mut world, "undisturbed", None);
        let second = self.round(&mut world, "undisturbed-again", None);
        let calls = if first.len() < second.len() {
            first
        } else {
            second
        };
        assert!(calls.len() > 1, "it changes more than {calls:?}");
        let moments = Self::moments(&calls);
        let mut killed = 0;
        for (round, moment) in moments.iter().enumerate() {
            let met = self.round(&mut world, &format!("round-{round}"), Some(*moment));
            killed += usize::from(met.len() == moment.0);
        }
        // How often a call is made differs a little from time to time.
        assert!(
            killed * 2 >= moments.len(),
            "only {killed} of {} moments came",
            moments.len()
        );
    }

    /// The call once, with or without a crash. Returns the system calls that were met.
    pub fn round(
        &self,
        world: &mut World,
        name: &str,
        crash: Option<(usize, Then)>,
    ) -> Vec<String> {
        let mut case = Case {
            name: name.to_owned(),
            shape: self.shape,
            volumes: Vec::new(),
        };
        let leaks = Leaks::of(&world.scene.node, &[&world.scene.pool]);
        (self.before)(world, &mut case);
        let (number, then) = crash.unwrap_or((0, Then::Repeat));
        let tripwire = Tripwire::before(&world.scene.driver, number);
        let outcome = (self.call)(world, &mut case);
        let calls = tripwire.calls();
        println!(
            "{name}: {then:?} after a crash at {number}: {}",
            calls.join(" ")
        );
        if crash.is_none() {
            outcome.unwrap();
        } else {
            world.scene.driver.crash();
        }
        match then {
            Then::Repeat => {
                if crash.is_some() {
                    (self.call)(world, &mut case).unwrap();
                }
                world.assert_thawed(&case);
                (self.after)(world, &mut case);
            }
            Then::Opposite => {
                world.assert_thawed(&case);
                (self.instead)(world, &mut case);
            }
        }
        world.take_back(&case);
        leaks.assert_none();
        calls
    }
}
