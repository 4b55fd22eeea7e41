//! Groups of snapshots: whole, or not at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::copying::failure;
use super::take::As;
use crate::driver::Driver;
use crate::error::Error;
use crate::id::{GroupId, SnapshotId};
use crate::record::{Group, Progress, Snapshot};
use crate::request;
use crate::store::Change;

impl Driver {
    /// Takes snapshots of several volumes at one moment, or returns those that the same request took before (GG-02).
    pub fn create_group(
        self: &Arc<Self>,
        wanted: &request::CreateGroup,
    ) -> Result<(Group, Vec<Snapshot>), Error> {
        let _name = self.locks.hold(&format!("group named {:?}", wanted.name))?;
        if let Some(group) = self.store.group_named(&wanted.name)? {
            return self.repeated(group, wanted);
        }
        let members = wanted
            .sources
            .iter()
            .map(|source| self.member(source))
            .collect::<Result<_, _>>()?;
        let (group, snapshots) = self.take(members, As::Group(&wanted.name))?;
        let group = group
            .ok_or_else(|| Error::Internal("a group was taken without a record".to_owned()))?;
        self.told_of_failures(group, snapshots)
    }

    fn repeated(
        &self,
        group: Group,
        wanted: &request::CreateGroup,
    ) -> Result<(Group, Vec<Snapshot>), Error> {
        let had: BTreeSet<_> = group.sources.iter().map(String::as_str).collect();
        let wants: BTreeSet<_> = wanted
            .sources
            .iter()
            .map(|source| source.as_str())
            .collect();
        if had != wants {
            return Err(Error::Differs(format!(
                "group {} named {:?} is of other volumes: {}",
                group.id,
                group.name,
                group.sources.join(", ")
            )));
        }
        let snapshots = self.members(&group)?;
        self.told_of_failures(group, snapshots)
    }

    /// A group of which a member failed is told once and then forgotten, as a whole.
    fn told_of_failures(
        &self,
        group: Group,
        snapshots: Vec<Snapshot>,
    ) -> Result<(Group, Vec<Snapshot>), Error> {
        let failed = snapshots
            .iter()
            .find(|snapshot| snapshot.progress() == Progress::Failed);
        let Some(failure) = failed.map(failure) else {
            return Ok((group, snapshots));
        };
        self.drop_group(&group, snapshots)?;
        Err(failure)
    }

    /// Deletes a group with all its snapshots (GG-04). `None`: the id cannot be ours, there is nothing to delete.
    pub fn delete_group(
        &self,
        group: Option<&GroupId>,
        snapshots: &[SnapshotId],
    ) -> Result<(), Error> {
        let Some(id) = group else { return Ok(()) };
        let _held = self.locks.hold(&format!("group {id}"))?;
        let Some(group) = self.store.group(id.as_str())? else {
            return Ok(());
        };
        matches(&group, snapshots)?;
        let members = self.members(&group)?;
        self.drop_group(&group, members)
    }

    /// A group and its snapshots (GG-05).
    pub fn group(&self, wanted: &request::Group) -> Result<(Group, Vec<Snapshot>), Error> {
        let id = &wanted.group;
        let missing = || Error::Missing {
            what: "group",
            id: id.to_string(),
        };
        let group = self.store.group(id.as_str())?.ok_or_else(missing)?;
        matches(&group, &wanted.snapshots)?;
        let members = self.members(&group)?;
        Ok((group, members))
    }

    fn drop_group(&self, group: &Group, members: Vec<Snapshot>) -> Result<(), Error> {
        let _held = members
            .iter()
            .map(|member| self.hold_snapshot(&member.id))
            .collect::<Result<Vec<_>, _>>()?;
        self.drop_snapshots(members, vec![Change::DropGroup(group.id.clone())])
    }

    fn members(&self, group: &Group) -> Result<Vec<Snapshot>, Error> {
        let members = group
            .snapshots
            .iter()
            .map(|id| self.store.snapshot(id))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(members.into_iter().flatten().collect())
    }
}

/// Whether the caller means the members that the group has.
fn matches(group: &Group, snapshots: &[SnapshotId]) -> Result<(), Error> {
    let has: BTreeSet<_> = group.snapshots.iter().map(String::as_str).collect();
    let given: BTreeSet<_> = snapshots.iter().map(SnapshotId::as_str).collect();
    if has == given {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "group {} has the snapshots {}",
        group.id,
        group.snapshots.join(", ")
    )))
}
