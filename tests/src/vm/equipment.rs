//! What a VM can do: its kernel's modules and its programs.

/// What a VM has beyond a kernel, a shell and the test executable.
///
/// All tests of one executable share one VM, so they have one equipment.
#[derive(Debug, PartialEq, Eq)]
pub struct Equipment {
    /// Modules of the kernel. What these depend on comes along.
    pub modules: &'static [&'static str],
    /// Programs of this machine, each with the Debian package that it is from. Their libraries come along.
    pub programs: &'static [(&'static str, &'static str)],
    /// Our executables, from where the plugins under test are. They have the same paths in the VM as here.
    pub executables: &'static [&'static str],
    /// MiB. Files made in the VM lie in memory, and may take half of it.
    pub memory: u32,
}

/// For networks of pods, with our plugins.
pub const NETWORK: Equipment = Equipment {
    modules: &[
        "veth",
        "bridge",
        "8021q",
        "nf_tables",
        "nft_chain_nat",
        "nft_masq",
        "nft_ct",
        "nft_meta_bridge",
    ],
    programs: &[
        ("sort", "coreutils"),
        ("grep", "grep"),
        ("ip", "iproute2"),
        ("bridge", "iproute2"),
        ("nft", "nftables"),
        ("ping", "iputils-ping"),
    ],
    executables: &["bridge", "host-local"],
    memory: 512,
};

/// For filesystems in images, with quotas, and for what the harness of storage drivers runs. A driver to be tested there
/// comes as `Equipment { executables: &["csi-hostpath"], ..STORAGE }`.
pub const STORAGE: Equipment = Equipment {
    modules: &[
        "loop",
        "quota_v2",
        "xfs",
        // btrfs asks for these two by name, of a program that is not there.
        "xxhash_generic",
        "blake2b_generic",
        "btrfs",
    ],
    programs: &[
        ("mkfs.ext4", "e2fsprogs"),
        ("e2fsck", "e2fsprogs"),
        ("resize2fs", "e2fsprogs"),
        ("mkfs.xfs", "xfsprogs"),
        ("xfs_quota", "xfsprogs"),
        ("mkfs.btrfs", "btrfs-progs"),
        ("btrfstune", "btrfs-progs"),
        ("ip", "iproute2"),
        ("mkdir", "coreutils"),
        ("rmdir", "coreutils"),
        ("stat", "coreutils"),
        ("sync", "coreutils"),
        ("fsfreeze", "util-linux"),
        ("losetup", "mount"),
        ("mount", "mount"),
        ("setpriv", "util-linux"),
        ("umount", "mount"),
    ],
    executables: &[],
    memory: 1024,
};
