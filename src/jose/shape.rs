//! Owns: how whoever writes objects writes them: which members, in which order, with which spaces between.
//! Refuses: empty objects, long names, and names that are written in another way than they read.
//! Always holds: no name is there twice, and each stands between quotes that are its own.

use std::ops::Range;

use super::{claim_name::ClaimPlaces, object::JsonObject};

/// What objects have in common but for their values. The tokens of an issuer mostly have one shape: to read the claims of another one takes
/// half as much where only the values are new.
#[derive(Debug)]
pub(super) struct Shape {
    /// What stands before each value, one after the other: `{"iss":`, `,"sub":` and so on.
    text: Box<[u8]>,
    leads: Box<[Lead]>,
    /// What such objects know of their names.
    marks: u64,
    places: ClaimPlaces,
}

/// What stands before one value, from the brace or comma to the colon.
#[derive(Clone, Copy, Debug)]
struct Lead {
    length: u8,
    /// Where in it the name is.
    name: (u8, u8),
}

impl Shape {
    /// The one that `object` has, if it is still as it was written.
    pub(super) fn of(object: &JsonObject) -> Option<Self> {
        let (text, names) = object.as_written();
        let (mut own, mut leads) = (Vec::new(), Vec::new());
        for name in names {
            let (lead, name) = lead_around(text, &name)?;
            if lead.starts_with('{') != leads.is_empty() {
                return None;
            }
            let narrow = |place| u8::try_from(place).ok();
            leads.push(Lead { length: narrow(lead.len())?, name: (narrow(name.start)?, narrow(name.end)?) });
            own.extend_from_slice(lead.as_bytes());
        }
        let (marks, places) = object.marks_and_places();
        (!leads.is_empty()).then(|| Self { text: own.into(), leads: leads.into(), marks, places })
    }

    /// What stands before each value, and where in that the name is.
    pub(super) fn leads(&self) -> impl ExactSizeIterator<Item = (&[u8], Range<usize>)> {
        let mut left = &*self.text;
        self.leads.iter().map(move |Lead { length, name: (start, end) }| {
            let (lead, others) = left.split_at_checked(usize::from(*length)).unwrap_or_default();
            left = others;
            (lead, usize::from(*start)..usize::from(*end))
        })
    }

    /// What such objects know of their names.
    pub(super) const fn marks_and_places(&self) -> (u64, ClaimPlaces) {
        (self.marks, self.places)
    }
}

/// What stands around a name in the `text` of an object, from the brace or comma before it to the colon behind it, and where in that the
/// name is. None of a name that is not written there, as it reads.
fn lead_around<'t>(text: &'t str, name: &Range<usize>) -> Option<(&'t str, Range<usize>)> {
    if text.get(name.clone())?.contains(['"', '\\']) {
        return None;
    }
    let before = text.get(..name.start)?.strip_suffix('"')?.trim_end_matches(' ');
    let behind = text.get(name.end..)?.strip_prefix('"')?.trim_start_matches(' ').strip_prefix(':')?;
    let start = before.strip_suffix(['{', ','])?.len();
    let lead = text.get(start..text.len() - behind.len())?;
    Some((lead, name.start - start..name.end - start))
}
