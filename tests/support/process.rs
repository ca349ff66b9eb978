//! The program itself, as an operator runs it, with everything that it writes.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::wait::until;

/// A `postern serve` in a process of its own, killed when dropped.
pub(crate) struct PosternProcess {
    child: Child,
    folder: TempDir,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl PosternProcess {
    /// Starts it with `config`, which has a listener `public` and an admin listener, both at ports that the kernel chooses.
    pub(crate) async fn start(config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("postern.toml");
        fs::write(&file, config).expect("written");
        let sink = |name: &str| Stdio::from(File::create(folder.path().join(name)).expect("a file"));
        let child = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["serve", "-c"])
            .arg(&file)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(sink("stdout"))
            .stderr(sink("stderr"))
            .spawn()
            .expect("the program starts");
        let stderr = folder.path().join("stderr");
        let place = |what: &'static str| {
            let stderr = stderr.clone();
            async move { until(what, || async { address_behind(&stderr, what) }).await }
        };
        let mut this = Self { child, public: ([127, 0, 0, 1], 0).into(), admin: ([127, 0, 0, 1], 0).into(), folder };
        this.public = place("listener public: listening on ").await;
        this.admin = place("admin listener: listening on ").await;
        this
    }

    /// All lines of the access log and of the program's own log so far.
    pub(crate) fn written(&self) -> (String, String) {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).expect("readable");
        (read("stdout"), read("stderr"))
    }

    /// Asks it to stop, as an operator does.
    pub(crate) fn ask_to_stop(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(asked.success());
    }

    /// Waits until it is gone and has written all that it had to write.
    pub(crate) async fn ended(&mut self) {
        let child = &mut self.child;
        let mut ended = || child.try_wait().expect("it is our child");
        let status = until("the program ends", || std::future::ready(ended())).await;
        assert!(status.success(), "{status}");
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn terminate(&mut self) {
        self.ask_to_stop();
        self.ended().await;
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for PosternProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn address_behind(file: &PathBuf, words: &str) -> Option<SocketAddr> {
    let text = fs::read_to_string(file).ok()?;
    let rest = text.split_once(words)?.1;
    let end = rest.find(|character: char| !character.is_ascii_digit() && !".:".contains(character))?;
    rest.get(..end)?.parse().ok()
}
