//! What whoever starts the program sees: its words and its exit code. (That there is such a test also makes
//! `cargo test --workspace` build the binary that the end-to-end tests start.)

#[cfg(test)]
mod commands {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::process::{Child, Command, Output, Stdio};

    fn server(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.args(arguments).env_clear().current_dir(folder.path());
        command.env("LISTEN_ADDR", "127.0.0.1:0").envs(settings.iter().copied()).output().unwrap()
    }

    fn said(output: &Output) -> String {
        String::from_utf8(output.stderr.clone()).unwrap()
    }

    #[test]
    fn an_unknown_command_is_told_the_ones_that_there_are() {
        for arguments in [["sned"].as_slice(), &["create-table", "now"], &["create-key"], &["--help"]] {
            let output = server(arguments, &[]);
            assert_eq!(output.status.code(), Some(78), "{arguments:?}");
            assert_eq!(
                said(&output),
                "usage: server [stack | create-table | create-topics | create-key NAME [TENANT] | health]\n",
                "{arguments:?}"
            );
            assert!(output.stdout.is_empty());
        }
    }

    #[test]
    fn every_faulty_setting_is_named_at_once_and_no_secret_is_repeated() {
        let faulty = [
            ("SEND_TIMEOUT", "soon"),
            ("LISTEN_ADDR", "everywhere"),
            ("STORE", "postgres"),
            ("EMAIL_PROVIDER", "canary://mail"),
            ("WEBHOOK_SECRET", "whsec_canary"),
            ("LOG_FORMAT", "xml"),
            ("RETRY_MAX_ATTEMPTS", "0"),
        ];
        let needs_secret = [("SMS_PROVIDER", "webhook+http://127.0.0.1/hook")];
        let output = server(&[], &[&faulty[..], &needs_secret].concat());
        assert_eq!(output.status.code(), Some(78));
        let said = said(&output);
        for (name, _) in faulty {
            assert!(said.lines().any(|line| line.starts_with(&format!("{name}: "))), "{name} is not named in:\n{said}");
        }
        assert!(!said.contains("canary"), "{said}");
        assert!(output.stdout.is_empty());
    }

    #[test]
    fn a_lease_that_is_too_short_for_its_sends_is_refused() {
        let output = server(&[], &[("LEASE", "19s"), ("SEND_TIMEOUT", "5s"), ("CLOCK_SKEW", "5s")]);
        assert_eq!(output.status.code(), Some(78));
        assert!(said(&output).starts_with("LEASE: "), "{}", said(&output));
    }

    #[test]
    fn nothing_starts_with_every_channel_off() {
        let output = server(&[], &[("STORE", "dynamodb")]);
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains("EMAIL_PROVIDER"), "{}", said(&output));
    }

    #[test]
    fn it_serves_beyond_loopback_only_when_told_that_anybody_may_send() {
        let output = server(&[], &[("LISTEN_ADDR", "0.0.0.0:0")]);
        assert_eq!(output.status.code(), Some(78));
        assert!(said(&output).contains("API_KEYS_FILE or with ALLOW_ANONYMOUS=true"), "{}", said(&output));
    }

    #[test]
    fn nothing_starts_where_metrics_can_not_be_served() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let output = server(&[], &[("METRICS_LISTEN_ADDR", &address)]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(&format!("can't listen on {address}\n  because ")), "{}", said(&output));
        assert!(output.stdout.is_empty());
    }

    #[test]
    fn create_table_is_happy_with_a_table_that_is_there_and_asks_for_no_other_setting() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
            command.arg("create-table").env_clear().current_dir(folder.path()).env("SEND_TIMEOUT", "not asked for");
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
            assert!(folder.path().join("data").join("store.db").exists());
        }
    }

    #[test]
    fn create_key_shows_the_key_once_and_its_line_apart_from_it() {
        let output = server(&["create-key", "shop"], &[]);
        assert_eq!(output.status.code(), Some(0));
        let (line, key) = (String::from_utf8(output.stdout.clone()).unwrap(), said(&output));
        assert!(key.starts_with("nk_") && key.ends_with('\n') && key.len() == 3 + 43 + 1, "{key}");
        assert!(line.starts_with("shop default ") && line.ends_with('\n') && line.lines().count() == 1, "{line}");
        assert!(!line.contains(key.trim_end()));
        assert_ne!(server(&["create-key", "shop"], &[]).stderr, output.stderr);

        let output = server(&["create-key", "a shop", "a#b"], &[]);
        assert_eq!(output.status.code(), Some(78));
        assert!(
            said(&output).contains("the name must be ") && said(&output).contains("the tenant must be "),
            "{}",
            said(&output)
        );
        assert!(output.stdout.is_empty());
    }

    #[test]
    fn a_key_whose_line_could_not_be_written_is_not_shown() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        let output = command.args(["create-key", "shop"]).env_clear().stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(!said(&output).contains("nk_") && said(&output).contains("can't be written"), "{}", said(&output));
    }

    /// A process that does not outlive its test.
    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    /// Asks whether the server at this address is healthy, with nothing else in its environment.
    fn health(listen_addr: &str) -> Output {
        server(&["health"], &[("LISTEN_ADDR", listen_addr)])
    }

    /// An address of loopback where somebody takes one request, and answers so.
    fn answers(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = connection.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /health HTTP/1.1\r\n"));
            connection.write_all(answer.as_bytes()).unwrap();
            // Open until the other side has had enough.
            while connection.read(&mut request).is_ok_and(|read| read > 0) {}
        });
        address
    }

    #[test]
    fn a_server_that_serves_is_healthy_and_one_that_has_ended_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.env_clear().current_dir(folder.path()).env("LISTEN_ADDR", "0.0.0.0:0").env("ALLOW_ANONYMOUS", "true");
        let mut serving = Killed(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut lines = BufReader::new(serving.0.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let listen_addr = line.strip_prefix("listening on http://").unwrap();

        let output = health(listen_addr);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(output.stdout.is_empty() && output.stderr.is_empty());

        drop(serving);
        let output = health(listen_addr);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).starts_with("the server is not healthy\n  because http://127.0.0.1:"), "{}", said(&output));
    }

    #[test]
    fn what_answers_anything_but_200_is_not_healthy() {
        let output = health(&answers("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"));
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("answered 503"), "{}", said(&output));
    }

    #[test]
    fn what_takes_a_connection_and_says_nothing_is_not_healthy() {
        // It gives up by itself: else this would never end.
        let output = health(&answers(""));
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("because operation timed out"), "{}", said(&output));
    }

    #[test]
    fn health_is_not_guessed_where_the_port_was() {
        let output = health("127.0.0.1:0");
        assert_eq!(output.status.code(), Some(78));
        assert!(said(&output).starts_with("LISTEN_ADDR: "), "{}", said(&output));
    }
}
