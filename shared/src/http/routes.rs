//! Every path and method there is, and which function owns it. The routers, the answers 404 and 405, and
//! the OpenAPI document all come from this table, so none of them can forget a route of another.
//! (`/dev/inbox` is not in it: it is the server's own, for development.)

pub const NOTIFICATIONS: &str = "/api/notifications";
pub const NOTIFICATION: &str = "/api/notifications/{id}";
pub const WHY: &str = "/api/notifications/{id}/why";
pub const CANCEL: &str = "/api/notifications/{id}/cancel";
pub const RETRY: &str = "/api/notifications/{id}/retry";
pub const OPENAPI: &str = "/api/openapi.json";
pub const HEALTH: &str = "/health";
pub const READY: &str = "/health/ready";

/// The paths that ask nobody who they are. Whatever is not named here does, paths that do not exist included.
pub const OPEN: [&str; 3] = [OPENAPI, HEALTH, READY];

/// The function that serves a route. What nobody owns is `get`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Create,
    Get,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub template: &'static str,
    pub method: &'static str,
    pub owner: Owner,
}

pub const ROUTES: [Route; 9] = [
    Route { template: NOTIFICATIONS, method: "POST", owner: Owner::Create },
    Route { template: NOTIFICATIONS, method: "GET", owner: Owner::Get },
    Route { template: NOTIFICATION, method: "GET", owner: Owner::Get },
    Route { template: WHY, method: "GET", owner: Owner::Get },
    Route { template: CANCEL, method: "POST", owner: Owner::Create },
    Route { template: RETRY, method: "POST", owner: Owner::Create },
    Route { template: OPENAPI, method: "GET", owner: Owner::Get },
    Route { template: HEALTH, method: "GET", owner: Owner::Create },
    Route { template: READY, method: "GET", owner: Owner::Create },
];

/// A route by which something may be changed, as the router matched it.
#[must_use]
pub fn changing(method: &str, template: &str) -> Option<Route> {
    ROUTES.into_iter().find(|route| route.method == "POST" && route.method == method && route.template == template)
}

/// The methods that a path takes, whoever serves them; none for a path that does not exist. HEAD comes
/// with GET (RFC 9110, 9.3.2).
#[must_use]
pub fn allowed(path: &str) -> Vec<&'static str> {
    let mut methods = Vec::new();
    for route in ROUTES.iter().filter(|route| matches(route.template, path)) {
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    methods
}

/// Segment by segment, as the router does it: a parameter takes one segment that is not empty.
fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let fits = template.split('/').all(|wanted| {
        segments.next().is_some_and(|segment| if wanted.starts_with('{') { !segment.is_empty() } else { segment == wanted })
    });
    fits && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_the_methods_of_all_its_owners() {
        assert_eq!(allowed("/api/notifications"), ["POST", "GET", "HEAD"]);
        assert_eq!(allowed("/api/notifications/a%2Fb"), ["GET", "HEAD"]);
        assert_eq!(allowed("/api/notifications/x/cancel"), ["POST"]);
        assert_eq!(allowed("/health/ready"), ["GET", "HEAD"]);
    }

    #[test]
    fn a_path_that_is_not_in_the_table_takes_none() {
        for path in ["", "/", "/api", "/api/notifications/", "/api/notifications/x/", "/api/notifications//cancel", "/Health"] {
            assert!(allowed(path).is_empty(), "{path}");
        }
    }
}
