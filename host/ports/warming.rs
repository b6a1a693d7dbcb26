//! Warming: what became of each key that was brought in before anybody asked.

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WarmOutcome {
    /// L1 had it.
    Held,
    /// The store had it; it was brought into L1 where that may hold it.
    Stored,
    /// It was loaded from the origin.
    Loaded,
    /// Nobody has it.
    Absent,
    /// The key was refused, or the policy failed.
    Failed,
}

impl WarmOutcome {
    /// How many there are.
    pub const COUNT: usize = 5;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Held, Self::Stored, Self::Loaded, Self::Absent, Self::Failed];

    /// The word in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Stored => "stored",
            Self::Loaded => "loaded",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}
