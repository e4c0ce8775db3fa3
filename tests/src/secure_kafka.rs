//! An Apache Kafka that asks who comes: TLS everywhere, passwords (SCRAM), certificates (mTLS) and tokens
//! (OAUTHBEARER, checked as Amazon MSK's are), with an authorizer that allows nobody anything by itself.
//! `.ci/real-parts` names the jars by `KAFKA_JARS`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tempfile::TempDir;

use crate::surroundings::create_topic;
use crate::tls::{Authority, Validity};

const PATIENCE: Duration = Duration::from_secs(300);
/// What stands beside this crate: the sources for the broker's side.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/real-parts/kafka");

/// The one who may use the topic: by password, by certificate, by token.
pub const USER: &str = "notifications";
pub const PASSWORD: &str = "canary-password";
/// Knows a password too, and may do nothing.
pub const STRANGER: &str = "stranger";

#[derive(Debug)]
pub struct SecureKafka {
    broker: Child,
    folder: TempDir,
    /// In the clear, where everybody may do everything: for the test itself.
    pub open: String,
    pub scram: String,
    pub mtls: String,
    pub tokens: String,
    /// The brokers' authority, in PEM.
    pub ca: String,
    /// The user's own certificate and key, in PEM.
    pub certificate: String,
    pub key: String,
}

impl SecureKafka {
    /// Starts it, and waits until it answers.
    pub fn start() -> Self {
        let jars = std::env::var("KAFKA_JARS").expect("KAFKA_JARS: run this by .ci/real-parts");
        let folder = TempDir::new().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let authority = Authority::new();
        let broker = authority.identity(&["127.0.0.1"], Validity::Now);
        let user = authority.identity(&[USER], Validity::Now);
        write(&at("broker.pem"), &format!("{}{}", broker.key_pem(), broker.certificate_pem()));
        write(&at("ca.pem"), authority.pem());

        let [open, scram, mtls, tokens, controller] = free_ports();
        write(&at("server.properties"), &properties(folder.path(), [open, scram, mtls, tokens, controller]));
        write(&at("log4j2.properties"), LOG);
        let sources = Path::new(SOURCES);
        run(Command::new("javac")
            .arg("-cp")
            .arg(format!("{jars}/*"))
            .arg("-d")
            .arg(at("classes"))
            .arg(sources.join("MskLikeValidator.java")));
        let class_path = format!("{jars}/*:{}", at("classes").display());
        let java = |main: &str| {
            let mut java = Command::new("java");
            java.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", &class_path]);
            java.arg(format!("-Dlog4j2.configurationFile={}", at("log4j2.properties").display())).arg(main);
            java
        };
        let mut format = java("kafka.tools.StorageTool");
        format.args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"]).arg(at("server.properties"));
        for user in [USER, STRANGER] {
            format.args(["--add-scram", &format!("SCRAM-SHA-512=[name={user},password={PASSWORD}]")]);
        }
        run(&mut format);
        let log = std::fs::File::create(at("kafka.log")).expect("a log");
        let again = log.try_clone().expect("a log");
        let mut kafka = java("kafka.Kafka");
        kafka.arg(at("server.properties")).stdin(Stdio::null()).stdout(log).stderr(again);
        let broker = kafka.spawn().expect("java runs");

        let at = |port: u16| format!("127.0.0.1:{port}");
        let (certificate, key) = (user.certificate_pem(), user.key_pem());
        let (open, scram, mtls, tokens) = (at(open), at(scram), at(mtls), at(tokens));
        let kafka = Self { broker, folder, open, scram, mtls, tokens, ca: authority.pem().to_owned(), certificate, key };
        kafka.wait();
        kafka
    }

    fn wait(&self) {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.open).create().expect("a client");
        let until = Instant::now() + PATIENCE;
        while client.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            assert!(Instant::now() < until, "kafka does not answer:\n{}", self.log());
        }
    }

    /// A topic that the user may use, with a group of the same name, whichever way it proves who it is.
    pub async fn topic(&self, name: &str) {
        self.topic_for(name, "WRITE,READ", "READ").await;
    }

    /// As [`Self::topic`], with what the user may do to the topic and to the group, by Kafka's names of it.
    pub async fn topic_for(&self, name: &str, of_topic: &str, of_group: &str) {
        create_topic(&self.open, name).await;
        self.allow(name, of_topic, of_group);
    }

    /// Whether or not there is such a topic yet.
    pub fn allow(&self, name: &str, of_topic: &str, of_group: &str) {
        let jars = std::env::var("KAFKA_JARS").expect("KAFKA_JARS");
        for principal in [format!("User:{USER}"), format!("User:CN={USER}")] {
            let source = Path::new(SOURCES).join("Acls.java");
            let mut java = Command::new("java");
            java.args(["-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-cp", &format!("{jars}/*")]).arg(source);
            run(java.args([self.open.as_str(), principal.as_str(), name, name, of_topic, of_group]));
        }
    }

    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.open).create().expect("a client");
        let metadata = client.fetch_metadata(None, PATIENCE).expect("kafka answers");
        metadata.topics().iter().any(|known| known.name() == topic)
    }

    /// A topic's partitions, `retention.ms` and `min.insync.replicas`.
    pub async fn made(&self, topic: &str) -> (usize, String, String) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.open).create().expect("a client");
        let metadata = admin.inner().fetch_metadata(Some(topic), PATIENCE).expect("the topic is there");
        let asked = [ResourceSpecifier::Topic(topic)];
        let described = admin.describe_configs(&asked, &AdminOptions::new()).await.expect("kafka answers");
        let config = described.into_iter().next().expect("one topic").expect("its settings");
        let value = |name: &str| config.get(name).and_then(|entry| entry.value.clone()).expect("a setting");
        (metadata.topics()[0].partitions().len(), value("retention.ms"), value("min.insync.replicas"))
    }

    /// The notifications of the first events in a topic, once there are so many.
    #[must_use]
    pub fn events(&self, topic: &str, count: usize) -> Vec<String> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", &self.open).set("group.id", "nobody").set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = settings.create().expect("a client");
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("the topic is there");
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            all.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("an offset");
        }
        consumer.assign(&all).expect("they can be read");
        let (until, mut found) = (Instant::now() + PATIENCE, Vec::new());
        while found.len() < count {
            assert!(Instant::now() < until, "{} of {count} events are in {topic}", found.len());
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.expect("a record");
            let value: Value = serde_json::from_slice(message.payload().expect("a value")).expect("JSON");
            found.push(value["id"].as_str().expect("an id").to_owned());
        }
        found
    }

    /// How often a token was shown and taken.
    #[must_use]
    pub fn tokens_taken(&self) -> usize {
        self.log().matches("a token is taken").count()
    }

    /// Where a text lies as a file, for a `_FILE` twin.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        write(&path, text);
        path
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("kafka.log")).expect("the log")
    }
}

impl Drop for SecureKafka {
    fn drop(&mut self) {
        drop(self.broker.kill());
        drop(self.broker.wait());
    }
}

/// Only what goes wrong; log4j would otherwise say nothing at all.
const LOG: &str = "rootLogger.level=warn
rootLogger.appenderRef.stdout.ref=stdout
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1}: %m%n
";

fn properties(folder: &Path, [open, scram, mtls, tokens, controller]: [u16; 5]) -> String {
    let folder = folder.display();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=OPEN://127.0.0.1:{open},SCRAM://127.0.0.1:{scram},MTLS://127.0.0.1:{mtls},TOKENS://127.0.0.1:{tokens},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=OPEN:PLAINTEXT,SCRAM:SASL_SSL,MTLS:SSL,TOKENS:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=OPEN
log.dirs={folder}/data

ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.mtls.ssl.client.auth=required
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.tokens.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.tokens.oauthbearer.sasl.server.callback.handler.class=MskLikeValidator
listener.name.tokens.oauthbearer.connections.max.reauth.ms=10000

authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS

default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
auto.create.topics.enable=true
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
log.cleaner.threads=1
num.io.threads=2
num.network.threads=1
background.threads=2
"
    )
}

/// Below those that the kernel gives to outgoing connections: nobody takes one by accident before Kafka does.
fn free_ports<const N: usize>() -> [u16; N] {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/free-ports");
    let output = Command::new(script).arg(N.to_string()).output().expect("the script runs");
    let ports: Vec<u16> =
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(|port| port.parse().expect("a port")).collect();
    ports.try_into().expect("as many as asked for")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}

fn run(command: &mut Command) {
    let output = command.output().expect("java runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
