//! Owns: a file that a new secret goes into, instead of a terminal's scroll-back or a build's log.
//! Refuses: a file that is there already.
//! Always holds: it is its owner's alone from its first moment; it is there before the secret is made, so that none is lost for
//! want of a place; and it is gone again if there is none.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::secret::Secret;

/// An empty file that waits for a secret.
#[derive(Debug)]
pub(super) struct SecretFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl SecretFile {
    /// Makes the file at `path`.
    ///
    /// # Errors
    /// If it is there, or cannot be made.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.with_context(|| format!("{} cannot be made for the secret", path.display()))?;
        Ok(Self { path: path.to_owned(), file, is_written: false })
    }

    /// Writes the secret and a line's end.
    ///
    /// # Errors
    /// If it cannot be written; the secret is lost then.
    pub(super) fn write(mut self, secret: &Secret) -> anyhow::Result<()> {
        let written = writeln!(self.file, "{}", secret.expose()).and_then(|()| self.file.sync_all());
        written.with_context(|| {
            format!("there is a new secret, and it could not be written to {}: rotate once more", self.path.display())
        })?;
        self.is_written = true;
        Ok(())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.is_written {
            // An empty file that stays says no more than one that is gone.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_goes_into_a_new_file_of_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        SecretFile::create(&path).unwrap().write(&Secret::new("canary".to_owned())).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "canary\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = SecretFile::create(&path).unwrap_err();
        assert!(format!("{error:#}").contains("exists"), "{error:#}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "canary\n");
    }

    #[test]
    fn without_a_secret_there_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        drop(SecretFile::create(&path).unwrap());
        assert!(!path.exists());
        assert!(SecretFile::create(&folder.path().join("no/such/folder")).is_err());
    }
}
