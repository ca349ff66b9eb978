//! Owns: which endpoints of an upstream one request may be sent to at this moment, and with which shares.
//! Refuses: one that the request has already tried in vain; one that is not available while another is, be it a full one.
//! Always holds: if no endpoint is available all are candidates: an upstream is never closed by our own doubt.

use super::{
    availability::{Glance, Standing, WHOLE_SHARE},
    balance::{Member, Tried},
};

/// The endpoints that a request may be sent to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates<'a> {
    members: &'a [Member],
    tried: &'a Tried,
    /// How they are judged and what is good enough; nothing: whatever was not tried is.
    admitted: Option<(Glance, Standing)>,
}

/// What was found when the endpoints were looked over.
pub(super) struct Survey<'a> {
    /// None are left if there is none.
    pub(super) candidates: Option<Candidates<'a>>,
    /// Whether any endpoint is available, tried or not.
    pub(super) any_available: bool,
}

impl<'a> Candidates<'a> {
    /// All that were not tried.
    pub(super) const fn untried(members: &'a [Member], tried: &'a Tried) -> Self {
        Self { members, tried, admitted: None }
    }

    /// The best of those that were not tried. One that is ejected is better than none, but not than waiting for room at one that
    /// is available; one that is unwell is not, as long as there are others.
    pub(super) fn survey(members: &'a [Member], tried: &'a Tried, glance: Glance) -> Survey<'a> {
        let (mut any_available, mut any_full) = (false, false);
        let mut best: Option<Standing> = None;
        for member in members {
            let standing = member.endpoint.availability().standing(&glance);
            let is_available = standing <= Standing::Unproven;
            any_available |= is_available;
            any_full |= is_available && tried.is_full(member);
            if best.is_none_or(|best| standing < best) && !tried.contains(member) {
                best = Some(standing);
            }
        }
        let candidates = match best {
            _ if !any_available => Some(Self::untried(members, tried)),
            None | Some(Standing::Unwell) => None,
            Some(Standing::Ejected) if any_full => None,
            Some(standing) => Some(Self { members, tried, admitted: Some((glance, standing)) }),
        };
        Survey { candidates, any_available }
    }

    /// Whether it is one of them.
    pub(super) fn contains(&self, member: &Member) -> bool {
        let is_admitted = self
            .admitted
            .as_ref()
            .is_none_or(|(glance, admitted)| member.endpoint.availability().standing(glance) <= *admitted);
        is_admitted && !self.tried.contains(member)
    }

    /// Its share of the requests beside the others, in thousandths of a weight of one.
    pub(super) fn share(&self, member: &Member) -> u64 {
        u64::from(member.weight) * self.part(member)
    }

    /// How much of its weight counts for now, in thousandths.
    pub(super) fn part(&self, member: &Member) -> u64 {
        self.admitted.as_ref().map_or(WHOLE_SHARE, |(glance, _)| member.endpoint.availability().share(glance))
    }

    /// All of them with their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &'a Member)> {
        self.members.iter().enumerate().filter(|(_, member)| self.contains(member))
    }
}
