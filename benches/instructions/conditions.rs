//! What a count depends on beside the code: counts of one compiler say nothing about those of another, nor do those of a processor
//! for which memchr, glibc and aws-lc choose other ways at run time.

use std::{env, process::Command};

use serde::{Deserialize, Serialize};

use super::{baseline::RENEW, callgrind};

/// Under which a count was made.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conditions {
    target: String,
    rustc: String,
    /// Of the allocator and of aws-lc.
    cc: String,
    profile: String,
    libc: String,
    valgrind: String,
    processor: String,
}

/// What is set, while the program is built, to have it built otherwise than Cargo.toml says.
const PROFILE_OVERRIDES: [(&str, Option<&str>); 10] = [
    ("CARGO_PROFILE_BENCH_LTO", option_env!("CARGO_PROFILE_BENCH_LTO")),
    ("CARGO_PROFILE_BENCH_CODEGEN_UNITS", option_env!("CARGO_PROFILE_BENCH_CODEGEN_UNITS")),
    ("CARGO_PROFILE_BENCH_INCREMENTAL", option_env!("CARGO_PROFILE_BENCH_INCREMENTAL")),
    ("CARGO_PROFILE_BENCH_OPT_LEVEL", option_env!("CARGO_PROFILE_BENCH_OPT_LEVEL")),
    ("CARGO_PROFILE_RELEASE_LTO", option_env!("CARGO_PROFILE_RELEASE_LTO")),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", option_env!("CARGO_PROFILE_RELEASE_CODEGEN_UNITS")),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", option_env!("CARGO_PROFILE_RELEASE_INCREMENTAL")),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", option_env!("CARGO_PROFILE_RELEASE_OPT_LEVEL")),
    ("RUSTFLAGS", option_env!("RUSTFLAGS")),
    ("CARGO_ENCODED_RUSTFLAGS", option_env!("CARGO_ENCODED_RUSTFLAGS")),
];
/// What it is called to be built as it is shipped.
const TRUE_PROFILE: &str = "release";

impl Conditions {
    /// Those of this program, here.
    pub(crate) fn find() -> Result<Self, String> {
        let named = |variable: &str, usual: &str| env::var(variable).unwrap_or_else(|_| usual.to_owned());
        Ok(Self {
            target: format!("{}-{}", env::consts::ARCH, env::consts::OS),
            rustc: first_line(&named("RUSTC", "rustc"), "--version")?,
            // A variable may say more than the name of a program. Then it is not known, and so another.
            cc: last_word(&named("CC", "cc")).unwrap_or_else(|_| "unknown".to_owned()),
            profile: profile(),
            libc: last_word("ldd")?,
            valgrind: first_line("valgrind", "--version")?,
            processor: callgrind::valgrind(&["--tool=none".to_owned()], &[super::PROCESSOR])?.trim().to_owned(),
        })
    }

    /// In which ways `here` is another than `self`.
    pub(crate) fn differences(&self, here: &Self) -> Vec<String> {
        let pairs = [
            ("target", &self.target, &here.target),
            ("rustc", &self.rustc, &here.rustc),
            ("cc", &self.cc, &here.cc),
            ("profile", &self.profile, &here.profile),
            ("libc", &self.libc, &here.libc),
            ("valgrind", &self.valgrind, &here.valgrind),
            ("processor", &self.processor, &here.processor),
        ];
        let differing = pairs.into_iter().filter(|(_, before, now)| before != now);
        differing.map(|(name, before, now)| format!("{name}: counted with `{before}`, here is `{now}`")).collect()
    }

    /// Why nobody should be compared with what is counted under these.
    pub(crate) fn reason_not_to_keep(&self) -> Option<String> {
        let is_kept = self.profile == TRUE_PROFILE;
        (!is_kept).then(|| format!("counts of the profile `{}` are not kept: {RENEW}", self.profile))
    }
}

fn profile() -> String {
    if cfg!(debug_assertions) {
        return "dev".to_owned();
    }
    let overrides = PROFILE_OVERRIDES.iter().filter_map(|(name, value)| value.map(|value| format!(" {name}={value}")));
    TRUE_PROFILE.to_owned() + &overrides.collect::<String>()
}

/// The last word of a version: without what the distribution patched, which changes neither code nor what is chosen at run time.
fn last_word(program: &str) -> Result<String, String> {
    let line = first_line(program, "--version")?;
    Ok(line.split_whitespace().last().unwrap_or_default().to_owned())
}

fn first_line(program: &str, argument: &str) -> Result<String, String> {
    let output = Command::new(program).arg(argument).output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned()).ok_or_else(|| format!("{program} {argument} says nothing"))
}

/// The extensions that this processor has, or that valgrind shows to whoever runs under it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn processor() -> String {
    let known = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("ssse3", is_x86_feature_detected!("ssse3")),
        ("popcnt", is_x86_feature_detected!("popcnt")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("adx", is_x86_feature_detected!("adx")),
        ("aes", is_x86_feature_detected!("aes")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("sha", is_x86_feature_detected!("sha")),
        ("rdrand", is_x86_feature_detected!("rdrand")),
    ];
    let there = known.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name);
    there.collect::<Vec<_>>().join(" ")
}

/// Not told apart here.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn processor() -> String {
    "any".to_owned()
}
