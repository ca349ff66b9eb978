//! Owns: on which names in which folders it depends what a path leads to.
//! Always holds: links are followed one at a time, so that the swap of any of them on the way is a change of one of the names.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The most links on the way to a file, as the kernel has it (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Every name that decides what is at `file`: the file's own, and that of each symbolic link on the way to it.
pub(super) fn deciding_entries(file: &Path) -> BTreeSet<PathBuf> {
    let mut entries = BTreeSet::new();
    let mut path = file.to_owned();
    for _ in 0..MOST_LINKS {
        let Some((link, target)) = first_link(&path) else { break };
        let rest = path.strip_prefix(&link).unwrap_or(Path::new("")).to_owned();
        path = link.parent().unwrap_or(Path::new("/")).join(target).join(rest);
        entries.insert(link);
    }
    entries.insert(path);
    entries
}

/// The outermost symbolic link on the way to `path`, and what it says.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    ancestors.reverse();
    ancestors.into_iter().find_map(|part| Some((part.to_owned(), fs::read_link(part).ok()?)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_decides() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("releases/2")).unwrap();
        fs::write(root.join("releases/2/real.toml"), "").unwrap();
        symlink("real.toml", root.join("releases/2/postern.toml")).unwrap();
        symlink("releases/2", root.join("current")).unwrap();
        symlink(root.join("current"), root.join("config")).unwrap();
        let entries = deciding_entries(&root.join("config/postern.toml"));
        let expected = ["config", "current", "releases/2/postern.toml", "releases/2/real.toml"];
        assert_eq!(entries, expected.iter().map(|name| root.join(name)).collect());
    }

    #[test]
    fn a_plain_file_decides_by_itself_and_a_circle_comes_to_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        assert_eq!(deciding_entries(&root.join("absent")), [root.join("absent")].into());
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(deciding_entries(&root.join("a")), [root.join("a"), root.join("b")].into());
    }
}
