//! Who sends a request, and whether it may: bearer tokens (RFC 6750), names with passwords (RFC 7617), client certificates.
//!
//! What was right once on a connection is not looked up again while the users stay what they are; so a client that is known goes on
//! while others at its address guess. Invariant: what a client says of itself is neither logged nor answered.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::CertificateDer;
use subtle::ConstantTimeEq;

use super::app::{Shared, Surface};
use super::errors::{Problem, ProblemKind};
use super::route::Action;
use super::target;
use crate::config::users::Role;
use crate::wire::access::{Access, Denied, Gate, Need, Of, Rate};

/// The other end of a connection.
pub(super) struct Peer {
    address: IpAddr,
    certificate: Option<Arc<CertificateDer<'static>>>,
    /// What was said last that was right.
    proven: RefCell<Option<(HeaderValue, Access)>>,
    /// What it may do that says nothing, and among which accounts that was found.
    greeted: RefCell<Option<(u64, Option<Access>)>>,
    rate: Rate,
}

impl Peer {
    /// A client at this address, who may ask so often in a second.
    pub(super) fn new(address: IpAddr, certificate: Option<Arc<CertificateDer<'static>>>, rate_max: u32) -> Self {
        let rate = Rate::new(rate_max);
        Self { address, certificate, proven: RefCell::default(), greeted: RefCell::default(), rate }
    }

    /// Who sends a request with these headers.
    ///
    /// # Errors
    /// It says nothing of itself, or something wrong.
    pub(super) fn identify(&self, gate: &Gate, headers: &HeaderMap, now_ms: u64) -> Result<Access, Denied> {
        let said = headers.get(AUTHORIZATION).filter(|_| !gate.is_open());
        let Some(said) = said else { return self.greet(gate).ok_or(Denied::Silent) };
        if let Some((proven, access)) = &*self.proven.borrow()
            && access.epoch() == gate.epoch()
            && proven.as_bytes().ct_eq(said.as_bytes()).into()
        {
            return Ok(access.clone());
        }
        let access = self.look_up(gate, said.as_bytes(), now_ms)?;
        *self.proven.borrow_mut() = Some((said.clone(), access.clone()));
        Ok(access)
    }

    /// What a client may do that says nothing. Looking into its certificate takes a while, and it does not change.
    fn greet(&self, gate: &Gate) -> Option<Access> {
        let epoch = gate.epoch();
        if let Some((known, access)) = &*self.greeted.borrow()
            && *known == epoch
        {
            return access.clone();
        }
        let access = gate.greet(self.certificate.as_deref());
        *self.greeted.borrow_mut() = Some((epoch, access.clone()));
        access
    }

    fn look_up(&self, gate: &Gate, said: &[u8], now_ms: u64) -> Result<Access, Denied> {
        let end = said.iter().position(|&byte| byte == b' ').ok_or(Denied::Wrong)?;
        let (scheme, rest) = (&said[..end], said[end..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return gate.token(self.address, rest, now_ms);
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Err(Denied::Wrong);
        }
        let account = BASE64.decode(rest).map_err(|_| Denied::Wrong)?;
        let colon = account.iter().position(|&byte| byte == b':').ok_or(Denied::Wrong)?;
        gate.login(self.address, &account[..colon], &account[colon + 1..], now_ms)
    }

    /// Whether one more request may be answered now.
    ///
    /// # Errors
    /// It may not: what to say.
    pub(super) fn pace(&self, access: Option<&Access>, now_ns: impl FnOnce() -> u64) -> Result<(), Problem> {
        let of_user = access.and_then(|access| access.account().rate.as_ref());
        if self.rate.per_second() == 0 && of_user.is_none() {
            return Ok(());
        }
        let now_ns = now_ns();
        for rate in std::iter::once(&self.rate).chain(of_user) {
            rate.take(now_ns).map_err(|wait_ms| {
                let max = rate.per_second();
                too_many(format!("{max} requests per second are allowed here; try again in {wait_ms} ms"))
            })?;
        }
        Ok(())
    }
}

fn too_many(detail: String) -> Problem {
    Problem::new(ProblemKind::TooManyRequests, detail)
}

/// Who sends a request: with it on its way to a handler.
#[derive(Clone)]
pub(super) struct Caller(pub(super) Result<Access, Denied>);

impl Caller {
    /// Who sends this one.
    pub(super) fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or(Self(Err(Denied::Silent)))
    }

    /// Whether it may do this in a domain; `None`: in all of them.
    ///
    /// # Errors
    /// It may not: what to say.
    pub(super) fn may_in(&self, shared: &Shared, role: Role, domain: Option<&str>) -> Result<(), Problem> {
        let found = |access: &Access| {
            domain.map_or_else(|| access.on_everything(), |domain| access.in_domain(domain.as_bytes()))
        };
        self.may(shared, role, found)
    }

    /// Whether it may do this with a key.
    ///
    /// # Errors
    /// It may not: what to say.
    pub(super) fn may_on_key(&self, shared: &Shared, role: Role, key: &[u8]) -> Result<(), Problem> {
        self.may(shared, role, |access| access.on_key(&shared.engine, key))
    }

    /// Whether it may do this to the host.
    ///
    /// # Errors
    /// It may not: what to say.
    pub(super) fn may_on_host(&self, shared: &Shared, role: Role) -> Result<(), Problem> {
        if role == Role::Admin && shared.surface == Surface::Public {
            return Err(elsewhere());
        }
        self.may(shared, role, Access::on_host)
    }

    fn may(&self, shared: &Shared, role: Role, found: impl FnOnce(&Access) -> Role) -> Result<(), Problem> {
        match &self.0 {
            Ok(access) if found(access) >= role => Ok(()),
            Ok(access) => {
                shared.engine.metrics().guard.denials.increment();
                let detail =
                    format!("the user '{}' does not have the role {} that this needs", access.name(), role.as_str());
                Err(Problem::new(ProblemKind::Forbidden, detail))
            }
            Err(Denied::Silent) => {
                let detail = "say who you are: Authorization with a bearer token, or with a name and a password";
                Err(Problem::new(ProblemKind::Unauthenticated, detail))
            }
            Err(Denied::Wrong) => {
                Err(Problem::new(ProblemKind::Unauthenticated, "the token, or the name and the password, are wrong"))
            }
            Err(Denied::Paused { wait_ms }) => {
                Err(too_many(format!("too many wrong tokens came from your address; try again in {wait_ms} ms")))
            }
        }
    }
}

fn elsewhere() -> Problem {
    let detail = "what is for operators is served on an address of its own (admin.address)";
    Problem::new(ProblemKind::Forbidden, detail)
}

/// Whether a request may go on to the handler of this action.
///
/// # Errors
/// It may not: what to say.
pub(super) fn admit(shared: &Shared, action: Action, request: &Request) -> Result<(), Problem> {
    let for_operators = action == Action::Metrics || action.need().is_some_and(|need| need.role == Role::Admin);
    if for_operators && shared.surface == Surface::Public {
        return Err(elsewhere());
    }
    let Some(Need { role, of }) = action.need() else { return Ok(()) };
    let caller = Caller::of(request);
    // `/v1/cache/profile/user:42`: what follows the third slash.
    let rest = request.uri().path().splitn(4, '/').nth(3).unwrap_or_default();
    match of {
        // A key that cannot be is the handler's to refuse.
        Of::Keys => caller.may(shared, role, |access| {
            target::key(rest, shared.separator)
                .map_or_else(|_| access.on_everything(), |key| access.on_key(&shared.engine, &key))
        }),
        Of::Domain(_) | Of::DomainOrAll(_) => {
            let domain = target::text(rest.split('/').next().unwrap_or_default()).unwrap_or_default();
            caller.may(shared, role, |access| access.in_domain(&domain))
        }
        Of::Lock(_) => caller.may(shared, role, |access| access.on_lock(&target::text(rest).unwrap_or_default())),
        Of::Everything => caller.may(shared, role, Access::on_everything),
        Of::Host => caller.may(shared, role, Access::on_host),
        // Whoever may it nowhere need not send a body.
        Of::Body => caller.may(shared, role, Access::anywhere),
    }
}
