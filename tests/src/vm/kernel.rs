//! The kernel that the VM boots: Debian's, for clouds, as scripts/prepare unpacks it, and its modules.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An unpacked kernel package.
#[derive(Debug)]
pub struct Kernel {
    /// The image to boot.
    pub image: PathBuf,
    modules: HashMap<String, PathBuf>,
}

impl Kernel {
    /// The kernel in `target/vm-kernel` of the workspace.
    pub fn unpacked() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/vm-kernel");
        let image = entries(&root.join("boot")).into_iter().find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        });
        let image = image.unwrap_or_else(|| {
            panic!(
                "{} holds no kernel: run scripts/prepare, which unpacks Debian's linux-image-cloud-amd64 there",
                root.display()
            )
        });
        let mut modules = HashMap::new();
        collect(&root.join("lib/modules"), &mut modules);
        Self { image, modules }
    }

    /// The content of these modules and of all that they depend on, in an order in which they can be loaded.
    pub fn modules(&self, names: &[&str]) -> Vec<(String, Vec<u8>)> {
        let mut ordered = Vec::new();
        for name in names {
            self.append(name, &mut ordered);
        }
        ordered
    }

    fn append(&self, name: &str, ordered: &mut Vec<(String, Vec<u8>)>) {
        if ordered.iter().any(|(known, _)| known == name) {
            return;
        }
        let path = self
            .modules
            .get(name)
            .unwrap_or_else(|| panic!("{} has no module {name}", self.image.display()));
        let content = read(path);
        for dependency in dependencies(&content) {
            self.append(&dependency, ordered);
        }
        ordered.push((name.to_owned(), content));
    }
}

/// The modules that a module says it needs: `depends=stp,llc` in its .modinfo section.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[start + KEY.len()..].split(|byte| *byte == 0).next();
    let names = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Module files by the names that modules have for each other.
fn collect(dir: &Path, modules: &mut HashMap<String, PathBuf>) {
    for path in entries(dir) {
        if path.is_dir() {
            collect(&path, modules);
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            modules.insert(name.replace('-', "_"), path);
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_modinfo() {
        assert_eq!(
            dependencies(b"license=GPL\0depends=stp,llc\0name=bridge\0"),
            ["stp", "llc"]
        );
        assert!(dependencies(b"license=GPL\0depends=\0name=llc\0").is_empty());
        assert!(dependencies(b"").is_empty());
    }
}
