//! Volumes as lists tell them: thousands in one answer, which have most in common.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem;

use prost::Message;
use proto::ListedVolume;
use proto::csi::list_volumes_response::VolumeStatus;

use crate::driver::{Condition, Settings};
use crate::record::{Kind, Volume};
use crate::reply;

/// One answer in the making.
pub struct Listing<'a> {
    settings: &'a Settings,
    /// What the volumes of one kind in one pool have in common, encoded: it is told of each of them, and made once.
    common: RefCell<BTreeMap<(Kind, String), Vec<u8>>>,
}

impl<'a> Listing<'a> {
    /// Of the volumes of a driver with these settings.
    pub const fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            common: RefCell::new(BTreeMap::new()),
        }
    }

    /// An entry (LV-01, LV-02).
    pub fn entry(&self, volume: Volume, condition: Condition) -> ListedVolume {
        let status = VolumeStatus {
            published_node_ids: reply::nodes(self.settings, &volume),
            volume_condition: Some(reply::condition(condition)),
        };
        ListedVolume {
            volume: self.encoded(volume).into(),
            status: status.encode_to_vec().into(),
        }
    }

    /// Fields of a message may come in any order, so what is common is one piece.
    fn encoded(&self, mut volume: Volume) -> Vec<u8> {
        let mut all = self.common.borrow_mut();
        let alike = (volume.kind(), mem::take(&mut volume.pool));
        let common = all.entry(alike).or_insert_with_key(|(kind, pool)| {
            reply::common(self.settings, *kind, pool).encode_to_vec()
        });
        let own = reply::own(volume);
        let mut bytes = Vec::with_capacity(own.encoded_len() + common.len());
        // It fails where there is too little room, and a vector grows.
        let _ = own.encode(&mut bytes);
        bytes.extend_from_slice(common);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::tests::{record, settings};

    fn volume(pool: &str, kind: Kind, from_snapshot: Option<&str>) -> Volume {
        Volume {
            pool: pool.to_owned(),
            kind: kind.into(),
            from_snapshot: from_snapshot.map(str::to_owned),
            ..record()
        }
    }

    #[test]
    fn a_volume_is_listed_as_it_is_told_alone() {
        for settings in [settings(true), settings(false)] {
            let listing = Listing::new(&settings);
            for told in [
                volume("fast", Kind::Directory, None),
                volume("fast", Kind::Image, Some("snap-1")),
                volume("slow", Kind::Image, None),
                volume("fast", Kind::Directory, Some("snap-2")),
            ] {
                let condition = Condition {
                    abnormal: true,
                    message: format!("of pool {}", told.pool),
                };
                let listed = listing.entry(told.clone(), condition.clone());
                assert_eq!(
                    listed.volume().unwrap(),
                    reply::volume(&settings, told.clone())
                );
                let status = listed.status().unwrap();
                assert_eq!(status.published_node_ids, reply::nodes(&settings, &told));
                assert_eq!(status.volume_condition, Some(reply::condition(condition)));
            }
        }
    }
}
