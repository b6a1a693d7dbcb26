//! The one trait that every policy implements.

use crate::{Admission, Candidate, Description, Plan, Refusal, Request, Settings};

/// The rules of a domain.
///
/// The value is the policy with its settings; `describe` makes it. All functions are pure: the same arguments
/// give the same answer, in bounded time and memory. A panic is logged and costs that one decision.
pub trait Rules: Sized + 'static {
    /// Reads the settings and says what the policy is.
    ///
    /// Read every setting, always: one that is in the `[settings]` and was not read is refused as unknown.
    ///
    /// # Errors
    /// A text for the operator. The policy does not go live.
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String>;

    /// Where a key is kept and how its misses are handled.
    ///
    /// # Errors
    /// Why the request is refused; the text reaches the caller.
    fn plan(&self, request: &Request) -> Result<Plan, Refusal>;

    /// Whether and for how long a value is stored.
    fn admit(&self, request: &Request, candidate: &Candidate) -> Admission;

    /// [`plan`](Self::plan) for many keys in one crossing: one answer for each request, in order.
    fn plan_batch(&self, requests: &[Request]) -> Vec<Result<Plan, Refusal>> {
        requests.iter().map(|request| self.plan(request)).collect()
    }
}
