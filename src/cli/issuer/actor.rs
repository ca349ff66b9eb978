//! Owns: the name under which the audit notes what is done on a store by the command line.
//! Refuses: a name out of the environment while the system knows who this is: anybody can write an environment.

use std::{fs, os::unix::fs::MetadataExt as _};

use crate::authorization_server::Actor;

/// Whoever runs this process, like `cli:ann`.
pub(super) fn of_this_process() -> Actor {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    // The owner of a process's entry is the user it runs as; where there are no such entries, the word of the environment
    // is all there is.
    let user = fs::metadata("/proc/self").ok().map(|entry| entry.uid());
    let name = match user {
        Some(id) => name_of(id, &users).map_or_else(|| format!("user {id}"), str::to_owned),
        None => std::env::var("LOGNAME").unwrap_or_else(|_| "unknown".to_owned()),
    };
    Actor::new(&format!("cli:{name}"))
}

/// The name of a user in the text of `/etc/passwd`: name, password, id, and more, with colons between them.
fn name_of(user: u32, users: &str) -> Option<&str> {
    let id = user.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)? == id).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:7:7\nann:x:1000:1000:Ann,,,:/home/ann:/bin/bash\n";
        for (user, name) in [(0, Some("root")), (1000, Some("ann")), (7, None), (100, None)] {
            assert_eq!(name_of(user, users), name);
        }
        assert!(of_this_process().name().starts_with("cli:"));
    }
}
