//! Whom the server lets in, by their API keys, and what one tenant sees of another: nothing.

use std::path::PathBuf;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use shared::access::Caller;
use shared::domain::{NotificationId, Tenant};
use shared::store::Store;
use shared::store::dynamodb::DynamoDb;
use tempfile::TempDir;
use tests::apart::Apart;
use tests::server_process::{self, PATIENCE, ServerProcess};
use tokio::time::{Duration, Instant, sleep};

/// The file, and how an operator makes it.
struct KeyFile {
    folder: TempDir,
}

impl KeyFile {
    async fn with(keys: &[(&str, &str)]) -> (Self, Vec<String>) {
        let file = Self { folder: TempDir::new().unwrap() };
        std::fs::write(file.path(), "# name tenant sha256\n").unwrap();
        let mut made = Vec::new();
        for (name, tenant) in keys {
            made.push(file.add(name, tenant).await);
        }
        (file, made)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("api-keys")
    }

    /// `server create-key NAME TENANT >> api-keys`; the key.
    async fn add(&self, name: &str, tenant: &str) -> String {
        let (line, key) = create_key(&[name, tenant]).await;
        self.write(&(self.text() + &line));
        key
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    async fn server(&self, settings: &[(&str, &str)]) -> ServerProcess {
        let path = self.path();
        let own = [("API_KEYS_FILE", path.to_str().unwrap())];
        ServerProcess::start(&[settings, &own].concat()).await
    }
}

/// The lines of all keys but that one.
fn without(name: &str, text: &str) -> String {
    text.lines().filter(|line| !line.starts_with(&format!("{name} "))).map(|line| format!("{line}\n")).collect()
}

/// What goes into the file, and the key.
async fn create_key(arguments: &[&str]) -> (String, String) {
    let output = server_process::run(&[&["create-key"], arguments].concat(), &[]).await;
    assert!(output.status.success(), "{output:?}");
    let key = String::from_utf8(output.stderr).unwrap();
    (String::from_utf8(output.stdout).unwrap(), key.trim_end().to_owned())
}

/// One caller of a server.
struct Client<'a> {
    server: &'a ServerProcess,
    key: &'a str,
}

impl Client<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).bearer_auth(self.key)
    }

    async fn ask(&self, method: Method, path: &str) -> (StatusCode, Value) {
        answer(self.request(method, path)).await
    }

    async fn create(&self, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, "/api/notifications").json(body)).await
    }

    async fn wait_for(&self, id: &str, status: &str) {
        let until = Instant::now() + PATIENCE;
        while self.ask(Method::GET, &format!("/api/notifications/{id}")).await.1["status"] != status {
            assert!(Instant::now() < until, "{id} is not {status}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_let_in(&self) -> bool {
        self.ask(Method::GET, "/api/notifications?userId=ada").await.0 == StatusCode::OK
    }

    /// How long until the server thinks otherwise of the key.
    async fn wait_until_let_in(&self, wanted: bool) -> Duration {
        let begun = Instant::now();
        while self.is_let_in().await != wanted {
            assert!(begun.elapsed() < PATIENCE, "the server does not follow its file:\n{}", self.server.logs());
            sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

fn id(created: &Value) -> &str {
    created["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_key_lets_in_by_either_header_and_no_key_is_told_how() {
    let (file, keys) = KeyFile::with(&[("shop", "default"), ("other", "default")]).await;
    // Beyond loopback, which it may be with keys.
    let server = file.server(&[("LISTEN_ADDR", "0.0.0.0:0")]).await;
    let bearer = |key: &str| ("authorization", format!("Bearer {key}"));
    let bare = |key: &str| ("x-api-key", key.to_owned());
    let (known, unknown) = (keys[0].as_str(), "nk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let (missing, invalid) = (r#"Bearer realm="notifications""#, r#"Bearer realm="notifications", error="invalid_token""#);
    let digest = file.text().lines().nth(1).unwrap().rsplit(' ').next().unwrap().to_owned();
    let longer = format!("{known}A");
    let cases = [
        (vec![bearer(known)], None),
        (vec![bare(known)], None),
        (vec![bearer(known), bare(known)], None),
        (vec![], Some(missing)),
        (vec![("authorization", "Basic c2hvcDpzaG9w".to_owned())], Some(missing)),
        (vec![bearer(unknown)], Some(invalid)),
        (vec![bare("shop")], Some(invalid)),
        (vec![bare(&digest)], Some(invalid)),
        (vec![bare(&longer)], Some(invalid)),
        (vec![bearer(known), bare(unknown)], Some(invalid)),
        (vec![bearer(known), bare(&keys[1])], Some(invalid)),
    ];
    for (headers, challenge) in cases {
        for path in ["/api/notifications?userId=ada", "/api/nowhere", "/dev/inbox", "/"] {
            let request =
                headers.iter().fold(server.request(Method::GET, path), |request, (name, value)| request.header(*name, value));
            let answer = request.send().await.unwrap();
            let told = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(told.as_deref(), challenge, "{headers:?} {path}");
            let kind = answer.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
            let (status, body) = (answer.status(), answer.text().await.unwrap());
            assert_eq!(status == 401, challenge.is_some(), "{headers:?} {path}: {status}");
            assert!(challenge.is_none() || kind.as_deref() == Some("application/problem+json"), "{headers:?} {path}: {kind:?}");
            assert_eq!(body.contains(r#""code":"unauthorized""#), challenge.is_some(), "{headers:?} {path}: {body}");
            assert!(!body.contains("shop"), "{body}");
        }
    }
    for path in ["/health", "/health/ready", "/api/openapi.json"] {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    let body = json!({"userId": "ada", "channel": "push", "template": "t"});
    assert_eq!(server.post("/api/notifications", &body).await.status(), 401);
    assert_eq!(Client { server: &server, key: known }.create(&body).await.0, 202);
}

#[tokio::test]
async fn two_tenants_share_a_server_and_an_idempotency_key_and_never_meet() {
    let (file, keys) = KeyFile::with(&[("acme-shop", "acme"), ("acme-desk", "acme"), ("other-shop", "other")]).await;
    let apart = Apart::start().await;
    let path = file.path();
    let server = ServerProcess::start_with(&apart.with(&[("API_KEYS_FILE", path.to_str().unwrap())])).await;
    let [shop, desk, other] = [0, 1, 2].map(|n| Client { server: &server, key: &keys[n] });
    let later = json!({
        "userId": "ada", "channel": "push", "template": "t", "idempotencyKey": "order-1", "scheduledAt": in_an_hour(),
        "tenant": null,
    });
    assert_eq!(shop.create(&later).await.0, 400, "a request has no say in whose it is");
    let mut later = later;
    later.as_object_mut().unwrap().remove("tenant");

    let (status, first) = shop.create(&later).await;
    assert_eq!(status, 202, "{first}");
    let (status, second) = other.create(&later).await;
    assert_eq!((status, id(&first) == id(&second)), (StatusCode::ACCEPTED, false), "{second}");
    let (status, again) = desk.create(&later).await;
    assert_eq!((status, id(&again)), (StatusCode::OK, id(&first)), "one tenant has one key, whoever brings it");
    let fails = json!({"userId": "ada", "channel": "push", "template": "t", "to": {"deviceToken": "fail+refused"}});
    let (_, failed) = shop.create(&fails).await;
    shop.wait_for(id(&failed), "Failed").await;

    // Whoever made it is with it, in its tenant and in no other.
    let endpoint = apart.setting("AWS_ENDPOINT_URL_DYNAMODB");
    let table = apart.settings.iter().find(|(name, _)| name == "TABLE_NAME").map_or("notifications", |(_, name)| name.as_str());
    let store = DynamoDb::at(endpoint, table, PATIENCE);
    for (created, tenant, name) in [(&first, "acme", "acme-shop"), (&second, "other", "other-shop")] {
        let (found, tenant) = (NotificationId::parse(id(created)).unwrap(), Tenant::parse(tenant).unwrap());
        let n = store.get(&tenant, found).await.unwrap().unwrap();
        assert_eq!(Caller { tenant: n.tenant, name: n.created_by }, Caller { tenant, name: Some(name.to_owned()) });
    }

    for theirs in [&first, &failed] {
        let path = format!("/api/notifications/{}", id(theirs));
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::GET, format!("{path}/why")),
            (Method::POST, format!("{path}/cancel")),
            (Method::POST, format!("{path}/retry")),
        ] {
            let (status, problem) = other.ask(method, &path).await;
            assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &"notification-not-found".into()), "{path}");
        }
        assert_eq!(desk.ask(Method::GET, &path).await.1["status"], theirs_status(theirs, &first), "{path}");
    }
    let (_, page) = other.ask(Method::GET, "/api/notifications?idempotencyKey=order-1").await;
    assert_eq!(page["data"][0]["id"], second["id"]);
    listed(&shop, &[id(&failed), id(&first)]).await;
    listed(&other, &[id(&second)]).await;
    assert_eq!(other.ask(Method::GET, "/dev/inbox").await.1["data"], json!([]));

    assert_eq!(desk.ask(Method::POST, &format!("/api/notifications/{}/cancel", id(&first))).await.0, 200);
    let (status, retried) = desk.ask(Method::POST, &format!("/api/notifications/{}/retry", id(&failed))).await;
    assert_eq!(status, 202, "{retried}");
    assert_eq!(other.ask(Method::GET, &format!("/api/notifications/{}", id(&second))).await.1["status"], "Pending");
}

fn theirs_status(theirs: &Value, first: &Value) -> &'static str {
    if id(theirs) == id(first) { "Pending" } else { "Failed" }
}

fn in_an_hour() -> String {
    let now = shared::clock::Clock::now(&shared::clock::SystemClock);
    now.plus(Duration::from_hours(1)).to_string()
}

/// The index lags, so the list is asked for until it is there.
async fn listed(client: &Client<'_>, wanted: &[&str]) {
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, page) = client.ask(Method::GET, "/api/notifications?userId=ada").await;
        let ids: Vec<&str> = page["data"].as_array().unwrap().iter().map(id).collect();
        if ids == wanted {
            return;
        }
        assert!(ids.len() < wanted.len() && Instant::now() < until, "{ids:?} and not {wanted:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_server_follows_its_file_however_it_is_written_and_keeps_its_keys_while_it_is_broken() {
    let (file, keys) = KeyFile::with(&[("first", "default")]).await;
    let server = file.server(&[]).await;
    let first = Client { server: &server, key: &keys[0] };
    assert!(first.is_let_in().await);

    // Appended to.
    let key = file.add("second", "default").await;
    let second = Client { server: &server, key: &key };
    second.wait_until_let_in(true).await;
    let good = file.text();

    // Broken, and once said. What it would have added is not let in, what it would have removed is.
    let (line, key) = create_key(&["third"]).await;
    let third = Client { server: &server, key: &key };
    file.write(&format!("{line}second canary\n"));
    server.wait_for_log("the API keys stay as they are").await;
    assert!(first.is_let_in().await && second.is_let_in().await && !third.is_let_in().await);

    // Replaced by a rename, with one key less.
    let beside = file.folder.path().join("new");
    std::fs::write(&beside, without("second", &good) + &line).unwrap();
    std::fs::rename(&beside, file.path()).unwrap();
    third.wait_until_let_in(true).await;
    assert!(first.is_let_in().await && !second.is_let_in().await);

    // A link that is turned to another folder, as Kubernetes does; the files are of one size.
    for (folder, name) in [("one", "first"), ("two", "third")] {
        std::fs::create_dir(file.folder.path().join(folder)).unwrap();
        std::fs::write(file.folder.path().join(folder).join("keys"), without(name, &file.text())).unwrap();
    }
    let link = file.folder.path().join("link");
    std::os::unix::fs::symlink("one/keys", &link).unwrap();
    std::fs::rename(&link, file.path()).unwrap();
    first.wait_until_let_in(false).await;
    assert!(third.is_let_in().await);
    std::os::unix::fs::symlink("two/keys", &link).unwrap();
    std::fs::rename(&link, file.path()).unwrap();
    third.wait_until_let_in(false).await;
    assert!(first.is_let_in().await);

    // The last key is taken away.
    let begun = Instant::now();
    file.write("# nobody\n");
    first.wait_until_let_in(false).await;
    println!("a key was taken back within {:?}", begun.elapsed());
    let told = server.logs().lines().filter(|line| line.contains("the API keys stay as they are")).count();
    assert_eq!((told, server.logs().contains("canary")), (1, false), "{}", server.logs());
}

#[tokio::test]
async fn a_file_with_faults_stops_the_start_and_all_are_told() {
    let (file, _) = KeyFile::with(&[("shop", "default")]).await;
    let (line, key) = create_key(&["shop", "acme"]).await;
    file.write(&format!("{}{line}desk acme {key}\nnobody\n", file.text()));
    let output = server_process::run(&[], &[("API_KEYS_FILE", file.path().to_str().unwrap())]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    for fault in ["line 3 has the name of line 2", "line 4: the SHA-256 must be", "line 5 is not a name, a tenant"] {
        assert!(said.contains(fault), "{fault} is not told:\n{said}");
    }
    assert!(!said.contains(&key), "{said}");
}
