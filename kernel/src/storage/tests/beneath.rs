use super::*;
use crate::storage::scratch::inside;
use rustix::fs::CWD;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// A root in a folder that also holds `outside`, next to the root.
fn root() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("outside")).unwrap();
    fs::write(folder.path().join("outside/file"), "secret").unwrap();
    fs::create_dir(folder.path().join("root")).unwrap();
    let root = Root::open(folder.path().join("root")).unwrap();
    (folder, root)
}

#[test]
fn nothing_leads_out() {
    let (_folder, root) = root();
    symlink("../outside", root.path().join("relative")).unwrap();
    symlink(root.path(), root.path().join("absolute")).unwrap();
    symlink("/proc/self/fd/0", root.path().join("magic")).unwrap();
    for way in ["relative", "absolute", "relative/file", "magic"] {
        assert_eq!(root.beneath(way).unwrap_err().errno(), Errno::LOOP, "{way}");
        let refused = root.open_place(way).unwrap_err();
        assert_eq!(refused.errno(), Errno::LOOP, "{way}");
        let text = refused.to_string();
        assert!(
            text.contains(way) && text.contains("are not followed"),
            "{text}"
        );
    }
    for way in ["../outside", "..", "/etc"] {
        assert_eq!(root.beneath(way).unwrap_err().errno(), Errno::XDEV, "{way}");
    }
    assert_eq!(
        root.open_file("relative", false).unwrap_err().errno(),
        Errno::LOOP
    );
}

#[test]
fn a_name_is_one_component() {
    let (_folder, root) = root();
    for name in ["", ".", "..", "a/b", "a/", "/a", "../outside/file"] {
        let refusals = [
            root.make_dir(name, 0o700).unwrap_err(),
            root.create_file(name, 0o600).unwrap_err(),
            root.open_file(name, false).unwrap_err(),
            root.remove_file(name).unwrap_err(),
            root.remove_dir(name).unwrap_err(),
            root.rename(name, &root, "b").unwrap_err(),
            root.rename("b", &root, name).unwrap_err(),
        ];
        for refused in refusals {
            assert_eq!(refused.errno(), Errno::INVAL, "{name}: {refused}");
            assert!(refused.to_string().contains("one plain name"), "{refused}");
        }
    }
}

#[test]
fn directories_get_the_mode_asked_for() {
    let (_folder, root) = root();
    // 0777 is more than any umask leaves.
    assert!(root.make_dir("a", 0o777).unwrap());
    let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("a"), 0o777);
    assert!(!root.make_dir("a", 0o700).unwrap());
    assert_eq!(mode("a"), 0o777, "it was there and keeps its mode");
    root.create_file("file", 0o666).unwrap();
    assert_eq!(mode("file"), 0o666);
    assert_eq!(
        root.create_file("file", 0o600).unwrap_err().errno(),
        Errno::EXIST
    );
}

#[test]
fn what_is_no_directory_is_not_taken_for_one() {
    let (_folder, root) = root();
    symlink("../outside", root.path().join("link")).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    // Kernels look at the link or at O_DIRECTORY first.
    root.make_dir("link", 0o700).unwrap_err();
    assert_eq!(
        root.make_dir("file", 0o700).unwrap_err().errno(),
        Errno::NOTDIR
    );
}

#[test]
fn only_regular_files_are_opened() {
    let (_folder, root) = root();
    root.make_dir("folder", 0o700).unwrap();
    rustix::fs::mkfifoat(CWD, root.path().join("pipe"), Mode::RWXU).unwrap();
    for name in ["folder", "pipe"] {
        let refused = root.open_file(name, false).unwrap_err();
        assert!(refused.to_string().contains("regular"), "{refused}");
    }
    fs::write(root.path().join("file"), "content").unwrap();
    let file = root.open_file("file", false).unwrap();
    assert_eq!(std::io::read_to_string(&file).unwrap(), "content");
    assert!(
        std::io::Write::write(&mut &file, b"x").is_err(),
        "opened for reading"
    );
    let file = root.open_file("file", true).unwrap();
    std::io::Write::write_all(&mut &file, b"C").unwrap();
    assert_eq!(
        fs::read_to_string(root.path().join("file")).unwrap(),
        "Content"
    );
    assert!(root.open_file("gone", false).unwrap_err().is_missing());
}

#[test]
fn renaming_replaces_nothing() {
    let (_folder, root) = root();
    root.make_dir("from", 0o700).unwrap();
    root.make_dir("to", 0o700).unwrap();
    let (from, to) = (root.beneath("from").unwrap(), root.beneath("to").unwrap());
    from.create_file("a", 0o600).unwrap();
    to.create_file("b", 0o600).unwrap();
    let refused = from.rename("a", &to, "b").unwrap_err();
    assert_eq!(refused.errno(), Errno::EXIST);
    assert!(refused.to_string().contains("from/a"), "{refused}");
    from.rename("a", &to, "c").unwrap();
    assert_eq!(from.entries().unwrap(), Vec::<OsString>::new());
    for name in to.entries().unwrap() {
        assert!(
            to.has(&name).unwrap() && !from.has(&name).unwrap(),
            "{name:?}"
        );
    }
    assert!(to.has("..").is_err(), "a name is one component");
    let mut entries = to.entries().unwrap();
    entries.sort();
    assert_eq!(entries, ["b", "c"]);
    to.sync().unwrap();
    // Listing starts anew each time.
    assert_eq!(to.entries().unwrap().len(), 2);
}

#[test]
fn removing_takes_what_it_says_and_no_more() {
    let (folder, root) = root();
    root.make_dir("folder", 0o700).unwrap();
    root.beneath("folder")
        .unwrap()
        .create_file("file", 0o600)
        .unwrap();
    assert_eq!(
        root.remove_dir("folder").unwrap_err().errno(),
        Errno::NOTEMPTY
    );
    assert_eq!(
        root.remove_file("folder").unwrap_err().errno(),
        Errno::ISDIR
    );
    assert!(root.beneath("folder").unwrap().remove_file("file").unwrap());
    assert!(root.remove_dir("folder").unwrap());
    assert!(!root.remove_dir("folder").unwrap());
    assert!(!root.remove_file("folder").unwrap());
    symlink("../outside/file", root.path().join("link")).unwrap();
    assert!(root.remove_file("link").unwrap());
    assert!(folder.path().join("outside/file").exists());
}

#[test]
fn a_place_may_be_empty() {
    let (_folder, root) = root();
    assert!(root.open_place("nothing").unwrap().is_none());
    assert!(root.open_place("no/parent").unwrap().is_none());
    fs::write(root.path().join("file"), "").unwrap();
    // Not even its owner may read it; looking needs no permission.
    fs::set_permissions(root.path().join("file"), fs::Permissions::from_mode(0o000)).unwrap();
    let place = root.place("file").unwrap();
    let fd = place.open().unwrap().unwrap();
    assert_eq!(
        fstat(&fd).unwrap().st_ino,
        fs::metadata(place.path()).unwrap().ino()
    );
}

#[test]
fn an_open_directory_stays_itself_when_its_path_is_swapped() {
    let (folder, root) = root();
    fs::rename(folder.path().join("root"), folder.path().join("elsewhere")).unwrap();
    symlink("outside", folder.path().join("root")).unwrap();
    root.create_file("here", 0o600).unwrap();
    assert!(folder.path().join("elsewhere/here").exists());
}

#[test]
fn the_trusted_prefix_may_be_a_link() {
    let (folder, root) = root();
    root.make_dir("pods", 0o700).unwrap();
    let trusted = folder.path().join("trusted");
    symlink("root", &trusted).unwrap();
    let place = resolve(&trusted, trusted.join("pods/target")).unwrap();
    assert_eq!(place.path(), trusted.join("pods/target"));
    assert!(place.parent.make_dir(&place.name, 0o700).unwrap());
    assert!(folder.path().join("root/pods/target").is_dir());
    assert_eq!(resolve(&trusted, trusted.join("top")).unwrap().name, "top");
}

#[test]
fn no_other_link_is_followed() {
    let (folder, root) = root();
    let trusted = folder.path().join("root");
    symlink("../outside", root.path().join("pods")).unwrap();
    let refused = resolve(&trusted, trusted.join("pods/target")).unwrap_err();
    assert_eq!(refused.errno(), Errno::LOOP);
    // Beside the trusted directory: a plain path is fine, one through a link is not.
    let plain = folder.path().join("outside/target");
    assert_eq!(resolve(&trusted, &plain).unwrap().path(), plain);
    symlink("outside", folder.path().join("link")).unwrap();
    let linked = folder.path().join("link/target");
    assert_eq!(resolve(&trusted, linked).unwrap_err().errno(), Errno::LOOP);
    // A prefix is made of whole components.
    fs::create_dir(folder.path().join("rooted")).unwrap();
    assert!(resolve(&trusted, folder.path().join("rooted/target")).is_ok());
}

#[test]
fn a_path_that_names_nothing_is_refused() {
    let (_folder, root) = root();
    let inside = |rest: &str| format!("{}/{rest}", root.path().display());
    let paths = [
        inside(""),
        inside(".."),
        inside("../outside"),
        inside("a/../b"),
    ];
    for path in paths
        .iter()
        .map(String::as_str)
        .chain(["relative/path", "", "/"])
    {
        assert_eq!(
            resolve(root.path(), path).unwrap_err().errno(),
            Errno::INVAL,
            "{path}"
        );
    }
    assert!(
        resolve(root.path(), inside("no/target"))
            .unwrap_err()
            .is_missing()
    );
}

#[test]
fn a_mount_beneath_is_entered() {
    inside(|folder| {
        fs::create_dir(folder.join("mounted")).unwrap();
        let before = Root::open(folder).unwrap().beneath("mounted").unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("none", folder.join("mounted"), "tmpfs", flags, None).unwrap();
        let after = Root::open(folder).unwrap().beneath("mounted").unwrap();
        assert_ne!(
            fstat(&before).unwrap().st_dev,
            fstat(&after).unwrap().st_dev
        );
    });
}
