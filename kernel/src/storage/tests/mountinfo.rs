use super::*;
use proptest::prelude::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn parsed(line: &str) -> Option<Mount> {
    parse(line.as_bytes())
}

#[test]
fn a_line_with_everything() {
    let line =
        "36 35 98:17 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue";
    let expected = Mount {
        id: 36,
        parent: 35,
        dev: makedev(98, 17),
        root: "/mnt1".into(),
        point: "/mnt2".into(),
        options: "rw,noatime".into(),
        fstype: "ext3".into(),
        source: "/dev/root".into(),
        super_options: "rw,errors=continue".into(),
    };
    assert_eq!(parsed(line), Some(expected));
}

#[test]
fn optional_fields_and_sources_may_be_missing() {
    let mount = parsed("1 1 0:1 / / rw - tmpfs  rw").unwrap();
    assert_eq!(
        (mount.source, mount.super_options),
        ("".into(), "rw".into())
    );
}

#[test]
fn escapes_are_undone_and_nothing_else() {
    let line = |point: &[u8]| [b"1 1 0:1 / ", point, b" rw - a b c"].concat();
    let point = |text: &[u8]| parse(&line(text)).unwrap().point;
    let cases: [(&[u8], &[u8]); 7] = [
        (br"/a\040b\011c\012d\134e\043", b"/a b\tc\nd\\e#"),
        (br"/\134040", br"/\040"),
        (br"/\04", br"/\04"),
        (br"/\", br"/\"),
        (br"/\089", br"/\089"),
        (br"/\777", br"/\777"),
        (b"/\xFF\xFE\\377", b"/\xFF\xFE\xFF"),
    ];
    for (written, meant) in cases {
        assert_eq!(point(written), Path::new(OsStr::from_bytes(meant)));
    }
}

#[test]
fn half_a_line_is_none() {
    let whole = "36 35 98:0 /a /b rw master:1 - ext3 source rw";
    assert!(parsed(whole).is_some());
    let ends: Vec<_> = whole.match_indices(' ').map(|(end, _)| end).collect();
    for end in ends {
        assert_eq!(parsed(&whole[..end]), None, "{}", &whole[..end]);
    }
    for wrong in [
        "x 35 98:0",
        "36 +5 98:0",
        "36 35 98",
        "36 35 98:x",
        "36 35 4294967296:0",
        "36  98:0",
    ] {
        assert_eq!(
            parsed(&format!("{wrong} /a /b rw - ext3 source rw")),
            None,
            "{wrong}"
        );
    }
}

#[test]
fn the_table_shows_where_we_are() {
    let table = read().unwrap();
    let root = table
        .iter()
        .rev()
        .find(|mount| mount.point == Path::new("/"));
    let proc = table.iter().find(|mount| mount.fstype == "proc").unwrap();
    assert_eq!(proc.point, Path::new("/proc"));
    assert!(root.is_some());
}

/// As the kernel escapes.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let each = bytes.iter().flat_map(|byte| match byte {
        b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
        _ => vec![*byte],
    });
    each.collect()
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&line);
    }

    #[test]
    fn hardly_a_line_makes_it_panic(line in r"[0-9:]{0,3} ?[0-9:]{0,3} ?[0-9:]{0,3} ?[ /\\0-7a-]{0,30}") {
        let _ = parse(line.as_bytes());
    }

    #[test]
    fn any_name_comes_back(
        point in proptest::collection::vec(1_u8.., 1..40),
        source in proptest::collection::vec(1_u8.., 0..40),
        optional in proptest::collection::vec("[a-z_]{1,9}:[0-9]{1,4}", 0..3),
    ) {
        let optional: String = optional.iter().map(|field| format!("{field} ")).collect();
        let line = [
            b"1 2 3:4 / ", escaped(&point).as_slice(), b" rw ", optional.as_bytes(), b"- t ",
            escaped(&source).as_slice(), b" ro",
        ].concat();
        let mount = parse(&line).unwrap();
        prop_assert_eq!(mount.point.as_os_str().as_bytes(), point);
        prop_assert_eq!(mount.source.as_bytes(), source);
        prop_assert_eq!(mount.super_options, "ro");
    }
}
