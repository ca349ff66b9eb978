//! What became of each case, as a table and as a verdict.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{CellAlignment, Table, presets};

use super::{
    baseline::RENEW,
    cases::{DERIVED, Derived},
};

/// How much more is too much: a build of the same code differs by less.
const MOST_MORE_PERCENT: f64 = 3.0;
/// How many instructions more are none: of the smallest cases, three in a hundred are one or two.
const MORE_THAT_IS_NONE: f64 = 12.0;
/// How much less is worth a new baseline, so that what was won is not lost again unnoticed.
const MUCH_LESS_PERCENT: f64 = -10.0;

/// One case, then and now.
pub(crate) struct Row {
    name: String,
    now: Option<u64>,
    before: Option<u64>,
    /// How many instructions more are none.
    slack: f64,
}

/// Everything that was counted, or is in the baseline and wanted.
pub(crate) fn rows(
    counted: &BTreeMap<String, u64>,
    baseline: &BTreeMap<String, u64>,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Row> {
    let names: BTreeSet<&String> = counted.keys().chain(baseline.keys().filter(|name| is_wanted(name))).collect();
    let row = |name: &String| Row {
        name: name.clone(),
        now: counted.get(name).copied(),
        before: baseline.get(name).copied(),
        slack: slack(name, baseline),
    };
    names.into_iter().map(row).collect()
}

fn slack(name: &str, baseline: &BTreeMap<String, u64>) -> f64 {
    let of_derived = |derived: &Derived| {
        baseline.get(derived.whole).map(|whole| exact(*whole) * derived.chance / f64::from(derived.parts))
    };
    let of_name = DERIVED.iter().find(|derived| derived.name == name).and_then(of_derived);
    of_name.unwrap_or_default().max(MORE_THAT_IS_NONE)
}

fn exact(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// The table; with changes only where they mean something.
pub(crate) fn show(rows: &[Row], is_comparable: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["case", "instructions", "baseline", "change"]);
    for row in rows {
        let number = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let change = row.percent().filter(|_| is_comparable).map(|percent| format!("{percent:+.1} %"));
        table.add_row([row.name.clone(), number(row.now), number(row.before), change.unwrap_or_default()]);
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.trim_fmt()
}

/// Says what is not as it should be; whether all is.
pub(crate) fn judge(rows: &[Row]) -> bool {
    let mut is_good = true;
    let mut is_much_better = false;
    for row in rows {
        let Row { name, now, before, .. } = row;
        match (now, before) {
            (Some(_), None) => {
                is_good = false;
                println!("NEW: {name} is not in the baseline: {RENEW}");
            }
            (None, _) => {
                is_good = false;
                println!("GONE: {name} is in the baseline and not counted any more: {RENEW}");
            }
            (Some(now), Some(before)) if row.is_too_much() => {
                is_good = false;
                println!("MORE: {name} takes {now} instructions, and took {before}");
            }
            (Some(now), Some(before)) if row.percent().is_some_and(|percent| percent <= MUCH_LESS_PERCENT) => {
                is_much_better = true;
                println!("LESS: {name} takes {now} instructions, and took {before}");
            }
            (Some(_), Some(_)) => {}
        }
    }
    if !is_good {
        println!("Where more is worth it, say so in the commit that renews the baseline: {RENEW}");
    } else if is_much_better {
        println!("To keep what was won, renew the baseline: {RENEW}");
    }
    is_good
}

impl Row {
    fn counts(&self) -> Option<(f64, f64)> {
        Some((exact(self.now?), exact(self.before?)))
    }

    fn percent(&self) -> Option<f64> {
        let (now, before) = self.counts()?;
        Some(if before > 0.0 { (now - before) / before * 100.0 } else { 0.0 })
    }

    fn is_too_much(&self) -> bool {
        let is_more = self.counts().is_some_and(|(now, before)| now - before > self.slack);
        is_more && self.percent().is_some_and(|percent| percent > MOST_MORE_PERCENT)
    }
}
