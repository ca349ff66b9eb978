//! Owns: how whoever writes objects writes them: which members, in which order, with which spaces between.
//! Refuses: whatever is not read the quick way: lists, objects, escapes, numbers other than short integers, many members; long names;
//! spaces where nearly nobody writes any.
//! Always holds: no name is there twice.

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
    /// The one that `object` has. One that was read in another way than the quick one has none: its texts are not what was written, and
    /// begin with its first name, before which there is neither brace nor quote.
    pub(super) fn of(object: &JsonObject) -> Option<Self> {
        let (text, names) = object.as_written();
        let (mut own, mut leads) = (Vec::new(), Vec::new());
        for name in names {
            let lead = lead_around(text, &name)?;
            if (lead.start == 0) != leads.is_empty() {
                return None;
            }
            if leads.is_empty() {
                own.reserve(text.len());
                leads.reserve(object.len());
            }
            let narrow = |place: usize| u8::try_from(place - lead.start).ok();
            leads.push(Lead { length: narrow(lead.end)?, name: (narrow(name.start)?, narrow(name.end)?) });
            own.extend_from_slice(text.get(lead)?.as_bytes());
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

/// Where in the `text` of an object that stands which is around a name, from the brace or comma before it to the colon behind it.
fn lead_around(text: &str, name: &Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..name.start)?.strip_suffix('"')?.trim_end_matches(' ').strip_suffix(['{', ','])?;
    let behind = text.get(name.end..)?.strip_prefix('"')?.trim_start_matches(' ').strip_prefix(':')?;
    (!before.ends_with(' ')).then(|| before.len()..text.len() - behind.len())
}
