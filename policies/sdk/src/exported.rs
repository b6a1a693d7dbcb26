//! From the exported functions of the component to the traits of a policy.
//!
//! `export!` makes a type that holds one policy for the life of the instance ([`Exported`]); the bindings'
//! `Guest` traits are implemented for any such type, once. `describe` fills the holder, so it comes first.

use std::{cell::Cell, thread::LocalKey};

use crate::bindings::{
    has_events::exports::larder::policy::events, has_loading::exports::larder::policy::loading,
    has_migration::exports::larder::policy::migration, has_revalidation::exports::larder::policy::revalidation,
    has_warming::exports::larder::policy::warming, has_workflow::exports::larder::policy::workflow,
    policy::exports::larder::policy::rules,
};
use crate::hooks::{
    Acceptance, CommandError, EntryState, Event, Events, Loading, Migration, OriginRequest, OriginResponse, Reply,
    Revalidation, Verdict, Warming, Workflow,
};
use crate::{Admission, Candidate, Description, Plan, Refusal, Request, Rules, Selector, Settings, host, keys};

/// The host's word on what separates the parts of a key, among the settings where it is not `:`.
const KEY_SEPARATOR: &str = "key.separator";

/// The holder of an instance's policy.
#[doc(hidden)]
pub trait Exported: 'static {
    type Policy: Rules;

    fn holder() -> &'static LocalKey<Cell<Option<&'static Self::Policy>>>;

    fn policy() -> &'static Self::Policy {
        match Self::holder().get() {
            Some(policy) => policy,
            None => panic!("the host called a hook before `describe`"),
        }
    }
}

impl<E: Exported> rules::Guest for E {
    fn describe(settings: Vec<(String, String)>) -> Result<Description, String> {
        host::log_panics();
        let mut settings = Settings::new(settings);
        if let Some(separator) = settings.take(KEY_SEPARATOR).and_then(|text| text.chars().next()) {
            keys::separate_by(separator);
        }
        let (policy, description) = E::Policy::describe(&mut settings)?;
        settings.finish()?;
        // Kept to the end of the instance: hooks borrow it, and an instance is described once.
        E::holder().set(Some(Box::leak(Box::new(policy))));
        Ok(description)
    }

    fn plan(request: Request) -> Result<Plan, Refusal> {
        E::policy().plan(&request)
    }

    fn plan_batch(requests: Vec<Request>) -> Vec<Result<Plan, Refusal>> {
        E::policy().plan_batch(&requests)
    }

    fn admit(request: Request, candidate: Candidate) -> Admission {
        E::policy().admit(&request, &candidate)
    }
}

impl<E: Exported<Policy: Revalidation>> revalidation::Guest for E {
    fn revalidate(entry: EntryState) -> Verdict {
        E::policy().revalidate(&entry)
    }
}

impl<E: Exported<Policy: Loading>> loading::Guest for E {
    fn origin_request_for(request: Request) -> Result<OriginRequest, Refusal> {
        E::policy().origin_request_for(&request)
    }

    fn batch_request_for(requests: Vec<Request>) -> Option<OriginRequest> {
        E::policy().batch_request_for(&requests)
    }

    fn accept(request: Request, response: OriginResponse) -> Acceptance {
        E::policy().accept(&request, &response)
    }

    fn split(requests: Vec<Request>, body: Vec<u8>) -> Result<Vec<Option<Vec<u8>>>, String> {
        E::policy().split(&requests, &body)
    }
}

impl<E: Exported<Policy: Events>> events::Guest for E {
    fn on_event(event: Event) -> Result<Vec<Selector>, String> {
        E::policy().on_event(&event)
    }
}

impl<E: Exported<Policy: Warming>> warming::Guest for E {
    fn keys() -> Vec<String> {
        E::policy().keys()
    }
}

impl<E: Exported<Policy: Migration>> migration::Guest for E {
    fn migrate(from_version: String, key: String, value: Vec<u8>) -> Option<Vec<u8>> {
        E::policy().migrate(&from_version, &key, value)
    }
}

impl<E: Exported<Policy: Workflow>> workflow::Guest for E {
    fn on_command(command: String, arguments: Vec<Vec<u8>>) -> Result<Reply, CommandError> {
        E::policy().on_command(&command, &arguments)
    }

    fn on_tick() -> Option<String> {
        E::policy().on_tick()
    }
}

/// Makes a type the policy of this component: `export!(Profile);`, or with the optional interfaces that it
/// implements, `export!(Unread with events, workflow);`.
///
/// There is one per crate. The interfaces are `revalidation`, `loading`, `events`, `warming`, `migration` and
/// `workflow`. On other targets than `wasm32` it only checks that the traits are implemented.
#[macro_export]
macro_rules! export {
    ($policy:ident) => {
        $crate::export!($policy with);
    };
    ($policy:ident with $($interface:ident),* $(,)?) => {
        const _: () = {
            struct Component;

            impl $crate::Exported for Component {
                type Policy = $policy;

                fn holder() -> &'static ::std::thread::LocalKey<::core::cell::Cell<Option<&'static $policy>>> {
                    ::std::thread_local! {
                        static HOLDER: ::core::cell::Cell<Option<&'static $policy>> =
                            const { ::core::cell::Cell::new(None) };
                    }
                    &HOLDER
                }
            }

            // Where nothing is exported, this is what uses the policy.
            const _: fn(&mut $crate::Settings) -> Result<($policy, $crate::Description), String> =
                <$policy as $crate::Rules>::describe;

            #[cfg(target_arch = "wasm32")]
            $crate::bindings::policy::export_policy!(Component with_types_in $crate::bindings::policy);
            $($crate::__export_interface!($interface Component $policy);)*
        };
    };
}

/// One optional interface of [`export!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __export_interface {
    (revalidation $component:ident $policy:ident) => {
        $crate::__export_interface!(has_revalidation export_has_revalidation Revalidation $component $policy);
    };
    (loading $component:ident $policy:ident) => {
        $crate::__export_interface!(has_loading export_has_loading Loading $component $policy);
    };
    (events $component:ident $policy:ident) => {
        $crate::__export_interface!(has_events export_has_events Events $component $policy);
    };
    (warming $component:ident $policy:ident) => {
        $crate::__export_interface!(has_warming export_has_warming Warming $component $policy);
    };
    (migration $component:ident $policy:ident) => {
        $crate::__export_interface!(has_migration export_has_migration Migration $component $policy);
    };
    (workflow $component:ident $policy:ident) => {
        $crate::__export_interface!(has_workflow export_has_workflow Workflow $component $policy);
    };
    ($other:ident $component:ident $policy:ident) => {
        compile_error!(concat!(
            "there is no optional interface `",
            stringify!($other),
            "`; there are revalidation, loading, events, warming, migration and workflow"
        ));
    };
    ($world:ident $export:ident $hooks:ident $component:ident $policy:ident) => {
        const _: () = {
            const fn implements<P: $crate::$hooks>() {}
            implements::<$policy>()
        };
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::$world::$export!($component with_types_in $crate::bindings::$world);
    };
}
