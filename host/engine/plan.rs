//! Plans for many keys at once: one crossing into each domain's policy, however the keys are mixed.

use std::sync::Arc;

use super::core::Engine;
use super::judge::{Place, Wanted, policy_error, shape_for};
use super::key::DomainKey;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::BATCH_KEYS_MAX;
use crate::ports::policy::{Operation, Request};
use crate::ports::table::Live;

/// Keys of one domain, each with its place among the names.
struct Group<'a> {
    live: Arc<Live>,
    keys: Vec<(usize, u64, DomainKey<'a>)>,
}

impl Engine {
    /// Keys of one batch of a caller that names its parts.
    #[must_use]
    pub const fn batch_keys_max(&self) -> usize {
        self.batch_keys_max
    }

    /// # Errors
    /// More keys than one batch may have.
    pub(super) fn check_batch(keys: usize) -> Result<()> {
        if keys <= BATCH_KEYS_MAX {
            return Ok(());
        }
        let message = format!("{keys} keys in one batch, {BATCH_KEYS_MAX} are allowed");
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }

    /// A place for each name, or why there is none; as [`Self::locate`] would say it. Failures are counted.
    pub(super) fn plan_many<'a>(
        &self,
        names: &[&'a [u8]],
        operation: Operation,
        wanted: Wanted,
    ) -> Vec<Result<Place<'a>>> {
        if let [name] = names {
            return vec![self.locate(name, operation, wanted)];
        }
        let mut places: Vec<Option<Result<Place<'a>>>> = names.iter().map(|_| None).collect();
        let mut groups: Vec<Group<'a>> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            match self.resolve(name) {
                Ok((epoch, key)) => match groups.iter_mut().find(|group| Arc::ptr_eq(&group.live, &key.live)) {
                    Some(group) => group.keys.push((at, epoch, key)),
                    None => groups.push(Group { live: Arc::clone(&key.live), keys: vec![(at, epoch, key)] }),
                },
                Err(error) => places[at] = Some(Err(error)),
            }
        }
        for group in groups {
            let live = Arc::clone(&group.live);
            for (at, place) in self.plan_group(group, names, operation, wanted) {
                if let Err(error) = &place {
                    live.metrics.answered(operation, Self::state_of(error.kind));
                }
                places[at] = Some(place);
            }
        }
        let unplanned = || Err(Error::new(ErrorKind::Internal, "a key of a batch was not planned"));
        places.into_iter().map(|place| place.unwrap_or_else(unplanned)).collect()
    }

    fn plan_group<'a>(
        &self,
        group: Group<'a>,
        names: &[&'a [u8]],
        operation: Operation,
        wanted: Wanted,
    ) -> Vec<(usize, Result<Place<'a>>)> {
        let live = &group.live;
        let planned = shape_for(live, wanted).and_then(|shape| {
            let requests: Vec<_> =
                group.keys.iter().map(|(_, _, key)| Request { key: &key.rest, operation, shape }).collect();
            let plans = live.policy.plan_batch(&requests).map_err(|error| policy_error(live, error))?;
            Ok((shape, plans))
        });
        match planned {
            Ok((shape, plans)) => {
                let place = |((at, epoch, key), plan): ((usize, u64, DomainKey<'a>), _)| {
                    let plan: std::result::Result<_, _> = plan;
                    let plan = plan.map_err(|error| policy_error(live, error));
                    (at, plan.and_then(|plan| self.place(names[at], epoch, key, shape, &plan)))
                };
                group.keys.into_iter().zip(plans).map(place).collect()
            }
            Err(error) => group.keys.into_iter().map(|(at, ..)| (at, Err(error.clone()))).collect(),
        }
    }
}
