//! How much of its bound L1 may count, so that what the process *holds* for it is within the bound.
//!
//! What is counted are blocks as the allocator hands them out. It holds more: pages that are partly free, since sizes come and go, and
//! free ones that are not yet given back. How much more depends on the load, so it is measured: L1's part of it is its part of all that is
//! in use. Then L1 gets a little less room, or a little more, and is looked at again when enough has come in since to tell: what was
//! dropped a moment ago is memory that is held and not in use, and would look like a reason to drop more.
//!
//! Deliberately absent: what the rest of the process holds. It is no reason to keep fewer copies.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::limits::{L1_ROOM_LOOK_MS, L1_ROOM_PERCENT_BEGIN, L1_ROOM_PERCENT_MIN};
use crate::ports::allocator::{Allocator, Held};

/// How far the room changes at once, in percent of the bound.
const STEP_PERCENT: u64 = 2;
/// The part of the bound that must have come in before the next step, as a divisor.
const TURNOVER: u64 = 8;
/// What L1 counts when it is taken for full, in percent of its room.
const FULL_PERCENT: u64 = 95;

/// The room of one L1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Of the bound.
    percent: u64,
    /// What the allocator held beyond what was in use before anything was cached.
    idle_bytes: Option<u64>,
    /// What had come in at the last step.
    came_in_bytes: u64,
}

/// What L1 is like when its room is judged, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Its bound.
    pub(super) bound: u64,
    /// What it counts.
    pub(super) counted: u64,
    /// What has come into it since the start.
    pub(super) came_in: u64,
}

impl Room {
    /// Of an L1 whose memory is measured: less than the bound, as there will be something to hold beside it.
    pub(super) const fn measured() -> Self {
        Self { percent: L1_ROOM_PERCENT_BEGIN, idle_bytes: None, came_in_bytes: 0 }
    }

    /// The room, in percent of the bound.
    pub(super) const fn percent(&self) -> u64 {
        self.percent
    }

    /// Takes a look; whether the room is another one now.
    pub(super) fn fit(&mut self, look: Look, held: Held) -> bool {
        let beside = held.resident_bytes.saturating_sub(held.allocated_bytes);
        let idle = *self.idle_bytes.get_or_insert(beside);
        if look.came_in - self.came_in_bytes < look.bound / TURNOVER || held.allocated_bytes == 0 {
            return false;
        }
        let own = u128::from(beside.saturating_sub(idle)) * u128::from(look.counted) / u128::from(held.allocated_bytes);
        let taken = u128::from(look.counted) + own;
        let (bound, percent) = (u128::from(look.bound), u128::from(self.percent));
        let full = u128::from(look.counted) * 10_000 >= bound * percent * u128::from(FULL_PERCENT);
        let next = if taken > bound {
            self.percent.saturating_sub(STEP_PERCENT).max(L1_ROOM_PERCENT_MIN)
        } else if full && taken * (percent + u128::from(STEP_PERCENT)) <= bound * percent {
            (self.percent + STEP_PERCENT).min(100)
        } else {
            self.percent
        };
        let changed = next != self.percent;
        if changed {
            (self.percent, self.came_in_bytes) = (next, look.came_in);
        }
        changed
    }
}

/// Keeps L1's room to what this allocator says, for ever.
pub async fn keep_room(engine: Arc<Engine>, allocator: Arc<dyn Allocator>) {
    let mut interval = tokio::time::interval(Duration::from_millis(L1_ROOM_LOOK_MS));
    loop {
        interval.tick().await;
        if let Some(held) = allocator.held() {
            engine.l1.fit(held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: u64 = 1_000_000;
    /// What the process holds and uses besides.
    const REST: Held = Held { allocated_bytes: 500_000, resident_bytes: 900_000 };

    /// The room after so many looks at an L1 that is full, while the allocator holds so much more than what is in use.
    fn after(looks: u64, more_percent: u64) -> u64 {
        let mut room = Room::measured();
        room.fit(Look { bound: BOUND, counted: 0, came_in: 0 }, REST);
        for look in 1..=looks {
            let counted = BOUND * room.percent() / 100;
            let allocated_bytes = REST.allocated_bytes + counted;
            // The rest of the process has its part of what is held beside.
            let beside = allocated_bytes * more_percent / 100;
            let resident_bytes = REST.resident_bytes + counted + beside;
            room.fit(Look { bound: BOUND, counted, came_in: look * BOUND }, Held { allocated_bytes, resident_bytes });
        }
        room.percent()
    }

    #[test]
    fn what_is_held_stays_within_the_bound() {
        for (more_percent, room) in
            [(0, 100), (2, 98), (10, 90), (20, 82), (26, 78), (50, 66), (300, L1_ROOM_PERCENT_MIN)]
        {
            assert_eq!(after(100, more_percent), room, "{more_percent} % more are held");
            assert!(more_percent == 300 || room * (100 + more_percent) <= 10_000);
        }
    }

    #[test]
    fn it_changes_step_by_step_and_only_when_enough_came_in() {
        assert_eq!([after(0, 50), after(1, 50), after(2, 50)], [80, 78, 76]);
        assert_eq!([after(1, 0), after(2, 0)], [82, 84]);
        let mut room = Room::measured();
        let held = Held { allocated_bytes: BOUND, resident_bytes: 3 * BOUND };
        let look = |came_in| Look { bound: BOUND, counted: BOUND, came_in };
        assert!(!room.fit(look(0), REST), "nothing came in");
        assert!(!room.fit(look(BOUND / 8 - 1), held) && room.fit(look(BOUND / 8), held));
        assert!(!room.fit(look(BOUND / 4 - 1), held) && room.fit(look(BOUND / 4), held));
    }

    #[test]
    fn an_l1_that_is_not_full_tells_nothing_of_more_room() {
        let mut room = Room::measured();
        let held = Held { allocated_bytes: BOUND, resident_bytes: BOUND };
        assert!(!room.fit(Look { bound: BOUND, counted: BOUND / 2, came_in: BOUND }, held));
        assert!(!room.fit(Look { bound: 0, counted: 0, came_in: 0 }, Held { allocated_bytes: 0, resident_bytes: 0 }));
    }
}
