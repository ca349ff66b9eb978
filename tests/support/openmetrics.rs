//! A strict reader of the OpenMetrics text format (version 1.0): what it takes, every scraper takes.

use std::collections::{BTreeMap, BTreeSet};

use super::{client::HttpClient, gateway::Gateway};

/// Labels by name.
type Labels = BTreeMap<String, String>;

/// One answer, read.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// Family names with their types.
    pub(crate) families: BTreeMap<String, String>,
    pub(crate) samples: Vec<Sample>,
}

/// One line with a value.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

/// What the gateway's admin listener, which asks for no token, tells now.
pub(crate) async fn scrape(client: &HttpClient, gateway: &Gateway) -> Exposition {
    let answer = client.get(&gateway.admin_url("/metrics"), None).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    Exposition::parse(&answer.text())
}

impl Exposition {
    /// Reads a whole answer; panics at whatever the format forbids.
    pub(crate) fn parse(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no `# EOF` at the end"));
        let mut read = Self::default();
        let (mut family, mut described, mut series) = (String::new(), BTreeSet::new(), BTreeSet::new());
        for line in body.split_terminator('\n') {
            if let Some(metadata) = line.strip_prefix("# ") {
                let (keyword, rest) = metadata.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                let (name, told) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(is_name(name), "{line}");
                assert!(described.insert((keyword.to_owned(), name.to_owned())), "told twice: {line}");
                if name != family {
                    assert!(!read.families.contains_key(name), "a family in two places: {line}");
                    family = name.to_owned();
                    read.families.insert(family.clone(), "unknown".to_owned());
                }
                assert!(read.samples.last().is_none_or(|sample| owner(&read.families, sample) != family), "{line}");
                match keyword {
                    "TYPE" => _ = read.families.insert(family.clone(), told.to_owned()),
                    "HELP" | "UNIT" => {}
                    _ => panic!("no such keyword: {line}"),
                }
                continue;
            }
            let sample = parse_sample(line);
            assert_eq!(owner(&read.families, &sample), family, "outside its family: {line}");
            let is_count = matches!(read.families[&family].as_str(), "counter" | "histogram");
            assert!(!is_count || sample.value >= 0.0, "{line}");
            assert!(series.insert((sample.name.clone(), sample.labels.clone())), "a series twice: {line}");
            read.samples.push(sample);
        }
        read.judge_histograms();
        read
    }

    /// The value of the one series that has at least these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.all(name, labels);
        let value = found.next()?.value;
        assert!(found.next().is_none(), "{name} {labels:?} is more than one series");
        Some(value)
    }

    /// The sum over all series that have at least these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).map(|sample| sample.value).sum()
    }

    fn all<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        let has =
            |sample: &Sample| labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|is| is == value));
        self.samples.iter().filter(move |sample| sample.name == name && has(sample))
    }

    /// Buckets rise to the count, and end in `+Inf`.
    fn judge_histograms(&self) {
        let mut buckets: BTreeMap<(String, Labels), Vec<(f64, f64)>> = BTreeMap::new();
        for sample in &self.samples {
            let Some(family) = sample.name.strip_suffix("_bucket") else { continue };
            let mut labels = sample.labels.clone();
            let bound = labels.remove("le").unwrap_or_else(|| panic!("a bucket without `le`: {sample:?}"));
            buckets.entry((family.to_owned(), labels)).or_default().push((number(&bound), sample.value));
        }
        for ((family, labels), buckets) in buckets {
            assert!(buckets.is_sorted_by(|left, right| left.0 < right.0 && left.1 <= right.1), "{family}: {buckets:?}");
            let one = |ending: &str| {
                let name = format!("{family}{ending}");
                self.samples
                    .iter()
                    .find(|sample| sample.name == name && sample.labels == labels)
                    .map(|found| found.value)
            };
            let last = buckets.last().copied().unwrap_or_default();
            assert_eq!((last.0, Some(last.1)), (f64::INFINITY, one("_count")), "{family} {labels:?}");
            assert!(one("_sum").is_some_and(|sum| sum >= 0.0), "{family} {labels:?}");
        }
    }
}

/// The family that a sample belongs to, by the ending that the family's type asks for.
fn owner(families: &BTreeMap<String, String>, sample: &Sample) -> String {
    let of = |kind: &str, endings: &[&str]| {
        let stems = endings.iter().filter_map(|ending| sample.name.strip_suffix(ending));
        stems.into_iter().find(|stem| families.get(*stem).is_some_and(|is| is == kind)).map(str::to_owned)
    };
    of("counter", &["_total", "_created"])
        .or_else(|| of("histogram", &["_bucket", "_count", "_sum", "_created"]))
        .or_else(|| of("info", &["_info"]))
        .or_else(|| of("gauge", &[""]))
        .unwrap_or_else(|| panic!("no family of the right type has {}", sample.name))
}

fn parse_sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => parse_labels(rest),
        None => (Labels::new(), rest),
    };
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    assert!(!value.contains(' '), "a timestamp or an exemplar: {line}");
    Sample { name: name.to_owned(), labels, value: number(value) }
}

/// Labels up to the closing brace, and what follows it.
fn parse_labels(text: &str) -> (Labels, &str) {
    let (mut labels, mut rest) = (Labels::new(), text);
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return (labels, rest);
        }
        let (name, quoted) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(is_name(name) && !name.contains(':'), "{text}");
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next() {
                Some((at, '"')) => break at + 1,
                Some((_, '\\')) => match characters.next() {
                    Some((_, '\\')) => value.push('\\'),
                    Some((_, '"')) => value.push('"'),
                    Some((_, 'n')) => value.push('\n'),
                    other => panic!("no such escape: {other:?} in {text}"),
                },
                Some((_, character)) => value.push(character),
                None => panic!("no end of a label: {text}"),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "a label twice: {text}");
        rest = quoted.split_at(end).1;
        match rest.strip_prefix(',') {
            Some(further) => {
                assert!(!further.starts_with('}'), "{text}");
                rest = further;
            }
            None => assert!(rest.starts_with('}'), "{text}"),
        }
    }
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        text => {
            assert!(text.starts_with(|first: char| first.is_ascii_digit() || first == '-'), "{text}");
            text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == ':')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}
