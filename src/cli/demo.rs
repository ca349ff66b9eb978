//! `postern demo`: a complete example on loopback, to try and to change while it runs.
//!
//! The configuration is copied into the data folder, so that the one in the repository stays as it is; nothing is left
//! behind outside that folder.

use std::{
    fs::{self, File, TryLockError},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::runtime::Builder;

use super::{terminal, upstream_example};
use crate::{
    app::{self, Options, Running, StartError},
    clock::Clock,
    config::ProcessEnvironment,
};

/// The configuration of the demo, as it stands in the repository.
const CONFIG: &str = include_str!("../../config/demo.toml");
/// The addresses in it, in the order in which they are replaced if they are taken.
const ADDRESSES: [(&str, &str); 3] =
    [("gateway", "127.0.0.1:8080"), ("admin listener", "127.0.0.1:9090"), ("example upstream", "127.0.0.1:9000")];
/// The data directory in it.
const DATA_DIRECTORY: &str = "\"../data/demo\"";

/// What `postern demo` takes.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// The folder for the configuration and the issuer's keys
    #[arg(long, value_name = "FOLDER", default_value = "data/demo")]
    data_directory: PathBuf,
}

/// Runs the demo until Ctrl-C.
pub(super) fn run(arguments: &DemoArguments) -> anyhow::Result<ExitCode> {
    let folder = &arguments.data_directory;
    fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let folder = fs::canonicalize(folder)?;
    let _ours_alone = take(&folder)?;
    let (config, upstream) = prepare(CONFIG)?;
    let file = folder.join("demo.toml");
    let kept = keep_edited(&file, &config)?;

    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    upstream.set_nonblocking(true)?;
    let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(upstream) })?;
    let example = runtime.spawn(upstream_example::serve(listener));

    let options = Options {
        files: vec![file.clone()],
        environment: Arc::new(ProcessEnvironment),
        clock: Clock::system(),
        log: true,
    };
    let running = match app::start(options) {
        Ok(running) => running,
        Err(StartError::Configuration(rejection)) => {
            eprint!("{}", rejection.text);
            bail!("{} is not a good configuration any more; mend it, or remove it to begin anew", file.display());
        }
        Err(error) => return Err(error.into()),
    };
    terminal::print(&what_to_try(&running, &file, kept.as_deref()))?;
    running.run_until_signalled()?;
    example.abort();
    Ok(ExitCode::SUCCESS)
}

/// Takes the folder, which another demo must not use meanwhile: it would write its own addresses into the configuration of
/// the first.
fn take(folder: &Path) -> anyhow::Result<File> {
    let lock = File::create(folder.join("demo.lock")).with_context(|| format!("{} is not writable", folder.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("another demo uses {}; end it, or name another folder by --data-directory", folder.display())
        }
        Err(TryLockError::Error(error)) => Err(error).context("the folder cannot be locked"),
    }
}

/// The configuration with addresses that are free, and the example upstream's socket.
fn prepare(template: &str) -> anyhow::Result<(String, TcpListener)> {
    let mut config = template.replace(DATA_DIRECTORY, "\".\"");
    // All are held until all are known, so that none is given out twice.
    let mut sockets = Vec::new();
    for (what, usual) in ADDRESSES {
        let (socket, address) = free(usual.parse()?).with_context(|| format!("no address for the {what}"))?;
        config = config.replace(usual, &address.to_string());
        sockets.push(socket);
    }
    // The gateway binds the others itself; only the last one is ours.
    Ok((config, sockets.pop().context("the demo has no upstream")?))
}

/// The usual address, or another port of it if somebody has that one already.
fn free(usual: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = match TcpListener::bind(usual) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        other => other?,
    };
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Writes the configuration. One that somebody edited before is kept beside it, so that nothing is lost.
fn keep_edited(file: &Path, config: &str) -> anyhow::Result<Option<PathBuf>> {
    let mut kept = None;
    if let Ok(before) = fs::read_to_string(file)
        && before != config
    {
        let aside = file.with_extension("toml.before");
        fs::rename(file, &aside).with_context(|| format!("{} cannot be kept", file.display()))?;
        kept = Some(aside);
    }
    fs::write(file, config).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(kept)
}

fn what_to_try(running: &Running, file: &Path, kept: Option<&Path>) -> String {
    let address = |address: Option<SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    let public = address(running.address("public"));
    let admin = address(running.admin_address());
    let kept = kept.map(|kept| format!("(Your earlier changes are in {}.)\n", kept.display())).unwrap_or_default();
    let file = file.display();
    format!(
        r#"
Postern's demo is running. In another terminal:

1. Get a token from the embedded issuer:
   TOKEN=$(curl -s http://{public}/oauth/token -d grant_type=client_credentials \
     -u demo:demo-secret-not-for-production | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

2. Call the API with it (200):
   curl -i -H "Authorization: Bearer $TOKEN" http://{public}/orders/7

3. Call without it (401), and call what its scopes do not allow (403):
   curl -i http://{public}/orders/7
   curl -i -X POST -H "Authorization: Bearer $TOKEN" http://{public}/orders

4. Change the rules while it runs: in {file}
   replace  scopes = ["orders:write"]  by  scopes = ["orders:read"]  and save. The last call is now answered 200.
   sed -i 's/scopes = \["orders:write"\]/scopes = ["orders:read"]/' {file}

What is in force: curl -s http://{admin}/api/v1/config    How it is: curl -s http://{admin}/readyz
{kept}Ctrl-C ends it. Requests are logged below.

"#
    )
}
