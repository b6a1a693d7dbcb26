//! From the table of routes to a router, and what answers where no route does.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::app::Shared;
use super::errors::{Problem, ProblemKind};
use super::route::{Action, Route, Verb};
use super::routes::ROUTES;
use super::{batch, breakers, caller, dashboard, entry, hot, invalidate, locks, log, operator, warm, workflow};
use crate::ports::trace;

/// A router of these routes, each with what `handler` gives for it. `HEAD` comes with `GET`.
pub(super) fn build<S: Clone + Send + Sync + 'static>(
    routes: &[Route],
    handler: impl Fn(Action, MethodFilter) -> MethodRouter<S>,
) -> Router<S> {
    let mut router = Router::new();
    for route in routes {
        let method = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Head => continue,
            Verb::Put => MethodFilter::PUT,
            Verb::Post => MethodFilter::POST,
            Verb::Patch => MethodFilter::PATCH,
            Verb::Delete => MethodFilter::DELETE,
        };
        router = router.route(route.path, handler(route.action, method));
        // A path within the wildcard of this one keeps the methods that it does not have: a key may be called `batch`.
        for inner in within(routes, route) {
            router = router.route(inner, handler(route.action, method));
        }
    }
    router.fallback(unknown_path).method_not_allowed_fallback(method_not_allowed)
}

/// Paths without this method that the wildcard of the route would take, if they were not there.
pub(super) fn within<'a>(routes: &'a [Route], wide: &'a Route) -> impl Iterator<Item = &'static str> + 'a {
    let start = wide.path.find("{*").map(|end| &wide.path[..end]);
    let mut paths: Vec<&'static str> = routes.iter().map(|route| route.path).collect();
    paths.dedup();
    paths.into_iter().filter(move |path| {
        let inside = start.is_some_and(|start| path.starts_with(start)) && !path.contains("{*");
        inside && !routes.iter().any(|route| route.path == *path && route.verb == wide.verb)
    })
}

/// The handler of a route, for those who may.
pub(super) fn guarded(shared: &Arc<Shared>, action: Action, method: MethodFilter) -> MethodRouter<Arc<Shared>> {
    let shared = Arc::clone(shared);
    let path = ROUTES.iter().find(|route| route.action == action).map_or("", |route| route.path);
    let guard = from_fn(move |request: Request, next: Next| {
        let shared = Arc::clone(&shared);
        async move {
            trace::note("http.route", || path);
            match caller::admit(&shared, action, &request) {
                Ok(()) => next.run(request).await,
                Err(problem) => problem.into_response(),
            }
        }
    });
    handler(action, method).route_layer(guard)
}

/// The handler of a route.
fn handler(action: Action, method: MethodFilter) -> MethodRouter<Arc<Shared>> {
    match action {
        Action::ReadEntry => on(method, entry::read),
        Action::WriteEntry => on(method, entry::write),
        Action::RemoveEntry => on(method, entry::remove),
        Action::Batch => on(method, batch::batch),
        Action::ExplainEntry => on(method, entry::explain),
        Action::Warm => on(method, warm::warm),
        Action::HotKeys => on(method, hot::keys),
        Action::CallCommand => on(method, workflow::call),
        Action::TellEvent => on(method, workflow::event),
        Action::Invalidate => on(method, invalidate::invalidate),
        Action::ListPolicies => on(method, operator::policies),
        Action::ShowPolicy => on(method, operator::policy),
        Action::RollBackPolicy => on(method, operator::rollback),
        Action::UnquarantinePolicy => on(method, operator::unquarantine),
        Action::RemovePolicy => on(method, operator::remove_policy),
        Action::ListLocks => on(method, locks::list),
        Action::ForceReleaseLocks => on(method, locks::force_release),
        Action::AcquireLock => on(method, locks::acquire),
        Action::ExtendLock => on(method, locks::extend),
        Action::ReleaseLock => on(method, locks::release),
        Action::ShowLock => on(method, locks::info),
        Action::ListBreakers => on(method, breakers::list),
        Action::ShowBreaker => on(method, breakers::show),
        Action::ForceBreaker => on(method, breakers::force),
        Action::ShowLog => on(method, log::show),
        Action::SetLog => on(method, log::set),
        Action::Metrics => on(method, operator::metrics),
        Action::Health => on(method, operator::health),
        Action::Ready => on(method, operator::ready),
        Action::OpenApi => on(method, operator::openapi),
        Action::Status => on(method, dashboard::status),
        Action::DashboardFile => on(method, dashboard::asset),
        Action::Index => on(method, dashboard::page),
    }
}

/// Whether a page of another site, opened in somebody's browser, sends a request that changes something. Browsers send `Origin`
/// with such requests and other programs do not; without this, any page could roll back the policies of a host on the
/// reader's own machine.
#[must_use]
pub(super) fn is_cross_site(method: &Method, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().unwrap_or_default();
    let site = origin.split_once("://").map(|(_, site)| site.as_bytes());
    !method.is_safe() && site != headers.get(header::HOST).map(|host| host.as_bytes())
}

/// The answer to such a request.
#[must_use]
pub(super) fn cross_site() -> Problem {
    Problem::new(ProblemKind::CrossSite, "the request comes from a page of another site (Origin differs from Host)")
}

async fn unknown_path(uri: Uri) -> Problem {
    let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    let known = paths.join(" ").replace('*', "");
    Problem::new(ProblemKind::UnknownPath, format!("nothing is at {}; there are: {known}", uri.path()))
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(ProblemKind::MethodNotAllowed, format!("the path does not know {method}; Allow names what it knows"))
}
