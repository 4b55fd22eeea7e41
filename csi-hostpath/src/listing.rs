//! Volumes as lists tell them: thousands in one answer, which have most in common.

use std::cell::RefCell;

use prost::Message;
use proto::ListedVolume;
use proto::csi::list_volumes_response::VolumeStatus;

use crate::driver::{Condition, Settings};
use crate::record::{Kind, Volume};
use crate::reply;

/// One answer in the making.
pub struct Listing<'a> {
    settings: &'a Settings,
    common: RefCell<Vec<Common>>,
}

/// What the volumes of one kind in one pool have in common, encoded: it is told of each of them, and made once.
struct Common {
    kind: Kind,
    pool: String,
    bytes: Vec<u8>,
}

impl<'a> Listing<'a> {
    /// Of the volumes of a driver with these settings.
    pub const fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            common: RefCell::new(Vec::new()),
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
    fn encoded(&self, volume: Volume) -> Vec<u8> {
        let mut all = self.common.borrow_mut();
        let (kind, pool) = (volume.kind(), &volume.pool);
        let known = all
            .iter()
            .position(|common| common.kind == kind && common.pool == *pool);
        let at = known.unwrap_or_else(|| {
            let bytes = reply::common(self.settings, kind, pool).encode_to_vec();
            let pool = pool.clone();
            all.push(Common { kind, pool, bytes });
            all.len() - 1
        });
        let common = all.get(at).map_or(&[][..], |common| &common.bytes);
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
    use crate::driver::Offers;
    use crate::record::Attached;

    fn settings(offered: bool) -> Settings {
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

    fn volume(id: &str, pool: &str, kind: Kind, from_snapshot: Option<&str>) -> Volume {
        Volume {
            id: id.to_owned(),
            pool: pool.to_owned(),
            kind: kind.into(),
            size: 7 << 20,
            from_snapshot: from_snapshot.map(str::to_owned),
            attached: vec![Attached {
                node: "n1".to_owned(),
                readonly: false,
                mode: 1,
            }],
            ..Volume::default()
        }
    }

    #[test]
    fn a_volume_is_listed_as_it_is_told_alone() {
        for settings in [settings(true), settings(false)] {
            let listing = Listing::new(&settings);
            for told in [
                volume("vol-1", "fast", Kind::Directory, None),
                volume("vol-2", "fast", Kind::Image, Some("snap-1")),
                volume("vol-3", "slow", Kind::Image, None),
                volume("vol-4", "fast", Kind::Directory, Some("snap-2")),
            ] {
                let condition = Condition {
                    abnormal: true,
                    message: format!("of {}", told.id),
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
