//! Who asks, on Lambda: what the authorizer of the HTTP API has found out. The functions believe it, for
//! nobody else can call them; a path without an authorizer is anybody's.

use axum::extract::Request;
use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use lambda_http::request::RequestContext;

use super::Problem;
use super::access::Access;
use crate::access::Caller;
use crate::domain::Tenant;

#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// The claim that names the tenant. Where it is set, nobody comes in without it; else all are of one tenant.
    pub tenant_claim: Option<String>,
}

impl Access for Gateway {
    fn caller(&self, request: &Request) -> Result<Caller, Problem> {
        let authorizer = request.extensions().get::<RequestContext>().and_then(RequestContext::authorizer);
        let claims = authorizer.and_then(|authorizer| authorizer.jwt.as_ref()).map(|jwt| &jwt.claims);
        let iam = authorizer.and_then(|authorizer| authorizer.iam.as_ref());
        let tenant = match &self.tenant_claim {
            None => Tenant::default(),
            Some(claim) => {
                let named = claims.and_then(|claims| Tenant::parse(claims.get(claim)?).ok());
                named.ok_or_else(|| Problem::Forbidden { claim: claim.clone() })?
            }
        };
        let subject = claims.and_then(|claims| claims.get("sub").cloned());
        Ok(Caller { tenant, name: subject.or_else(|| iam.and_then(|iam| iam.user_arn.clone())) })
    }

    /// What a browser asks before a page's request (the Fetch standard's CORS-preflight). It comes without credentials, on
    /// a route without an authorizer. What the page may do is in the headers that the API adds by its CORS configuration,
    /// or does not; a status of the 200s is ours to give.
    fn is_preflight(&self, request: &Request) -> bool {
        let headers = request.headers();
        request.method() == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    /// What the gateway hands a function, with what its authorizer found out.
    fn caller(tenant_claim: Option<&str>, authorizer: &Value) -> Result<Caller, Problem> {
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/api/notifications", "rawQueryString": "", "headers": {},
            "requestContext": {
                "accountId": "123456789012", "apiId": "a", "stage": "$default", "requestId": "r", "timeEpoch": 0,
                "http": {"method": "GET", "path": "/api/notifications", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "a"},
            },
            "isBase64Encoded": false,
        });
        if !authorizer.is_null() {
            event["requestContext"]["authorizer"] = authorizer.clone();
        }
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        Gateway { tenant_claim: tenant_claim.map(str::to_owned) }.caller(&request.map(|_body| Body::empty()))
    }

    fn known(tenant: &str, name: &str) -> Result<Caller, Problem> {
        Ok(Caller { tenant: Tenant::parse(tenant).unwrap(), name: Some(name.to_owned()) })
    }

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/caller/session";

    fn jwt(claims: &Value) -> Value {
        json!({"jwt": {"claims": claims, "scopes": null}})
    }

    fn iam() -> Value {
        json!({"iam": {
            "accessKey": "AKIDEXAMPLE", "accountId": "123456789012", "callerId": "c", "cognitoIdentity": null,
            "principalOrgId": "o", "userArn": ARN, "userId": "u",
        }})
    }

    #[test]
    fn a_caller_is_the_tokens_subject_the_identitys_arn_or_anybody() {
        assert_eq!(caller(None, &jwt(&json!({"sub": "user-7", "tenant": "acme"}))), known("default", "user-7"));
        assert_eq!(caller(None, &jwt(&json!({"iss": "https://login.example/"}))), Ok(Caller::default()));
        assert_eq!(caller(None, &iam()), known("default", ARN));
        assert_eq!(caller(None, &Value::Null), Ok(Caller::default()));
    }

    #[test]
    fn where_a_claim_names_the_tenant_nobody_comes_in_without_it() {
        let claim = "https://login.example/tenant";
        let acme = jwt(&json!({"sub": "user-7", claim: "acme", "tenant": "other"}));
        assert_eq!(caller(Some(claim), &acme), known("acme", "user-7"));
        let refused = Err(Problem::Forbidden { claim: claim.to_owned() });
        for other in
            [json!({"sub": "user-7", "tenant": "other"}), json!({claim: ""}), json!({claim: "a#b"}), json!({claim: "[a b]"})]
        {
            assert_eq!(caller(Some(claim), &jwt(&other)), refused, "{other}");
        }
        assert_eq!(caller(Some(claim), &iam()), refused);
        assert_eq!(caller(Some(claim), &Value::Null), refused);
    }

    #[tokio::test]
    async fn a_preflight_is_answered_before_anybody_is_asked_who_they_are() {
        // Nobody comes in: there is no token with the claim.
        let gateway = Gateway { tenant_claim: Some("tenant".to_owned()) };
        let app = crate::http::front::complete(Router::new(), Arc::new(crate::random::SystemRandom), Arc::new(gateway));
        let asked = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
        for (method, headers, wanted) in [
            ("OPTIONS", &asked[..], 204),
            ("OPTIONS", &asked[..1], 403),
            ("OPTIONS", &asked[1..], 403),
            ("POST", &asked[..], 403),
        ] {
            let mut request = http::Request::builder().method(method).uri("/api/notifications");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), wanted, "{method} {headers:?}");
            assert!(response.headers().contains_key("x-request-id") && response.headers().contains_key("cache-control"));
        }
    }
}
