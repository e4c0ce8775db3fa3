//! What whoever starts the program sees: its words and its exit code. (That there is such a test also makes
//! `cargo test --workspace` build the binary that the end-to-end tests start.)

#[cfg(test)]
mod commands {
    use std::process::{Command, Output};

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
        for arguments in [["sned"].as_slice(), &["create-table", "now"], &["--help"]] {
            let output = server(arguments, &[]);
            assert_eq!(output.status.code(), Some(78), "{arguments:?}");
            assert_eq!(said(&output), "usage: server [stack | create-table]\n", "{arguments:?}");
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
        assert!(said(&output).contains("ALLOW_ANONYMOUS=true"), "{}", said(&output));
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
}
