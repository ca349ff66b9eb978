//! Owns: the files of the signing keys: `signing-keys/` with one PEM file a key, the list of them and a lock.
//! Refuses: files and directories that grant anything to group or others.
//! Always holds: a file is either its old self or its new self, whole and on the disk, whenever the power fails; while
//! a [`KeyDirectory`] lives, no other process is in the directory.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{
    SigningKey, SigningKeyError,
    list::{KeyList, ListedKey},
};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Far more than any key or list takes; what is larger is not ours.
const LARGEST_FILE_BYTES: u64 = 1024 * 1024;

/// The width of a PEM line (RFC 7468 section 2).
const PEM_LINE: usize = 64;

/// The list of keys within the directory.
const LIST: &str = "keys.json";

/// The lock within the directory.
const LOCK: &str = "lock";

/// What a file is called until it is whole.
const UNFINISHED: &str = "unfinished";

/// The directory of the signing keys, held under its lock.
#[derive(Debug)]
pub(super) struct KeyDirectory {
    path: PathBuf,
    _lock: File,
}

impl KeyDirectory {
    /// Makes the directory if it is not there, and waits for its lock: two processes that start at once must not both
    /// make keys.
    pub(super) fn open(path: &Path) -> Result<Self, SigningKeyError> {
        let directory_error = |source| SigningKeyError::Directory { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(directory_error)?;
        if let Some(parent) = path.parent() {
            sync_directory(parent).map_err(directory_error)?;
        }
        let metadata = fs::metadata(path).map_err(directory_error)?;
        refuse_exposed(path, &metadata, DIRECTORY_MODE)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(path.join(LOCK))
            .map_err(directory_error)?;
        lock.lock().map_err(directory_error)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The list of keys; none before the first start.
    pub(super) fn read_list(&self) -> Result<Option<KeyList>, SigningKeyError> {
        let path = self.path.join(LIST);
        let text = match read_private(&path) {
            Err(SigningKeyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let list: KeyList = serde_json::from_str(&text)
            .map_err(|source| SigningKeyError::CorruptList { path: path.clone(), source })?;
        match list.fault() {
            Some(fault) => Err(SigningKeyError::InconsistentList { path, fault }),
            None => Ok(Some(list)),
        }
    }

    /// Replaces the list of keys.
    pub(super) fn write_list(&self, list: &KeyList) -> Result<(), SigningKeyError> {
        let path = self.path.join(LIST);
        let written = serde_json::to_vec_pretty(list).map_err(io::Error::from);
        written
            .and_then(|contents| self.write_private(&path, &contents))
            .map_err(|source| SigningKeyError::Write { path, source })
    }

    /// Reads a key that the list names.
    pub(super) fn read_key(&self, listed: &ListedKey) -> Result<SigningKey, SigningKeyError> {
        let path = self.path.join(listed.file_name());
        let pem = read_private(&path)?;
        let algorithm = listed.algorithm;
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes());
        let pkcs8 = Zeroizing::new(pkcs8.map(|der| der.secret_pkcs8_der().to_vec()).unwrap_or_default());
        match SigningKey::from_pkcs8(&pkcs8, algorithm, listed.created_at()) {
            Ok(key) if key.key_id() == listed.key_id => Ok(key),
            Ok(_) => Err(SigningKeyError::OtherKeyFile { path }),
            Err(source) => Err(SigningKeyError::CorruptKey { path, algorithm, source }),
        }
    }

    /// Writes a key that is about to be listed.
    pub(super) fn write_key(&self, listed: &ListedKey, pkcs8: &[u8]) -> Result<(), SigningKeyError> {
        let path = self.path.join(listed.file_name());
        let pem = pem(pkcs8);
        self.write_private(&path, pem.as_bytes()).map_err(|source| SigningKeyError::Write { path, source })
    }

    /// Puts `contents` in the place of `path` in one step, durably, readable by the owner alone from the first byte on.
    fn write_private(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let unfinished = self.path.join(UNFINISHED);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(FILE_MODE).open(&unfinished)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_directory(&self.path)
    }
}

/// Reads a text that is the owner's alone.
fn read_private(path: &Path) -> Result<Zeroizing<String>, SigningKeyError> {
    let read_error = |source| SigningKeyError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read_error)?;
    let metadata = file.metadata().map_err(read_error)?;
    refuse_exposed(path, &metadata, FILE_MODE)?;
    if metadata.len() > LARGEST_FILE_BYTES {
        return Err(read_error(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    // Sized for all of it, so that growing leaves no copy of the key behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1));
    file.take(LARGEST_FILE_BYTES).read_to_string(&mut text).map_err(read_error)?;
    Ok(text)
}

/// Refuses what anybody but the owner has any right to.
fn refuse_exposed(path: &Path, metadata: &fs::Metadata, wanted: u32) -> Result<(), SigningKeyError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(SigningKeyError::Exposed { path: path.to_owned(), mode, wanted })
}

/// Makes renames and new files within `path` survive a loss of power.
fn sync_directory(path: &Path) -> io::Result<()> {
    // The parent of a relative path of one component is the empty path, which means the working directory.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// `pkcs8` in the textual form of RFC 7468 section 10.
fn pem(pkcs8: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(pkcs8));
    // Sized for all of it, so that growing leaves no copy of the key behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / PEM_LINE + 64));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (position, character) in body.chars().enumerate() {
        if position > 0 && position.is_multiple_of(PEM_LINE) {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    text
}
