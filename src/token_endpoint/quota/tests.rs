//! Everybody gets as much as was configured, in every hour and day, and nobody else is touched.

use futures_util::FutureExt as _;
use http::HeaderMap;

use super::*;
use crate::config::DialectConfig;

/// The beginning of a day, and so of an hour.
const MIDNIGHT: UnixTime = UnixTime::from_seconds(1_699_920_000);

fn after(seconds: u64) -> UnixTime {
    MIDNIGHT.plus(Duration::from_secs(seconds))
}

fn compiled(quotas: &Quotas, toml: &str) -> (Arc<Quota>, Vec<String>) {
    let (raw, mut diagnostics) = (toml::from_str(toml).unwrap(), Diagnostics::new());
    let quota = quotas.of(&"oauth".into(), &raw, &KeyPath::of(&["quota"]), &mut diagnostics);
    let told = diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.path, diagnostic.message)).collect();
    (Arc::new(quota), told)
}

fn quota(toml: &str) -> Arc<Quota> {
    compiled(&Quotas::default(), toml).0
}

fn spend(quota: &Arc<Quota>, client_id: &str, now: UnixTime) -> Result<Spent, Box<QuotaExceeded>> {
    quota.spend(client_id, None, now).now_or_never().unwrap()
}

/// How many tokens out of `attempts` a client gets.
fn gets(quota: &Arc<Quota>, client_id: &str, attempts: usize, now: UnixTime) -> usize {
    (0..attempts).filter_map(|_| spend(quota, client_id, now).ok()).map(Spent::kept).count()
}

#[test]
fn hours_and_days_are_those_of_utc() {
    let quota = quota("per_hour = 3\nper_day = 5");
    assert_eq!(gets(&quota, "billing", 9, after(3_598)), 3);
    let exceeded = *spend(&quota, "billing", after(3_599)).unwrap_err();
    assert_eq!((exceeded.whose, exceeded.retry_after), (HolderKind::Client, Duration::from_secs(1)));
    let almost = UnixTime::from_milliseconds(after(3_600).as_milliseconds() - 1);
    assert_eq!(spend(&quota, "billing", almost).unwrap_err().retry_after, Duration::from_secs(1));
    // The next hour, but the same day.
    assert_eq!(gets(&quota, "billing", 9, after(3_600)), 2);
    let exceeded = *spend(&quota, "billing", after(3_600)).unwrap_err();
    assert_eq!(exceeded.retry_after, Duration::from_secs(23 * 3600));
    assert_eq!(gets(&quota, "billing", 9, after(23 * 3600 + 3599)), 0);
    assert_eq!(gets(&quota, "billing", 9, after(24 * 3600)), 3);
}

#[test]
fn what_is_not_kept_is_given_back_and_leaves_nothing_behind() {
    let quota = quota("per_hour = 2");
    for attempt in 0..10_000 {
        drop(spend(&quota, &format!("made-up-{attempt}"), MIDNIGHT).unwrap());
    }
    assert_eq!(quota.memory.counts.holder_count(), 0);
    let under_way = [spend(&quota, "billing", MIDNIGHT).unwrap(), spend(&quota, "billing", MIDNIGHT).unwrap()];
    let exceeded = spend(&quota, "billing", MIDNIGHT).expect_err("both may yet succeed");
    assert_eq!(exceeded.retry_after, Duration::from_secs(1), "or fail in a moment");
    let [first, second] = under_way;
    first.kept();
    drop(second);
    assert_eq!(gets(&quota, "billing", 9, MIDNIGHT), 1);
    assert_eq!(spend(&quota, "billing", MIDNIGHT).unwrap_err().retry_after, Duration::from_hours(1));
    // Given back after its hour, it is not taken from the next one.
    let late = spend(&quota, "billing", after(3_600)).unwrap();
    assert_eq!(gets(&quota, "billing", 9, after(7_200)), 2);
    drop(late);
    assert_eq!(gets(&quota, "billing", 9, after(7_200)), 0);
}

#[test]
fn what_is_over_is_let_go_of() {
    let quota = quota("per_hour = 2");
    for number in 0..100 {
        assert_eq!(gets(&quota, &format!("client-{number}"), 1, MIDNIGHT), 1);
    }
    assert_eq!(gets(&quota, "billing", 1, after(23 * 3600)), 1);
    assert_eq!(quota.memory.counts.holder_count(), 101);
    assert_eq!(gets(&quota, "billing", 1, after(24 * 3600)), 1);
    assert_eq!(quota.memory.counts.holder_count(), 1);
}

#[test]
fn an_organisation_has_a_quota_of_its_own() {
    let quota =
        quota("per_hour = 3\norganizations = { per_hour = 4 }\nclients = { big = { per_hour = 9 }, free = {} }");
    let spend = |client: &str, organization| quota.spend(client, organization, MIDNIGHT).now_or_never().unwrap();
    let kept = |client: &str, organization, attempts: usize| {
        (0..attempts).filter_map(|_| spend(client, organization).ok()).map(Spent::kept).count()
    };
    assert_eq!(kept("one", Some("acme"), 9), 3);
    assert_eq!(spend("one", Some("acme")).unwrap_err().whose, HolderKind::Client);
    assert_eq!(kept("two", Some("acme"), 9), 1);
    assert_eq!(spend("two", Some("acme")).unwrap_err().whose, HolderKind::Organization);
    // What the organisation refused was not taken from the client.
    assert_eq!(kept("two", Some("other"), 1), 1);
    assert_eq!(kept("two", None, 9), 1);
    // A client that is called like an organisation is somebody else.
    assert_eq!(kept("acme", None, 9), 3);
    assert_eq!(kept("big", None, 20), 9);
    assert_eq!(kept("free", None, 50), 50);
}

#[test]
fn without_enforcement_nobody_is_refused_and_all_is_counted() {
    let quota = quota("per_hour = 10\nenforce = false");
    assert_eq!(gets(&quota, "billing", 25, MIDNIGHT), 25);
    let counts: Vec<_> = quota.warnings().collect();
    assert_eq!(counts, [("60", 1), ("80", 1), ("100", 1)]);
    let mut headers = HeaderMap::new();
    quota.standing("billing", None, MIDNIGHT).tell(DialectConfig::Auth0, &mut headers);
    assert_eq!(headers["auth0-client-quota-limit"], "b=per_hour;q=10;r=0;t=3600");
}

#[test]
fn each_window_and_client_is_warned_of_once_and_failures_are_not() {
    let quota = quota("per_hour = 10\nper_day = 20");
    let counted = || quota.warnings().map(|(_, count)| count).collect::<Vec<_>>();
    for _ in 0..100 {
        let _given_back = [(); 9].map(|()| spend(&quota, "billing", MIDNIGHT).unwrap());
    }
    assert_eq!(counted(), [0, 0, 0]);
    assert_eq!(gets(&quota, "billing", 5, MIDNIGHT), 5);
    assert_eq!(counted(), [0, 0, 0]);
    assert_eq!(gets(&quota, "billing", 1, MIDNIGHT), 1);
    assert_eq!(counted(), [1, 0, 0]);
    assert_eq!(gets(&quota, "billing", 30, MIDNIGHT), 4);
    assert_eq!(counted(), [1, 1, 1]);
    // The next hour has its own, and now the day is used up as well.
    assert_eq!(gets(&quota, "billing", 30, after(3600)), 10);
    assert_eq!(counted(), [3, 3, 3]);
    assert_eq!(gets(&quota, "orders", 6, MIDNIGHT), 6);
    assert_eq!(counted(), [4, 3, 3]);
}

#[test]
fn a_clock_that_is_set_back_gives_no_quota_twice_and_takes_none_away_for_long() {
    let quota = quota("per_hour = 3");
    assert_eq!(gets(&quota, "billing", 3, after(2)), 3);
    let just_before = MIDNIGHT.minus(Duration::from_secs(2));
    assert_eq!(gets(&quota, "billing", 3, just_before), 0);
    assert_eq!(spend(&quota, "billing", just_before).unwrap_err().retry_after, Duration::from_secs(3_602));
    // A clock that had been wrong by days.
    assert_eq!(gets(&quota, "orders", 3, after(10 * 86_400)), 3);
    assert_eq!(gets(&quota, "orders", 9, MIDNIGHT), 3);
}

#[test]
fn a_reload_keeps_the_counts_and_another_endpoint_has_its_own() {
    let quotas = Quotas::default();
    let before = compiled(&quotas, "per_hour = 5").0;
    assert_eq!(gets(&before, "billing", 9, MIDNIGHT), 5);
    let after_reload = compiled(&quotas, "per_hour = 7\nper_day = 6").0;
    drop(before);
    assert_eq!(gets(&after_reload, "billing", 9, MIDNIGHT), 1, "the day was counted before it was bounded");
    let mut diagnostics = Diagnostics::new();
    let raw = toml::from_str("per_hour = 5").unwrap();
    let other = Arc::new(quotas.of(&"other".into(), &raw, &KeyPath::of(&["quota"]), &mut diagnostics));
    assert_eq!(gets(&other, "billing", 9, MIDNIGHT), 5);
}

#[test]
fn exactly_the_quota_succeeds_however_many_try_at_once() {
    let quota = quota("per_hour = 1000\nper_day = 700");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let quota = Arc::clone(&quota);
            std::thread::spawn(move || gets(&quota, "billing", 500, MIDNIGHT))
        })
        .collect();
    let got: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(got, 700);
}

#[test]
fn what_is_left_is_told_in_the_fields_of_the_dialect() {
    let quota = quota("per_hour = 10\nper_day = 50\norganizations = { per_day = 100 }");
    for _ in 0..3 {
        quota.spend("billing", Some("acme"), after(60)).now_or_never().unwrap().unwrap().kept();
    }
    let told = |dialect, organization| {
        let mut headers = HeaderMap::new();
        quota.standing("billing", organization, after(60)).tell(dialect, &mut headers);
        let shown =
            |(name, value): (&http::HeaderName, &http::HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        headers.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(
        told(DialectConfig::Auth0, Some("acme")),
        [
            "auth0-client-quota-limit: b=per_hour;q=10;r=7;t=3540,b=per_day;q=50;r=47;t=86340",
            "auth0-organization-quota-limit: b=per_day;q=100;r=97;t=86340",
        ]
    );
    assert_eq!(told(DialectConfig::Auth0, None).len(), 1);
    assert_eq!(
        told(DialectConfig::Oauth2, Some("acme")),
        ["ratelimit-limit: 10", "ratelimit-remaining: 7", "ratelimit-reset: 3540"]
    );
    assert_eq!(gets(&quota, "billing", 99, after(60)), 7);
    let exceeded = spend(&quota, "billing", after(60)).unwrap_err();
    let mut headers = HeaderMap::new();
    exceeded.tell(DialectConfig::Auth0, &mut headers);
    let epoch = after(3600).as_seconds().to_string();
    assert_eq!(headers["x-ratelimit-limit"], "10");
    assert_eq!(headers["x-ratelimit-remaining"], "0");
    assert_eq!(headers["x-ratelimit-reset"], epoch.as_str());
}

#[test]
fn quotas_that_make_no_sense_are_refused() {
    for (toml, expected) in [
        ("per_hour = 1", vec![]),
        ("clients = { a = { per_day = 1 } }", vec![]),
        ("", vec!["quota: this quota bounds nothing"]),
        ("per_hour = 0", vec!["quota.per_hour: a quota of 0 leaves nobody a token"]),
        ("per_day = 1000000000001", vec!["quota.per_day: 1000000000001 is more than can be counted"]),
        (
            "per_hour = 1\norganizations = { per_hour = 0 }\nclients = { a = { per_day = 0 } }",
            vec![
                "quota.organizations.per_hour: a quota of 0 leaves nobody a token",
                "quota.clients.a.per_day: a quota of 0 leaves nobody a token",
            ],
        ),
    ] {
        assert_eq!(compiled(&Quotas::default(), toml).1, expected, "{toml}");
    }
}
