//! The functions' routers behind an API gateway, on a real store: whom its authorizer lets in, as whom.

#[cfg(test)]
mod gateway {
    use std::sync::Arc;

    use axum::Router;
    use http::StatusCode;
    use serde_json::{Value, json};
    use shared::access::Caller;
    use shared::domain::{NotificationId, Tenant};
    use shared::http::front;
    use shared::http::gateway::Gateway;
    use shared::random::SystemRandom;
    use shared::service::create::Create;
    use shared::service::get::Get;
    use shared::store::Store;
    use tests::stage::Stage;

    const CLAIM: &str = "https://login.example/tenant";
    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/shop/session";

    struct Api {
        stage: Stage,
        create: Router,
        get: Router,
    }

    impl Api {
        async fn start(tenant_claim: Option<&str>) -> Self {
            let stage = Stage::without_kafka().await;
            let create = Create { worker: Arc::clone(&stage.worker), outbox: Arc::clone(&stage.create.outbox) };
            let reads = get::AppState::new(Get { store: stage.store.clone(), clock: stage.clock.clone() });
            let complete = |router| {
                let gateway = Gateway { tenant_claim: tenant_claim.map(str::to_owned) };
                front::complete(router, Arc::new(SystemRandom), Arc::new(gateway))
            };
            Self { create: complete(create::router(create::AppState::new(create))), get: complete(get::router(reads)), stage }
        }

        /// As the gateway calls the function that owns the route.
        async fn ask(&self, who: &Value, method: &str, path: &str, query: &str, body: &Value) -> (StatusCode, Value) {
            let mut event = json!({
                "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
                "headers": {"content-type": "application/json"}, "body": body.to_string(), "isBase64Encoded": false,
                "requestContext": {
                    "accountId": "123456789012", "apiId": "a", "stage": "$default", "requestId": "r", "timeEpoch": 0,
                    "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "a"},
                },
            });
            if !who.is_null() {
                event["requestContext"]["authorizer"] = who.clone();
            }
            let request = lambda_http::request::from_str(&event.to_string()).unwrap();
            let app = if method == "POST" || path == "/health" { &self.create } else { &self.get };
            let answer = front::call(app.clone(), request).await.unwrap();
            (answer.status(), serde_json::from_str(answer.body()).unwrap())
        }

        async fn create(&self, who: &Value) -> (StatusCode, Value) {
            let body = json!({"userId": "ada", "channel": "push", "template": "t", "idempotencyKey": "order-1"});
            self.ask(who, "POST", "/api/notifications", "", &body).await
        }

        /// Whose it is in the store.
        async fn owner(&self, tenant: &str, created: &Value) -> Option<Caller> {
            let id = NotificationId::parse(created["id"].as_str().unwrap()).unwrap();
            let n = self.stage.store.get(&Tenant::parse(tenant).unwrap(), id).await.unwrap()?;
            Some(Caller { tenant: n.tenant, name: n.created_by })
        }
    }

    fn caller(tenant: &str, name: Option<&str>) -> Option<Caller> {
        Some(Caller { tenant: Tenant::parse(tenant).unwrap(), name: name.map(str::to_owned) })
    }

    fn token(claims: &Value) -> Value {
        json!({"jwt": {"claims": claims, "scopes": null}})
    }

    fn of_tenant(tenant: &str) -> Value {
        token(&json!({"sub": format!("user-of-{tenant}"), CLAIM: tenant, "iss": "https://login.example/"}))
    }

    #[tokio::test]
    async fn what_is_created_names_the_tokens_subject_the_identity_or_nobody() {
        let subject = token(&json!({"sub": "user-7", CLAIM: "acme"}));
        let identity = json!({"iam": {
            "accessKey": "AKIDEXAMPLE", "accountId": "123456789012", "callerId": "c", "cognitoIdentity": null,
            "principalOrgId": "o", "userArn": ARN, "userId": "u",
        }});
        for (who, name) in [(subject, Some("user-7")), (identity, Some(ARN)), (Value::Null, None)] {
            let api = Api::start(None).await;
            let (status, created) = api.create(&who).await;
            assert_eq!(status, StatusCode::CREATED, "{created}");
            assert_eq!(api.owner("default", &created).await, caller("default", name));
        }
    }

    #[tokio::test]
    async fn tenants_by_claim_share_an_idempotency_key_and_nothing_else() {
        let api = Api::start(Some(CLAIM)).await;
        let (acme, other) = (of_tenant("acme"), of_tenant("other"));
        let (status, first) = api.create(&acme).await;
        assert_eq!(status, StatusCode::CREATED, "{first}");
        let (status, second) = api.create(&other).await;
        assert_eq!((status, first["id"] == second["id"]), (StatusCode::CREATED, false), "{second}");
        assert_eq!(api.create(&acme).await.0, StatusCode::OK);
        assert_eq!(api.owner("acme", &first).await, caller("acme", Some("user-of-acme")));
        assert_eq!(api.owner("default", &first).await, None);

        let path = format!("/api/notifications/{}", first["id"].as_str().unwrap());
        assert_eq!(api.ask(&acme, "GET", &path, "", &Value::Null).await.0, StatusCode::OK);
        for (method, path) in [("GET", path.clone()), ("POST", format!("{path}/cancel")), ("POST", format!("{path}/retry"))] {
            let (status, problem) = api.ask(&other, method, &path, "", &Value::Null).await;
            assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &"notification-not-found".into()), "{method} {path}");
        }
        for query in ["userId=ada", "idempotencyKey=order-1"] {
            let (_, page) = api.ask(&other, "GET", "/api/notifications", query, &Value::Null).await;
            let ids: Vec<&Value> = page["data"].as_array().unwrap().iter().map(|n| &n["id"]).collect();
            assert_eq!(ids, [&second["id"]], "{query}");
        }
    }

    #[tokio::test]
    async fn a_token_without_a_tenant_is_refused_and_nothing_is_stored() {
        let api = Api::start(Some(CLAIM)).await;
        for claims in [json!({"sub": "user-7"}), json!({"sub": "user-7", CLAIM: "a b"}), json!({"sub": "user-7", CLAIM: ""})] {
            let (status, problem) = api.create(&token(&claims)).await;
            assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &"forbidden".into()), "{claims}");
            assert!(problem["detail"].as_str().unwrap().contains(CLAIM), "{problem}");
        }
        assert_eq!(api.create(&Value::Null).await.0, StatusCode::FORBIDDEN);
        assert_eq!(api.stage.sends(), 0);
        let (status, page) = api.ask(&of_tenant("default"), "GET", "/api/notifications", "userId=ada", &Value::Null).await;
        assert_eq!((status, page["data"].as_array().map(Vec::len)), (StatusCode::OK, Some(0)));
        // Open to all, whoever they are.
        for path in ["/health", "/api/openapi.json"] {
            assert_eq!(api.ask(&Value::Null, "GET", path, "", &Value::Null).await.0, StatusCode::OK, "{path}");
        }
    }
}
