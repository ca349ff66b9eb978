//! Owns: telling whether a file says what it said before, without keeping what it says.
//! Refuses: reading what can be read only once, like a pipe.
//! Always holds: a file that cannot be read has contents of its own kind, so that its coming back is a change.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};

/// What is beyond this is told from the length alone; no file that is of use here is as long.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// What was in a file at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The SHA-256 of it and of its length.
    Digest([u8; 32]),
    /// It could not be read, or is no file.
    Unreadable,
}

impl Contents {
    /// What is in the file at `path` now. To be taken before the file is read: then a change in between is at worst noticed
    /// once too often, and never missed.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        digest(path).unwrap_or(Self::Unreadable)
    }

    /// The same of all `bytes` that were read from the file at `path`, which are no more than are looked at.
    pub(super) fn of_bytes(path: &Path, bytes: &[u8]) -> Self {
        if !path.is_file() {
            return Self::Unreadable;
        }
        let mut context = Context::new(&SHA256);
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
        context.finish().as_ref().try_into().map_or(Self::Unreadable, Self::Digest)
    }
}

fn digest(path: &Path) -> io::Result<Contents> {
    // Asked for before it is opened: opening a pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Ok(Contents::Unreadable);
    }
    let file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    context.update(&file.metadata()?.len().to_be_bytes());
    let mut file = file.take(MOST_BYTES);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => context.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(context.finish().as_ref().try_into().map_or(Contents::Unreadable, Contents::Digest))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn contents_are_equal_exactly_if_the_file_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert_eq!(Contents::of(&file), Contents::Unreadable);
        fs::write(&file, "one").unwrap();
        let one = Contents::of(&file);
        assert_ne!(one, Contents::Unreadable);
        assert_eq!(Contents::of_bytes(&file, b"one"), one);
        assert_eq!(Contents::of_bytes(Path::new("/dev/zero"), b"one"), Contents::Unreadable);
        fs::write(&file, "two").unwrap();
        assert_ne!(Contents::of(&file), one);
        fs::write(folder.path().join("other"), "one").unwrap();
        fs::rename(folder.path().join("other"), &file).unwrap();
        assert_eq!(Contents::of(&file), one);
        assert_eq!(Contents::of(folder.path()), Contents::Unreadable);
        assert_eq!(Contents::of(Path::new("/dev/zero")), Contents::Unreadable);
    }
}
