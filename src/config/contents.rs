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
    /// The SHA-256 of it and, behind it, of its length.
    Digest([u8; 32]),
    /// It could not be read, or is no file.
    Unreadable,
}

impl Contents {
    /// What is in the file at `path` now. To be taken before the file is read: then a change in between is at worst noticed
    /// once too often, and never missed.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        // Asked for before it is opened: opening a pipe would wait for its writer.
        if !path.is_file() {
            return Self::Unreadable;
        }
        File::open(path).map_or(Self::Unreadable, |file| Self::of_start(&file, &[]))
    }

    /// The same of `file`, of which `bytes` were read, and then its end.
    pub(super) fn of_all(file: &File, bytes: &[u8]) -> Self {
        digest(file, bytes, io::empty()).unwrap_or(Self::Unreadable)
    }

    /// The same of `file`, of which `bytes` were read and the rest is still to be read.
    pub(super) fn of_start(file: &File, bytes: &[u8]) -> Self {
        digest(file, bytes, file).unwrap_or(Self::Unreadable)
    }
}

fn digest(file: &File, start: &[u8], rest: impl io::Read) -> io::Result<Contents> {
    if !file.metadata()?.is_file() {
        return Ok(Contents::Unreadable);
    }
    let mut context = Context::new(&SHA256);
    context.update(start);
    let mut length = start.len() as u64;
    let mut rest = rest.take(MOST_BYTES.saturating_sub(length));
    let mut buffer = [0; 16 * 1024];
    loop {
        match rest.read(&mut buffer)? {
            0 => break,
            count => {
                context.update(buffer.get(..count).unwrap_or_default());
                length += count as u64;
            }
        }
    }
    // The length of what was read, and not the one that the file is said to have: in /proc, or where a file system is a program, that
    // may be another one.
    if length >= MOST_BYTES {
        length = length.max(file.metadata()?.len());
    }
    context.update(&length.to_be_bytes());
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
        assert_eq!(Contents::of_all(&File::open(&file).unwrap(), b"one"), one);
        assert_eq!(Contents::of_all(&File::open("/dev/zero").unwrap(), b"one"), Contents::Unreadable);
        fs::write(&file, "two").unwrap();
        assert_ne!(Contents::of(&file), one);
        fs::write(folder.path().join("other"), "one").unwrap();
        fs::rename(folder.path().join("other"), &file).unwrap();
        assert_eq!(Contents::of(&file), one);
        assert_eq!(Contents::of(folder.path()), Contents::Unreadable);
        assert_eq!(Contents::of(Path::new("/dev/zero")), Contents::Unreadable);
    }

    #[test]
    fn a_file_that_is_said_to_be_empty_is_told_by_what_is_read_from_it() {
        let path = Path::new("/proc/version");
        let (file, bytes) = (File::open(path).unwrap(), fs::read(path).unwrap());
        assert_eq!(
            (file.metadata().unwrap().len(), bytes.is_empty()),
            (0, false),
            "/proc/version is no example any more"
        );
        assert_eq!(Contents::of_all(&file, &bytes), Contents::of(path));
        assert_ne!(Contents::of(path), Contents::Unreadable);
    }

    #[test]
    fn reading_on_behind_what_was_read_gives_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![b'x'; 100_000]).unwrap();
        let mut file = File::open(&path).unwrap();
        let mut start = vec![0; 70_000];
        file.read_exact(&mut start).unwrap();
        assert_eq!(Contents::of_start(&file, &start), Contents::of(&path));
        assert_ne!(Contents::of_all(&file, &start), Contents::of(&path));
    }

    #[test]
    fn beyond_what_is_looked_at_the_length_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let of_length = |length| {
            File::create(&path).unwrap().set_len(length).unwrap();
            Contents::of(&path)
        };
        let [most, more, still_more] = [MOST_BYTES, MOST_BYTES + 1, MOST_BYTES + 2].map(of_length);
        assert!(most != more && more != still_more);
    }
}
