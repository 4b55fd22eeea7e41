//! Requests to the storage driver (G-06 to G-13): whatever bytes come as whichever message, they are checked or
//! refused, never a panic.
//!
//! An input is a message, read as the request of every RPC in turn. What is taken must be fit to work with: ids are
//! ours, paths lead where they say, sizes can be had. What is refused says why in one line that shows no secret.

#![no_main]

use std::path::{Component, Path};

use csi_hostpath::check::{self, Rules};
use csi_hostpath::driver::{Offers, Settings};
use csi_hostpath::error::Error;
use csi_hostpath::mount_flags::Flags;
use csi_hostpath::parameters::Inline;
use csi_hostpath::quantity;
use csi_hostpath::request::SizeRange;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tonic::Code;

fuzz_target!(|message: &[u8]| {
    for is_on in [true, false] {
        let rules = rules(is_on);
        controller(&rules, message);
        snapshots(&rules, message);
        node(&rules, message);
    }
    if let Ok(text) = str::from_utf8(message) {
        texts(text);
    }
});

/// A driver with everything switched on, or off.
fn rules(is_on: bool) -> Rules {
    Rules::new(&Settings {
        name: "hostpath.hawser.io".to_owned(),
        node: "node-a".to_owned(),
        kubelet_dir: "/var/lib/kubelet".into(),
        max_volume_size: 1 << 40,
        attach_limit: 0,
        offers: Offers {
            attach: is_on,
            topology: is_on,
            expansion: is_on,
            modify: is_on,
            metadata: is_on,
            mount_group: is_on,
        },
        remote: false,
    })
}

/// What the check makes of the message, if it is one.
fn checked<M, T>(
    rules: &Rules,
    message: &[u8],
    check: fn(&Rules, M) -> Result<T, Error>,
) -> Option<T>
where
    M: Message + Default,
{
    let request = M::decode(message).ok()?;
    check(rules, request).map_err(|error| told(&error)).ok()
}

fn told(error: &Error) {
    let codes = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::Aborted,
        Code::FailedPrecondition,
        Code::OutOfRange,
        Code::ResourceExhausted,
        Code::Unimplemented,
    ];
    assert!(codes.contains(&error.code()), "{error}");
    let text = error.to_string();
    assert!(
        !text.contains(char::is_control) && text.len() < 8192,
        "{text:?}"
    );
}

fn controller(rules: &Rules, message: &[u8]) {
    if let Some(made) = checked(rules, message, check::create_volume) {
        assert!(!made.capabilities.is_empty() && (1..=128).contains(&made.name.len()));
        made.range.iter().for_each(holds_a_size);
    }
    checked(rules, message, check::delete_volume);
    checked(rules, message, check::controller_publish_volume);
    checked(rules, message, check::controller_unpublish_volume);
    checked(rules, message, check::validate_volume_capabilities);
    checked(rules, message, check::list_volumes);
    checked(rules, message, check::get_capacity);
    checked(rules, message, check::controller_get_volume);
    checked(rules, message, check::controller_modify_volume);
    if let Some(grown) = checked(rules, message, check::controller_expand_volume) {
        holds_a_size(&grown.range);
    }
}

fn snapshots(rules: &Rules, message: &[u8]) {
    checked(rules, message, check::create_snapshot);
    checked(rules, message, check::delete_snapshot);
    checked(rules, message, check::list_snapshots);
    checked(rules, message, check::get_snapshot);
    checked(rules, message, check::create_volume_group_snapshot);
    checked(rules, message, check::delete_volume_group_snapshot);
    checked(rules, message, check::get_volume_group_snapshot);
    checked(rules, message, check::get_metadata_allocated);
    checked(rules, message, check::get_metadata_delta);
}

fn node(rules: &Rules, message: &[u8]) {
    if let Some(staged) = checked(rules, message, check::node_stage_volume) {
        leads_where_it_says(&staged.path);
    }
    if let Some(unstaged) = checked(rules, message, check::node_unstage_volume) {
        leads_where_it_says(&unstaged.path);
    }
    if let Some(published) = checked(rules, message, check::node_publish_volume) {
        leads_where_it_says(&published.target);
        published
            .staging
            .iter()
            .for_each(|path| leads_where_it_says(path));
        assert_eq!(published.ephemeral.is_some(), published.volume.is_inline());
        assert_eq!(published.staging.is_none(), published.volume.is_inline());
    }
    if let Some(unpublished) = checked(rules, message, check::node_unpublish_volume) {
        leads_where_it_says(&unpublished.target);
    }
    if let Some(measured) = checked(rules, message, check::node_get_volume_stats) {
        leads_where_it_says(&measured.path);
    }
    if let Some(grown) = checked(rules, message, check::node_expand_volume) {
        leads_where_it_says(&grown.path);
        grown.range.iter().for_each(holds_a_size);
    }
}

fn leads_where_it_says(path: &Path) {
    let mut components = path.components();
    assert_eq!(components.next(), Some(Component::RootDir), "{path:?}");
    assert!(components.clone().next().is_some(), "{path:?}");
    assert!(
        components.all(|part| matches!(part, Component::Normal(_))),
        "{path:?}"
    );
}

fn holds_a_size(range: &SizeRange) {
    let SizeRange { required, limit } = *range;
    assert!(
        limit.is_none_or(|limit| limit > 0 && required <= limit),
        "{range:?}"
    );
    assert!(required > 0 || limit.is_some(), "{range:?}");
}

/// What requests hold as text: sizes, mount flags, attributes.
fn texts(text: &str) {
    if let Ok(bytes) = quantity::parse(text) {
        assert_eq!(quantity::parse(&bytes.to_string()), Ok(bytes));
    }
    let size = ("size".to_owned(), text.to_owned());
    let _ = Inline::parse(&[size].into());
    let flags: Vec<_> = text.split('\n').map(str::to_owned).collect();
    for (name, value) in Flags::parse(&flags).map_or_else(|_| Vec::new(), |flags| flags.options) {
        assert!(!name.is_empty() && !name.contains(['=', ',', '"']));
        assert!(value.is_none_or(|value| value.len() < 256 && !value.contains(['"', '\0'])));
    }
}
