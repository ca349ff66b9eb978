//! Owns: one source file: reading it whole, and turning bytes of it into lines and columns.
//! Refuses: files over 4 MiB, files that are not UTF-8, empty ones (a file that is just being written).
//! Always holds: after [`SourceFile::conceal`] no secret is left in the text.

use std::{
    fs::File,
    io::{self, Read as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The largest configuration file.
pub(super) const FILE_BYTES_LIMIT: usize = 4 * 1024 * 1024;

/// A file of the configuration.
pub(super) struct SourceFile {
    /// Its name, as it was given.
    pub(super) name: PathBuf,
    text: String,
    /// Where each line begins, once somebody has asked: nobody does if nothing is wrong.
    lines: OnceLock<Vec<usize>>,
}

/// Why a file's text cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("this file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("this file is larger than 4 MiB")]
    TooLarge,
    #[error("this file is not UTF-8: byte {0} is wrong")]
    NotUtf8(usize),
    #[error("this file is empty")]
    Empty,
}

impl ReadError {
    /// What to do about it.
    pub(super) const fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "give the name of a file that this user may read",
            Self::TooLarge => "split it, and give each part by its own `-c`",
            Self::NotUtf8(_) => "save it as UTF-8",
            Self::Empty => "write a configuration into it, or leave it out",
        }
    }
}

/// The file at `path` and what is in it, or a byte more than may be.
pub(super) fn read_bytes(path: &Path) -> Result<(File, Vec<u8>), ReadError> {
    let file = File::open(path).map_err(ReadError::Unreadable)?;
    let expected = file.metadata().map_or(0, |metadata| metadata.len()).min(FILE_BYTES_LIMIT as u64);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    (&file).take(FILE_BYTES_LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(ReadError::Unreadable)?;
    Ok((file, bytes))
}

/// The text in `bytes`, if it is fit to be a configuration.
pub(super) fn accept(bytes: Vec<u8>) -> Result<String, ReadError> {
    if bytes.len() > FILE_BYTES_LIMIT {
        return Err(ReadError::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|error| ReadError::NotUtf8(error.utf8_error().valid_up_to()))?;
    if text.trim().is_empty() { Err(ReadError::Empty) } else { Ok(text) }
}

impl SourceFile {
    /// A file with its text; without any if it could not be read.
    pub(super) const fn new(name: PathBuf, text: String) -> Self {
        Self { name, text, lines: OnceLock::new() }
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(position, _)| position + 1)).collect()
        })
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The line, from one, that holds the byte `at`, and the bytes of that line without its end.
    pub(super) fn line(&self, at: usize) -> (usize, Range<usize>) {
        let lines = self.lines();
        let number = lines.partition_point(|start| *start <= at).max(1);
        let start = lines.get(number - 1).copied().unwrap_or_default();
        let end = lines.get(number).map_or(self.text.len(), |next| next - 1);
        let end = if self.text.get(start..end).is_some_and(|line| line.ends_with('\r')) { end - 1 } else { end };
        (number, start..end)
    }

    /// `range`, made to lie within the text and to begin and end between characters.
    pub(super) fn clip(&self, range: Range<usize>) -> Range<usize> {
        let floor = |at: usize| (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
        let start = floor(range.start).unwrap_or_default();
        start..floor(range.end).unwrap_or_default().max(start)
    }

    /// Puts stars in the place of what `ranges` hold. Lengths and lines stay as they are.
    pub(super) fn conceal(&mut self, ranges: impl IntoIterator<Item = Range<usize>>) {
        let mut ranges = ranges.into_iter().peekable();
        if ranges.peek().is_none() {
            return;
        }
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        for range in ranges {
            for byte in bytes.get_mut(range).into_iter().flatten() {
                if !matches!(byte, b'\n' | b'\r' | b'"' | b'\'') {
                    *byte = b'*';
                }
            }
        }
        self.text = String::from_utf8_lossy(&bytes).into_owned();
        zeroize::Zeroize::zeroize(&mut bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_lines() {
        let file = SourceFile::new("a".into(), "ab\r\nc\n\nd".to_owned());
        for (at, expected) in
            [(0, (1, 0..2)), (3, (1, 0..2)), (4, (2, 4..5)), (6, (3, 6..6)), (8, (4, 7..8)), (99, (4, 7..8))]
        {
            assert_eq!(file.line(at), expected, "{at}");
        }
        assert_eq!(SourceFile::new("a".into(), String::new()).line(0), (1, 0..0));
    }

    #[test]
    fn a_range_never_cuts_a_character() {
        let file = SourceFile::new("a".into(), "aäb".to_owned());
        assert_eq!(file.clip(2..99), 1..4);
        assert_eq!(file.clip(2..2), 1..1);
    }

    #[test]
    fn unfit_bytes_are_named() {
        assert!(matches!(accept(vec![b'a'; FILE_BYTES_LIMIT + 1]), Err(ReadError::TooLarge)));
        assert!(matches!(accept(b"a = \"\xff\"".to_vec()), Err(ReadError::NotUtf8(5))));
        assert!(matches!(accept(b" \n\t".to_vec()), Err(ReadError::Empty)));
        assert!(matches!(read_bytes(Path::new("/nonexistent/postern.toml")), Err(ReadError::Unreadable(_))));
        assert!(matches!(read_bytes(Path::new("/")), Err(ReadError::Unreadable(_))));
    }
}
