//! The OpenAPI 3.1 document, made from the table of routes, so that it cannot say anything else than the router does.

use serde_json::{Map, Value, json};

use super::errors::PROBLEM_JSON;
use super::route::{Content, Reply, Route};
use super::schemas;

/// The document of these routes.
#[must_use]
pub(super) fn document(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let item = paths.entry(route.path.replace('*', "")).or_insert_with(|| json!({}));
        item[route.verb.as_str().to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Larder",
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "responses": {
                "Problem": response("what went wrong, who can do something about it, whether to retry", PROBLEM),
            },
        },
    })
}

const PROBLEM: Content = Content::Schema("Problem");

fn operation(route: &Route) -> Value {
    let mut replies = Map::new();
    for Reply { status, when, content } in route.replies {
        replies.insert(status.to_string(), response(when, *content));
    }
    replies.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    let mut operation = json!({
        "operationId": format!("{}{:?}", route.verb.as_str().to_lowercase(), route.action),
        "summary": route.summary,
        "responses": replies,
    });
    if !route.description.is_empty() {
        operation["description"] = json!(route.description);
    }
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    let body = route.action.body();
    if body != Content::None {
        operation["requestBody"] = json!({ "required": route.action.wants_body(), "content": content(body) });
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split(['{', '}']).skip(1).step_by(2).map(|name| {
        let name = name.trim_start_matches('*');
        json!({ "name": name, "in": "path", "required": true, "schema": schemas::in_path(route.action, name) })
    });
    let in_query = route.action.queries().iter().map(|(name, description)| {
        json!({ "name": name, "in": "query", "description": description, "schema": schemas::in_query() })
    });
    let in_header = route.headers.iter().map(|(name, description)| {
        let schema = schemas::in_header(route.action, name);
        json!({ "name": name, "in": "header", "description": description, "schema": schema })
    });
    in_path.chain(in_query).chain(in_header).collect()
}

fn response(when: &str, body: Content) -> Value {
    match body {
        Content::None => json!({ "description": when }),
        body => json!({ "description": when, "content": content(body) }),
    }
}

fn content(body: Content) -> Value {
    let (media, schema) = match body {
        Content::None => return json!({}),
        Content::Bytes => ("application/octet-stream", json!({})),
        Content::Text => ("text/plain", json!({ "type": "string" })),
        Content::Json => ("application/json", json!({ "type": "object" })),
        Content::Schema(name) => {
            let media = if body == PROBLEM { PROBLEM_JSON } else { "application/json" };
            (media, json!({ "$ref": format!("#/components/schemas/{name}") }))
        }
    };
    json!({ media: { "schema": schema } })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::on;
    use tower_service::Service;

    use super::*;
    use crate::wire::http::router;
    use crate::wire::http::routes::ROUTES;

    /// What the router does with a method on a path: the action's name, or the code of the refusal.
    async fn route(verb: &str, path: &str) -> String {
        let answer = |action| on_header(format!("{action:?}"));
        let mut router =
            router::build::<()>(ROUTES, |action, method| on(method, move || async move { answer(action) }));
        let request = Request::builder().method(verb).uri(path).body(Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        match response.status() {
            StatusCode::OK => response.headers()["action"].to_str().unwrap().to_owned(),
            refused => refused.as_u16().to_string(),
        }
    }

    fn on_header(action: String) -> [(&'static str, String); 1] {
        [("action", action)]
    }

    #[tokio::test]
    async fn the_document_and_the_router_say_the_same() {
        let document = document(ROUTES);
        for (path, item) in document["paths"].as_object().unwrap() {
            let sample =
                path.replace("{domain}", "d").replace("{key}", "k/k").replace("{name}", "n/n").replace("{file}", "f");
            for verb in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
                let said = item.get(verb.to_lowercase()).map(|operation| operation["operationId"].as_str().unwrap());
                let done = route(verb, &sample).await;
                match said {
                    Some(id) => assert_eq!(id, format!("{}{done}", verb.to_lowercase()), "{verb} {sample}"),
                    // HEAD comes with every GET.
                    None if verb == "HEAD" && item.get("get").is_some() => assert_ne!(done, "405", "{verb} {sample}"),
                    // What the wildcard of another path does with it.
                    None if ROUTES.iter().any(|wide| {
                        wide.verb.as_str() == verb
                            && router::within(ROUTES, wide).any(|it| it.replace('*', "") == *path)
                    }) =>
                    {
                        assert_ne!(done, "405", "{verb} {sample}");
                    }
                    None => assert_eq!(done, "405", "{verb} {sample}"),
                }
            }
        }
        let said: usize =
            document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
        assert_eq!(said, ROUTES.len());
    }

    #[tokio::test]
    async fn other_paths_are_unknown() {
        for path in ["/v1", "/v1/cache", "/v1/cache/d", "/v1/cache/d/", "/v1/policies/d/rollback/x", "//", "/metrics/"]
        {
            assert_eq!(route("GET", path).await, "404", "{path}");
        }
    }

    #[test]
    fn every_reference_has_its_schema_and_every_operation_its_own_id() {
        let document = document(ROUTES);
        let text = document.to_string();
        for reference in text.split("\"#/").skip(1) {
            let pointer = format!("/{}", reference.split('"').next().unwrap());
            assert!(document.pointer(&pointer).is_some(), "{pointer}");
        }
        let ids: Vec<&str> =
            text.split("\"operationId\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(ids.len(), ROUTES.len());
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }
}
