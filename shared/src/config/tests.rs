mod kafka;

use std::collections::BTreeSet;
use std::time::Duration;

use super::environment::fixed::Fixed;
use super::table::{ALL, Command, Default, Rule, Sensitivity};
use super::*;
use crate::channels::breaker::Endurance;
use crate::domain::Channel;
use crate::service::OnUnknown;
use crate::telemetry::LogFormat;

const KEYS: &str = "shop default 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\n";
const SIGNED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";

fn read(command: Command, environment: &Fixed) -> Result<(), Faults> {
    match command {
        Command::Create => CreateSettings::read(environment).map(drop),
        Command::Get => GetSettings::read(environment).map(drop),
        Command::Process => ProcessSettings::read(environment).map(drop),
        Command::Redrive => RedriveSettings::read(environment).map(drop),
        Command::Server => ServerSettings::read(environment).map(drop),
        Command::Stack => StackSettings::read(environment).map(drop),
        Command::CreateTable => CreateTableSettings::read(environment).map(drop),
        Command::CreateTopics => CreateTopicsSettings::read(environment).map(drop),
        Command::Health => HealthSettings::read(environment).map(drop),
    }
}

/// Each fault's name, in the order of its report.
fn names(result: Result<(), Faults>) -> Vec<String> {
    result.expect_err("there are faults").0.into_iter().map(|fault| fault.name).collect()
}

#[test]
fn a_command_asks_for_the_settings_that_the_manual_says_it_reads() {
    for command in Command::ALL {
        let environment = Fixed::new([("EMAIL_PROVIDER", "dev:"), ("KAFKA_BOOTSTRAP_SERVERS", "a:1")]);
        assert_eq!(read(command, &environment), Ok(()), "{command:?}");
        let mut said = BTreeSet::new();
        for setting in ALL.iter().filter(|setting| setting.used_by.contains(&command)) {
            said.insert(setting.name.to_owned());
            if setting.name == "LOG_FORMAT" {
                said.insert("AWS_LAMBDA_FUNCTION_NAME".to_owned());
            }
            said.extend(setting.file_twin());
            said.extend(setting.arn_twin());
        }
        assert_eq!(environment.asked.take(), said, "{command:?}");
    }
}

#[test]
fn every_default_and_example_and_bound_is_taken_and_what_lies_beyond_is_not() {
    for setting in ALL {
        let command = setting.used_by[0];
        let with = |value: &str| {
            let mut environment =
                Fixed::new([("EMAIL_PROVIDER", "dev:"), ("KAFKA_BOOTSTRAP_SERVERS", "a:1"), ("WEBHOOK_SECRET", SIGNED)]);
            // What else has to change for any one value to be possible.
            environment.variables.insert("LEASE".to_owned(), Ok("1d".to_owned()));
            environment.variables.insert("ALLOW_ANONYMOUS".to_owned(), Ok("true".to_owned()));
            if setting.name == "API_KEYS_FILE" {
                environment = environment.with_file("/run/secrets/api-keys", KEYS);
                environment.variables.insert("ALLOW_ANONYMOUS".to_owned(), Ok("false".to_owned()));
            }
            if setting.name == "LEASE" {
                environment.variables.insert("SEND_TIMEOUT".to_owned(), Ok("1ms".to_owned()));
                environment.variables.insert("CLOCK_SKEW".to_owned(), Ok("0s".to_owned()));
            }
            let said = |name: &str, value: &str| (name.to_owned(), Ok(value.to_owned()));
            if setting.name.starts_with("KAFKA_SASL_") || (setting.name == "KAFKA_SECURITY_PROTOCOL" && value.starts_with("SASL"))
            {
                let password =
                    [said("KAFKA_SASL_MECHANISM", "PLAIN"), said("KAFKA_SASL_USERNAME", "u"), said("KAFKA_SASL_PASSWORD", "p")];
                let iam = value == "AWS_MSK_IAM";
                environment.variables.extend(password.into_iter().filter(|_| !iam));
                environment.variables.extend([said("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")]);
            }
            if setting.name.ends_with("_PEM") {
                environment.variables.extend([said("KAFKA_SECURITY_PROTOCOL", "SSL")]);
            }
            match setting.name {
                "KAFKA_CERTIFICATE_PEM" => environment.variables.extend([said("KAFKA_KEY_PEM", "-----BEGIN PRIVATE KEY-----")]),
                "KAFKA_KEY_PEM" => environment.variables.extend([said("KAFKA_CERTIFICATE_PEM", "-----BEGIN CERTIFICATE-----")]),
                _ => {}
            }
            let value = if value == "whsec_…" { SIGNED } else { value };
            environment.variables.insert(setting.name.to_owned(), Ok(value.to_owned()));
            read(command, &environment)
        };
        assert_eq!(with(setting.example), Ok(()), "{}", setting.name);
        if let Default::Value(default) = setting.default {
            assert_eq!(with(default), Ok(()), "{}", setting.name);
        }
        let (inside, beyond): (Vec<String>, Vec<String>) = match setting.rule {
            Rule::Time { least, most } => {
                let step = Duration::from_millis(1);
                let below = least.checked_sub(step).map(values::written);
                (
                    vec![values::written(least), values::written(most)],
                    below.into_iter().chain([values::written(most + step)]).collect(),
                )
            }
            Rule::Count { least, most } => {
                (vec![least.to_string(), most.to_string()], vec![(least - 1).to_string(), (most + 1).to_string()])
            }
            Rule::OneOf(words) => {
                // Letter case matters, whichever of the two is the right one.
                let (upper, lower) = (words[0].to_uppercase(), words[0].to_lowercase());
                let other_case = if upper == words[0] { lower } else { upper };
                (words.iter().map(|word| (*word).to_owned()).collect(), vec![other_case, " ".to_owned()])
            }
            Rule::Words(_) => (vec![], vec![]),
        };
        for value in inside {
            assert_eq!(with(&value), Ok(()), "{}={value}", setting.name);
        }
        for value in beyond {
            assert_eq!(names(with(&value)), [setting.name], "{}={value}", setting.name);
        }
        assert_eq!(names(with("")), [setting.name], "{} set but empty", setting.name);
    }
}

#[test]
fn all_faults_are_reported_together_one_a_line() {
    let mut environment = Fixed::new([
        ("TABLE_NAME", "no spaces please"),
        ("STORE_TIMEOUT", "3"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost"),
        ("WEBHOOK_SECRET_FILE", "/none"),
        ("EMAIL_PROVIDER", "pigeon:"),
        ("SMS_PROVIDER", "webhook+https://sms.example/"),
        ("RETRY_MAX_ATTEMPTS", "0"),
        ("ON_UNKNOWN", "panic"),
        ("SEND_TIMEOUT", "60s"),
        ("LOG_FORMAT", ""),
        ("RUST_LOG", "inof"),
    ]);
    environment.variables.insert("PUSH_PROVIDER".to_owned(), Err(NotUtf8));
    let faults = CreateSettings::read(&environment).unwrap_err();
    let text = faults.to_string();
    let expected = [
        "TABLE_NAME",
        "STORE_TIMEOUT",
        "KAFKA_BOOTSTRAP_SERVERS",
        "WEBHOOK_SECRET_FILE",
        "EMAIL_PROVIDER",
        "PUSH_PROVIDER",
        "RETRY_MAX_ATTEMPTS",
        "ON_UNKNOWN",
        "LEASE",
        "LOG_FORMAT",
        "RUST_LOG",
    ];
    assert_eq!(text.lines().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>(), expected, "{text}");
    assert!(text.contains("STORE_TIMEOUT: is \"3\"; allowed: 1ms to 30s, a whole number with ms, s, m, h or d"), "{text}");
    assert!(text.contains("LEASE: is 1m, shorter than SEND_TIMEOUT + 3 × CLOCK_SKEW; allowed: at least 75s"), "{text}");
    assert!(text.contains("LOG_FORMAT: is set but empty; allowed: json, text"), "{text}");
}

#[test]
fn a_lease_of_exactly_the_least_is_enough() {
    let with = |lease| ProcessSettings::read(&Fixed::new([("EMAIL_PROVIDER", "dev:"), ("LEASE", lease)]));
    assert_eq!(with("20s").unwrap().policy.lease, Duration::from_secs(20));
    assert_eq!(names(with("19999ms").map(drop)), ["LEASE"]);
}

#[test]
fn a_file_can_stand_in_for_a_secret_and_only_its_last_line_end_is_dropped() {
    let read = |text: &str| {
        let environment = Fixed::new([("EMAIL_PROVIDER", "dev:"), ("WEBHOOK_SECRET_FILE", "/run/s")]).with_file("/run/s", text);
        let mut reader = reader::Reader::new(&environment);
        let secret = reader.secret(&table::WEBHOOK_SECRET);
        reader.finish(secret).map(|secret| secret.unwrap().expose().to_owned())
    };
    for (text, secret) in [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), (" s ", " s "), ("s\r", "s\r")] {
        assert_eq!(read(text).as_deref(), Ok(secret), "{text:?}");
    }
    assert!(
        read("\n")
            .unwrap_err()
            .to_string()
            .starts_with("WEBHOOK_SECRET_FILE: names the file \"/run/s\", which can't be read: it is empty")
    );
    let absent = ProcessSettings::read(&Fixed::new([("EMAIL_PROVIDER_FILE", "/none")])).unwrap_err();
    assert!(
        absent.to_string().starts_with("EMAIL_PROVIDER_FILE: names the file \"/none\", which can't be read: no such file"),
        "{absent}"
    );
}

#[test]
fn a_secret_given_twice_is_a_fault_whichever_would_win() {
    for setting in ALL.iter().filter(|setting| setting.sensitivity == Sensitivity::Secret) {
        let (file, arn) = (setting.file_twin().unwrap(), setting.arn_twin().unwrap());
        for (one, other) in [(setting.name, file.as_str()), (setting.name, &arn), (&file, &arn)] {
            let elsewhere = if setting.name == "EMAIL_PROVIDER" { "SMS_PROVIDER" } else { "EMAIL_PROVIDER" };
            let variables = [(elsewhere, "dev:"), ("KAFKA_BOOTSTRAP_SERVERS", "a:1"), (one, "dev:"), (other, "/run/s")];
            let environment = Fixed::new(variables).with_file("/run/s", "dev:");
            assert_eq!(names(read(setting.used_by[0], &environment)), [one], "{one} and {other}");
        }
    }
}

#[test]
fn nothing_secret_is_in_a_fault_or_a_debug_print() {
    let url = "webhook+https://user:canary-password@mail.example/canary-path?token=canary-token";
    for environment in [
        Fixed::new([("EMAIL_PROVIDER", url), ("WEBHOOK_SECRET", "canary-secret")]),
        Fixed::new([("EMAIL_PROVIDER", "canary-scheme://x"), ("WEBHOOK_SECRET", "whsec_canary")]),
        Fixed::new([("EMAIL_PROVIDER", url)]),
        Fixed::new([("EMAIL_PROVIDER", "webhook+https://mail.example/canary-path"), ("WEBHOOK_SECRET", SIGNED)]),
        // The secret itself, where the path of its file should be.
        Fixed::new([("EMAIL_PROVIDER", "dev:"), ("WEBHOOK_SECRET_FILE", "whsec_canary")]),
        Fixed::new([("EMAIL_PROVIDER_FILE", url)]),
        Fixed::new([("EMAIL_PROVIDER", "dev:"), ("KAFKA_BOOTSTRAP_SERVERS", "a:1"), ("KAFKA_SASL_PASSWORD_FILE", "canary/word")]),
    ] {
        let result = CreateSettings::read(&environment);
        let printed = format!("{result:?} {}", result.as_ref().map_or_else(ToString::to_string, |_| String::new()));
        assert!(!printed.contains("canary") && !printed.contains(SIGNED), "{printed}");
    }
}

#[test]
fn a_bad_secret_is_one_fault_of_its_own_setting() {
    let url = "webhook+https://mail.example/";
    let with = |secret: &[(&str, &str)]| {
        let mut environment = Fixed::new([("EMAIL_PROVIDER", url), ("SMS_PROVIDER", url)]);
        environment.variables.extend(secret.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned()))));
        names(read(Command::Process, &environment))
    };
    assert_eq!(with(&[("WEBHOOK_SECRET", "not-a-key")]), ["WEBHOOK_SECRET"]);
    // What can't be read is assumed to be good: only the file is to be mended.
    assert_eq!(with(&[("WEBHOOK_SECRET_FILE", "/none")]), ["WEBHOOK_SECRET_FILE"]);
    assert_eq!(with(&[]), ["EMAIL_PROVIDER", "SMS_PROVIDER"]);
}

#[test]
fn with_every_channel_off_nothing_starts() {
    let dynamodb = Fixed::new([("STORE", "dynamodb")]);
    for command in [Command::Create, Command::Process, Command::Redrive, Command::Server] {
        let faults = read(command, &dynamodb).unwrap_err().to_string();
        assert!(faults.contains("nothing to do"), "{faults}");
    }
    let bindings = CreateSettings::read(&Fixed::new([("SMS_PROVIDER", "dev:")])).unwrap().providers.bindings;
    assert_eq!(bindings.into_iter().map(|(channel, _)| channel).collect::<Vec<_>>(), [Channel::Sms]);
}

#[test]
fn with_nothing_said_the_server_brings_everything_itself() {
    let settings = ServerSettings::read(&Fixed::new([])).unwrap();
    assert_eq!(settings.store_kind, StoreKind::Embedded { data_dir: "./data".into() });
    let topic = TopicSettings { topic: "notification-events".to_owned(), group_id: "notification-process".to_owned() };
    assert_eq!(settings.kafka, KafkaChoice::Embedded { topic, produce_timeout: Duration::from_secs(1) });
    assert_eq!(settings.providers.bindings.len(), 3);
    assert_eq!(settings.listen_addr.to_string(), "127.0.0.1:8080");
    assert_eq!((settings.policy.on_unknown, settings.policy.retry.max_attempts), (OnUnknown::Retry, 30));
    assert_eq!(
        (settings.policy.retention, settings.redrive_interval),
        (Duration::from_secs(90 * 86_400), Duration::from_secs(1))
    );
}

#[test]
fn kafka_follows_what_is_said_and_then_the_store() {
    let kafka = |variables: &[(&str, &str)]| {
        let mut environment = Fixed::new([("EMAIL_PROVIDER", "dev:")]);
        environment.variables.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned()))));
        ServerSettings::read(&environment).unwrap().kafka
    };
    assert_eq!(kafka(&[("KAFKA_BOOTSTRAP_SERVERS", "none")]), KafkaChoice::None);
    assert_eq!(kafka(&[("STORE", "dynamodb")]), KafkaChoice::None);
    let external = kafka(&[("KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2"), ("KAFKA_TOPIC", "t"), ("KAFKA_PRODUCE_TIMEOUT", "200ms")]);
    let KafkaChoice::External(settings) = external else { panic!("{external:?}") };
    assert_eq!((settings.bootstrap_servers.as_str(), settings.topic.as_str()), ("a:1,b:2", "t"));
    assert_eq!((settings.group_id.as_str(), settings.produce_timeout), ("notification-process", Duration::from_millis(200)));
    assert_eq!(CreateSettings::read(&Fixed::new([("EMAIL_PROVIDER", "dev:")])).unwrap().kafka, None);
}

#[test]
fn the_stack_brings_what_is_not_said() {
    let stack = |environment: &Fixed| {
        let settings = StackSettings::read(environment).unwrap();
        (settings.store_kind, settings.kafka)
    };
    let (store, kafka) = stack(&Fixed::new([]));
    assert!(matches!((&store, &kafka), (StoreKind::Embedded { .. }, KafkaChoice::Embedded { .. })), "{store:?} {kafka:?}");
    let (store, kafka) = stack(&Fixed::new([("STORE", "dynamodb"), ("KAFKA_BOOTSTRAP_SERVERS", "a:1"), ("KAFKA_GROUP_ID", "g")]));
    let KafkaChoice::External(settings) = kafka else { panic!("{kafka:?}") };
    assert_eq!((store, settings.bootstrap_servers.as_str(), settings.group_id.as_str()), (StoreKind::DynamoDb, "a:1", "g"));
    assert_eq!(stack(&Fixed::new([("STORE", "dynamodb")])).1, KafkaChoice::None);
    assert_eq!(stack(&Fixed::new([("KAFKA_BOOTSTRAP_SERVERS", "none")])).1, KafkaChoice::None);
}

#[test]
fn the_server_leaves_loopback_only_where_that_is_said() {
    let with = |addr: &str, allow: &str| read(Command::Server, &Fixed::new([("LISTEN_ADDR", addr), ("ALLOW_ANONYMOUS", allow)]));
    for loopback in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:8080", "[::ffff:127.0.0.1]:80"] {
        assert_eq!(with(loopback, "false"), Ok(()), "{loopback}");
    }
    for beyond in ["0.0.0.0:8080", "[::]:8080", "192.168.1.1:80"] {
        assert_eq!(names(with(beyond, "false")), ["LISTEN_ADDR"], "{beyond}");
        assert_eq!(with(beyond, "true"), Ok(()), "{beyond}");
    }
    assert_eq!(names(with("localhost:8080", "yes")), ["LISTEN_ADDR", "ALLOW_ANONYMOUS"]);
}

#[test]
fn the_server_leaves_loopback_with_keys_and_says_all_that_is_wrong_with_them() {
    let with = |keys: &str, more: &[(&str, &str)]| {
        let mut environment = Fixed::new([("LISTEN_ADDR", "0.0.0.0:8080"), ("API_KEYS_FILE", "/keys")]).with_file("/keys", keys);
        environment.variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned()))));
        ServerSettings::read(&environment)
    };
    let settings = with(KEYS, &[]).unwrap();
    assert_eq!(settings.keys.unwrap().keyring.find(b"foo").unwrap().name.as_deref(), Some("shop"));
    // The last key may be taken away: then nobody comes in, and nobody else does either.
    assert!(with("# none\n", &[]).unwrap().keys.unwrap().keyring.is_empty());
    let faults = with("shop default\nshop ü canary\n", &[("SEND_TIMEOUT", "soon")]).unwrap_err().to_string();
    let begins = [
        "API_KEYS_FILE: line 1 is not ",
        "API_KEYS_FILE: line 2: the tenant ",
        "API_KEYS_FILE: line 2: the SHA-256 ",
        "SEND_TIMEOUT: ",
    ];
    assert!(faults.lines().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{faults}");
    assert_eq!((faults.lines().count(), faults.contains("canary")), (4, false), "{faults}");
    assert_eq!(names(with(KEYS, &[("API_KEYS_FILE", "/none")]).map(drop)), ["API_KEYS_FILE"]);
    let pasted = with(KEYS, &[("API_KEYS_FILE", "nk_canary")]).unwrap_err().to_string();
    assert!(pasted.starts_with("API_KEYS_FILE: ") && !pasted.contains("canary"), "{pasted}");
    assert_eq!(names(with(KEYS, &[("ALLOW_ANONYMOUS", "true")]).map(drop)), ["ALLOW_ANONYMOUS"]);
}

#[test]
fn health_asks_wherever_the_server_listens_but_not_at_any_free_port() {
    let with = |addr: &str| read(Command::Health, &Fixed::new([("LISTEN_ADDR", addr)]));
    assert_eq!(with("0.0.0.0:8080"), Ok(()));
    assert_eq!(names(with("127.0.0.1:0")), ["LISTEN_ADDR"]);
}

#[test]
fn lines_are_json_unless_a_person_reads_them() {
    let format = |stderr, variables: [(&str, &str); 1]| {
        let mut environment = Fixed::new(variables);
        environment.stderr = stderr;
        GetSettings::read(&environment).unwrap().log.format
    };
    assert_eq!(format(Output::Elsewhere, [("A", "b")]), LogFormat::Json);
    assert_eq!(format(Output::Terminal, [("A", "b")]), LogFormat::Text);
    assert_eq!(format(Output::Terminal, [("AWS_LAMBDA_FUNCTION_NAME", "get")]), LogFormat::Json);
    assert_eq!(format(Output::Terminal, [("LOG_FORMAT", "json")]), LogFormat::Json);
    assert_eq!(format(Output::Elsewhere, [("LOG_FORMAT", "text")]), LogFormat::Text);
}

#[test]
fn each_channels_bound_is_its_own_setting_and_so_is_what_a_provider_must_endure() {
    let said = [
        ("EMAIL_PROVIDER", "dev:"),
        ("EMAIL_CONCURRENCY", "3"),
        ("SMS_CONCURRENCY", "5"),
        ("PUSH_CONCURRENCY", "7"),
        ("PROVIDER_FAILURES", "9"),
        ("PROVIDER_PAUSE", "11s"),
        ("PROVIDER_PAUSE_CAP", "13s"),
    ];
    let limits = ProcessSettings::read(&Fixed::new(said)).unwrap().providers.limits;
    assert_eq!((limits.email, limits.sms, limits.push), (3, 5, 7));
    let Endurance { failures, pause } = limits.endurance;
    assert_eq!((failures, pause.base, pause.cap), (9, Duration::from_secs(11), Duration::from_secs(13)));
}
