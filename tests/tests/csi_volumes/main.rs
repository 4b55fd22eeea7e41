//! Volumes as a controller has them: made, deleted, told about, attached, grown, modified. Test names begin with the ids of
//! the rules that they hold the driver to.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod attach;
mod capacity;
mod copies;
mod create;
mod delete;
mod expand;
mod list;
mod modify;
mod repeat;
mod restart;
mod topology;
mod validate;

use proto::csi::*;
use testkit::csi::Client;
use testkit::csi::requests::*;

/// Ids that the driver never issues. As paths, some of them would lead elsewhere.
const FOREIGN: [&str; 6] = [
    "vol-00000000000000000000000000000000",
    "no-such",
    "..",
    "../../etc/passwd",
    "/",
    "vol-\u{7}\u{1b}[2J",
];

/// A new volume. One that cannot be made is a failed test.
#[track_caller]
fn made(client: &Client, request: CreateVolumeRequest) -> Volume {
    let name = request.name.clone();
    let answer = client.create_volume(request);
    let answer = answer.unwrap_or_else(|refused| panic!("make {name:?}: {refused}"));
    answer.volume.unwrap()
}

#[track_caller]
fn delete(client: &Client, id: &str) {
    let answer = client.delete_volume(delete_volume(id));
    answer.unwrap_or_else(|refused| panic!("delete {id}: {refused}"));
}

/// A raw device of the least size, which costs next to nothing.
fn small(name: &str) -> CreateVolumeRequest {
    create_volume(name).block().size(4096)
}

/// Every volume that is listed, in one page.
fn listed(client: &Client) -> Vec<proto::ListedVolume> {
    let page = client.list_volumes(list_volumes(0, "")).unwrap();
    assert_eq!(page.next_token, "", "all were asked for");
    page.entries
}
