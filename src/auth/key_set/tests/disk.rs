//! The last good set outlives a restart, and nothing else gets in that way.

use std::{fs, path::PathBuf, time::Duration};

use super::super::{
    status::KeySetState,
    testing::{Reply, START, ScriptedIssuer, Side, eventually, fetches, listed_key},
};

/// An issuer whose set was kept in a folder, and which then went down.
async fn kept() -> (ScriptedIssuer, tempfile::TempDir, PathBuf, String) {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one"), listed_key("two")]).header("etag", "\"v1\""));
    let toml = format!("jwks_uri = '{}'\n[key_set]\nmax_stale = '1h'", issuer.url("/jwks"));
    let data = tempfile::tempdir().unwrap();
    let side = Side::keeping(data.path(), START);
    let set = side.ready(&toml).await;
    let file = data.path().join("key-sets").join(format!("{}.json", set.settings().origin().as_str()));
    eventually("the set is kept", || file.exists()).await;
    issuer.set("/jwks", Reply::text(503, ""));
    (issuer, data, file, toml)
}

#[tokio::test]
async fn a_restart_while_the_issuer_is_down_still_serves_and_the_age_counts() {
    let (_issuer, data, file, toml) = kept().await;
    let side = Side::keeping(data.path(), START.plus(Duration::from_secs(3000)));
    let set = side.start(&toml);
    assert_eq!(side.ids(&set), ["one", "two"]);
    assert_eq!(set.status().age_seconds, Some(3000));
    assert_eq!(set.status().keys[0].first_seen, "2027-01-15T08:00:00Z");
    eventually("a failed fetch", || fetches(&set.status(), "refused_by_issuer") >= 1).await;
    assert_eq!(side.ids(&set), ["one", "two"]);
    side.clock.advance(Duration::from_secs(601));
    assert!(side.ids(&set).is_empty());
    assert_eq!(set.status().state, KeySetState::Unavailable);
    assert!(
        !fs::read_dir(file.parent().unwrap()).unwrap().any(|entry| entry.unwrap().path().extension().unwrap() == "new")
    );
}

#[tokio::test]
async fn a_revived_set_is_recognised_by_its_issuer_and_kept_with_its_new_age() {
    let (issuer, data, _, toml) = kept().await;
    let later = START.plus(Duration::from_secs(3000));
    issuer.set("/jwks", Reply::text(200, "").header("etag", "\"v1\""));
    let side = Side::keeping(data.path(), later);
    let set = side.start(&toml);
    eventually("a 304", || fetches(&set.status(), "not_modified") == 1).await;
    assert_eq!(set.status().age_seconds, Some(0));
    issuer.set("/jwks", Reply::text(503, ""));
    eventually("the new age is kept", || {
        Side::keeping(data.path(), later).obtain(&toml).status().age_seconds == Some(0)
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_changed_or_is_somebody_elses_is_ignored() {
    let (issuer, data, file, toml) = kept().await;
    let good = fs::read_to_string(&file).unwrap();
    let revived = |data: &std::path::Path| {
        let side = Side::keeping(data, START);
        side.ids(&side.obtain(&toml)).len()
    };
    assert_eq!(revived(data.path()), 2, "the control");
    let half = good.get(..good.len() / 2).unwrap();
    let changed = good.replace("one", "uno");
    assert_ne!(changed, good);
    for bad in ["", "{}", "\u{0}", &changed, half, &good.replace("hmac_sha256\":\"", "hmac_sha256\":\"A")] {
        fs::write(&file, bad).unwrap();
        assert_eq!(revived(data.path()), 0, "{bad:.40}");
    }
    fs::write(&file, vec![b' '; 5 << 20]).unwrap();
    assert_eq!(revived(data.path()), 0, "too long");

    // Another installation's file, with its own valid proof.
    fs::write(&file, &good).unwrap();
    let other = tempfile::tempdir().unwrap();
    Side::keeping(other.path(), START);
    fs::copy(&file, other.path().join("key-sets").join(file.file_name().unwrap())).unwrap();
    assert_eq!(revived(other.path()), 0, "another installation");

    // Our own file, under the name of another issuer.
    let elsewhere = format!("jwks_uri = '{}'", issuer.url("/other"));
    let side = Side::keeping(data.path(), START);
    let set = side.obtain(&elsewhere);
    fs::copy(&file, file.with_file_name(format!("{}.json", set.settings().origin().as_str()))).unwrap();
    drop(set);
    assert!(side.ids(&side.obtain(&elsewhere)).is_empty(), "another issuer");
    assert_eq!(revived(data.path()), 2, "the control");
}

#[tokio::test]
async fn a_set_from_the_future_is_ignored_for_nobody_knows_its_age() {
    let (_issuer, data, _, toml) = kept().await;
    let ids_at = |now| {
        let side = Side::keeping(data.path(), now);
        side.ids(&side.obtain(&toml)).len()
    };
    assert_eq!(ids_at(START.minus(Duration::from_secs(200))), 2);
    assert_eq!(ids_at(START.minus(Duration::from_secs(400))), 0);
    assert_eq!(ids_at(START.plus(Duration::from_secs(3601))), 0);
}

#[tokio::test]
async fn a_disk_that_refuses_is_said_and_stops_nothing() {
    let issuer = ScriptedIssuer::start().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]));
    let data = tempfile::tempdir().unwrap();
    let side = Side::keeping(data.path(), START);
    fs::remove_dir_all(data.path().join("key-sets")).unwrap();
    let set = side.ready(&format!("jwks_uri = '{}'", issuer.url("/jwks"))).await;
    eventually("it is said", || set.status().warnings.iter().any(|text| text.contains("could not be kept"))).await;
    assert_eq!(side.ids(&set), ["one"]);
}
