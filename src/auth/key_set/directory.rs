//! Owns: the folder in which the last good key sets outlive a restart, and the key that proves that this installation wrote
//! them.
//! Refuses: a file that somebody else wrote, that was changed, or that holds another issuer's keys.
//! Always holds: a file is replaced whole or not at all.
//!
//! Why an HMAC and not only a checksum: whoever can put a key into such a file signs tokens that are accepted. A checksum
//! notices a broken disk; the HMAC also notices a file copied from another installation, and one written by somebody who may
//! write the folder (a shared volume, a restored backup) but not read the installation's key. It does not stop somebody who
//! can read that key: they are this program's own user.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{kept_keys::KeptKeys, settings::Origin};

const FOLDER: &str = "key-sets";
const KEY_FILE: &str = "installation.key";
const KEY_BYTES: usize = 32;
/// A document of 512 KiB, escaped twice, and what is said about it.
const LONGEST_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Where the last good key sets are kept.
pub struct KeySetDirectory {
    folder: PathBuf,
    key: hmac::Key,
    /// Two sets of one origin, which differ in their timings, are kept in one file.
    writing: Mutex<()>,
}

/// Why key sets cannot be kept.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// A folder cannot be made.
    #[error("the folder {} cannot be made", .folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The installation's key cannot be read or made.
    #[error("the installation key {} cannot be read or made", .file.display())]
    Key {
        /// Where.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what this program writes.
    #[error("{} is not an installation key; remove it, and a new one is made", .file.display())]
    NotAKey {
        /// Where.
        file: PathBuf,
    },
    /// Everybody on the machine may read or write it.
    #[error("{} can be read or written by everybody; remove it, or make its mode 0600", .file.display())]
    Exposed {
        /// Where.
        file: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("no random numbers can be had")]
    NoRandomness,
}

/// Why a kept key set is not used.
#[derive(Debug, Error)]
pub(super) enum KeptError {
    /// It cannot be read or written.
    #[error("the file cannot be read or written")]
    Io(#[from] io::Error),
    /// It is longer than any that this program writes.
    #[error("the file is too long")]
    TooLong,
    /// It is not what this program writes.
    #[error("the file is damaged")]
    Damaged(#[from] serde_json::Error),
    /// Its proof is wrong.
    #[error("the file was changed, or another installation wrote it")]
    NotOurs,
    /// It was renamed.
    #[error("the file holds the keys of another issuer")]
    OtherOrigin,
}

/// A file: what is kept, as text, and the proof over that text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    hmac_sha256: String,
    kept: String,
}

impl KeySetDirectory {
    /// Opens the folder `key-sets` below `data_directory`, making it and the installation's key if they are not there.
    ///
    /// # Errors
    /// Why key sets cannot be kept there; a start may go on without.
    pub fn open(data_directory: &Path) -> Result<Self, DirectoryError> {
        let folder = data_directory.join(FOLDER);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| DirectoryError::Folder { folder: folder.clone(), source })?;
        let key = installation_key(&data_directory.join(KEY_FILE))?;
        Ok(Self { folder, key: hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), writing: Mutex::new(()) })
    }

    /// The set kept for `origin`; none if there is no file.
    pub(super) fn load(&self, origin: &Origin) -> Result<Option<KeptKeys>, KeptError> {
        let file = match File::open(self.file(origin)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        file.take(LONGEST_FILE_BYTES).read_to_end(&mut text)?;
        if text.len() as u64 >= LONGEST_FILE_BYTES {
            return Err(KeptError::TooLong);
        }
        let envelope: Envelope = serde_json::from_slice(&text)?;
        if verify_slices_are_equal(self.proof(&envelope.kept).as_bytes(), envelope.hmac_sha256.as_bytes()).is_err() {
            return Err(KeptError::NotOurs);
        }
        let kept: KeptKeys = serde_json::from_str(&envelope.kept)?;
        if kept.origin == origin.as_str() { Ok(Some(kept)) } else { Err(KeptError::OtherOrigin) }
    }

    /// Keeps a set in place of the last one of its origin: a new file is written, brought to the disk, and then put in the
    /// old one's place.
    pub(super) fn store(&self, origin: &Origin, kept: &KeptKeys) -> Result<(), KeptError> {
        let kept = serde_json::to_string(kept)?;
        let envelope = serde_json::to_vec(&Envelope { hmac_sha256: self.proof(&kept), kept })?;
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(replace(&self.file(origin), &envelope)?)
    }

    /// The file for `origin`.
    pub(super) fn file(&self, origin: &Origin) -> PathBuf {
        self.folder.join(format!("{}.json", origin.as_str()))
    }

    fn proof(&self, kept: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, kept.as_bytes()).as_ref())
    }
}

impl std::fmt::Debug for KeySetDirectory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeySetDirectory").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Puts a file in the place of another: a new one is written, brought to the disk, and renamed.
fn replace(place: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = place.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, place)?;
    // The rename itself is in the folder.
    place.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn installation_key(file: &Path) -> Result<Zeroizing<Vec<u8>>, DirectoryError> {
    let failed = |source| DirectoryError::Key { file: file.to_owned(), source };
    if !file.try_exists().map_err(failed)? {
        let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
        SystemRandom::new().fill(&mut key).map_err(|_| DirectoryError::NoRandomness)?;
        replace(file, &key).map_err(failed)?;
    }
    // Read back: of two instances that start at once, the later one's key is in force for both.
    let opened = File::open(file).map_err(failed)?;
    // The group is let be: volumes of containers are often given to a group.
    if opened.metadata().map_err(failed)?.permissions().mode() & 0o007 != 0 {
        return Err(DirectoryError::Exposed { file: file.to_owned() });
    }
    let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
    opened.take(KEY_BYTES as u64 + 1).read_to_end(&mut key).map_err(failed)?;
    if key.len() == KEY_BYTES { Ok(key) } else { Err(DirectoryError::NotAKey { file: file.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_installation_key_is_made_once_and_is_nobody_elses() {
        let data = tempfile::tempdir().unwrap();
        let directory = KeySetDirectory::open(data.path()).unwrap();
        let file = data.path().join(KEY_FILE);
        let key = fs::read(&file).unwrap();
        assert_eq!((key.len(), mode(&file), mode(&data.path().join(FOLDER))), (KEY_BYTES, 0o600, 0o700));
        let again = KeySetDirectory::open(data.path()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), key);
        assert_eq!(directory.proof("a"), again.proof("a"));
        assert_ne!(directory.proof("a"), directory.proof("b"));
    }

    #[test]
    fn a_key_that_everybody_may_read_or_that_is_none_is_refused() {
        let data = tempfile::tempdir().unwrap();
        KeySetDirectory::open(data.path()).unwrap();
        let file = data.path().join(KEY_FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(KeySetDirectory::open(data.path()), Err(DirectoryError::Exposed { .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).unwrap();
        assert!(KeySetDirectory::open(data.path()).is_ok());
        fs::write(&file, "short").unwrap();
        assert!(matches!(KeySetDirectory::open(data.path()), Err(DirectoryError::NotAKey { .. })));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_said() {
        let data = tempfile::tempdir().unwrap();
        let in_the_way = data.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        assert!(matches!(KeySetDirectory::open(&in_the_way), Err(DirectoryError::Folder { .. })));
    }
}
