//! Which provider a channel's URL names. The settings parse each URL into a [`Binding`]; each binary then
//! opens what it was given as [`Providers`].
//!
//! A new provider is a file beside this one and a line in [`KINDS`].

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::lane::{Lane, Limits};
use super::{Inbox, Provider, dev};
use crate::clock::Clock;
use crate::domain::{Channel, Invalid};

/// Every provider: the schemes that name it, and who reads the rest of the URL.
const KINDS: &[Kind] = &[
    Kind { schemes: &["dev"], parse: dev::parse },
    #[cfg(feature = "webhook")]
    Kind { schemes: &["webhook+http", "webhook+https"], parse: super::webhook::parse },
    #[cfg(not(feature = "webhook"))]
    Kind { schemes: &["webhook+http", "webhook+https"], parse: not_built },
];

/// What providers call themselves.
pub const NAMES: &[&str] = &[
    dev::NAME,
    #[cfg(feature = "webhook")]
    super::webhook::NAME,
];

struct Kind {
    schemes: &'static [&'static str],
    parse: fn(&Given<'_>) -> Result<Opener, BindingError>,
}

/// What a provider's own parser is given.
pub(super) struct Given<'a> {
    /// In lower case, as [`KINDS`] spells it.
    pub(super) scheme: &'static str,
    /// All that stands behind the scheme's colon.
    pub(super) rest: &'a str,
    /// The setting `WEBHOOK_SECRET`.
    #[cfg_attr(not(feature = "webhook"), expect(dead_code, reason = "only the webhook reads it"))]
    pub(super) webhook_secret: Option<&'a str>,
}

/// Makes the provider, once its URL was found good.
pub(super) type Opener = Arc<dyn Fn(&Surroundings) -> Result<Arc<dyn Provider>, OpenError> + Send + Sync>;

/// Why a URL can't be bound. No message repeats the URL: it may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BindingError {
    #[error("must begin with one of {known}")]
    UnknownScheme { known: String },
    #[error("must have the form {form}")]
    Malformed { form: &'static str },
    #[error("{scheme}: needs WEBHOOK_SECRET, which is not set")]
    SecretMissing { scheme: &'static str },
    #[error("WEBHOOK_SECRET {reason}")]
    SecretInvalid { reason: Invalid },
    #[error("this program was built without the provider of {scheme}:")]
    NotBuilt { scheme: &'static str },
}

#[derive(Debug, Error)]
#[error("the provider {provider} can't be opened")]
pub struct OpenError {
    pub provider: &'static str,
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// A channel's URL, parsed and found good; nothing is opened yet.
#[derive(Clone)]
pub struct Binding {
    scheme: &'static str,
    /// URL and secret as they were given, to tell whether two bindings are the same.
    given: (String, Option<String>),
    opener: Opener,
}

/// What providers are made of besides their URLs.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    /// The setting `SEND_TIMEOUT`: a provider answers within it.
    pub send_timeout: Duration,
    pub inbox: Arc<Inbox>,
}

/// The channels, each with its lane; one that is on has a provider at its end.
#[derive(Clone, Debug)]
pub struct Providers {
    /// In the order of [`Channel::ALL`].
    lanes: [Arc<Lane>; 3],
}

impl Default for Providers {
    fn default() -> Self {
        Self::of([], &Limits::default())
    }
}

impl Binding {
    pub fn parse(url: &str, webhook_secret: Option<&str>) -> Result<Self, BindingError> {
        let (scheme, rest) = url.split_once(':').ok_or_else(unknown_scheme)?;
        let (kind, scheme) = KINDS.iter().find_map(|kind| Some((kind, kind.spelling(scheme)?))).ok_or_else(unknown_scheme)?;
        let opener = (kind.parse)(&Given { scheme, rest, webhook_secret })?;
        Ok(Self { scheme, given: (url.to_owned(), webhook_secret.map(str::to_owned)), opener })
    }
}

impl Kind {
    /// Schemes are the same in any letter case (RFC 3986, 3.1).
    fn spelling(&self, scheme: &str) -> Option<&'static str> {
        self.schemes.iter().copied().find(|known| known.eq_ignore_ascii_case(scheme))
    }
}

fn unknown_scheme() -> BindingError {
    let schemes: Vec<String> = KINDS.iter().flat_map(|kind| kind.schemes).map(|scheme| format!("{scheme}:")).collect();
    BindingError::UnknownScheme { known: schemes.join(", ") }
}

#[cfg(not(feature = "webhook"))]
fn not_built(given: &Given<'_>) -> Result<Opener, BindingError> {
    Err(BindingError::NotBuilt { scheme: given.scheme })
}

impl PartialEq for Binding {
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given
    }
}

impl Eq for Binding {}

/// The scheme and nothing else: a URL may hold credentials in every other part.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({}:…)", self.scheme)
    }
}

impl Providers {
    /// Channels with the same URL share one provider, and so its connections.
    pub fn open(bindings: Vec<(Channel, Binding)>, limits: &Limits, make: &Surroundings) -> Result<Self, OpenError> {
        let mut opened: Vec<(Binding, Arc<dyn Provider>)> = Vec::new();
        let mut by_channel = Vec::new();
        for (channel, binding) in bindings {
            let shared = opened.iter().find(|(known, _)| *known == binding).map(|(_, provider)| Arc::clone(provider));
            let provider = match shared {
                Some(provider) => provider,
                None => (binding.opener)(make)?,
            };
            by_channel.push((channel, Arc::clone(&provider)));
            opened.push((binding, provider));
        }
        Ok(Self::of(by_channel, limits))
    }

    /// For whoever brings providers of his own, as tests do.
    #[must_use]
    pub fn of(by_channel: impl IntoIterator<Item = (Channel, Arc<dyn Provider>)>, limits: &Limits) -> Self {
        let mut by_channel: BTreeMap<Channel, Arc<dyn Provider>> = by_channel.into_iter().collect();
        Self { lanes: Channel::ALL.map(|channel| Arc::new(Lane::new(channel, by_channel.remove(&channel), limits))) }
    }

    #[must_use]
    pub const fn lane(&self, channel: Channel) -> &Arc<Lane> {
        let [email, sms, push] = &self.lanes;
        match channel {
            Channel::Email => email,
            Channel::Sms => sms,
            Channel::Push => push,
        }
    }

    #[must_use]
    pub const fn lanes(&self) -> &[Arc<Lane>; 3] {
        &self.lanes
    }

    /// None: the channel is off.
    #[must_use]
    pub fn get(&self, channel: Channel) -> Option<&Arc<dyn Provider>> {
        self.lane(channel).provider.as_ref()
    }

    /// None: the channel is off.
    #[must_use]
    pub fn needs_recipient(&self, channel: Channel) -> Option<bool> {
        self.get(channel).map(|provider| provider.needs_recipient())
    }

    /// Whether there is an inbox to show.
    #[must_use]
    pub fn uses_dev(&self) -> bool {
        self.lanes.iter().any(|lane| lane.name() == Some(dev::NAME))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.provider.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples::Stopped;
    use crate::domain::Timestamp;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn surroundings() -> Surroundings {
        let clock: Arc<dyn Clock> = Arc::new(Stopped(Timestamp::from_millis(0)));
        Surroundings { inbox: Arc::new(Inbox::new(Arc::clone(&clock))), clock, send_timeout: Duration::from_secs(5) }
    }

    #[test]
    fn an_unknown_scheme_is_told_the_known_ones_and_not_repeated() {
        for url in ["", "dev", "smtp://canary@host", "canary:", "http://example.com", "webhook://x", "devv:", ":"] {
            let text = Binding::parse(url, Some(SECRET)).unwrap_err().to_string();
            assert_eq!(text, "must begin with one of dev:, webhook+http:, webhook+https:", "{url}");
        }
    }

    #[test]
    fn dev_takes_nothing_behind_its_colon() {
        assert!(Binding::parse("dev:", None).is_ok());
        assert!(Binding::parse("DEV:", None).is_ok());
        assert_eq!(Binding::parse("dev://x", None).unwrap_err().to_string(), "must have the form dev:");
    }

    #[test]
    fn a_channel_without_a_binding_is_off() {
        let bindings = vec![(Channel::Sms, Binding::parse("dev:", None).unwrap())];
        let providers = Providers::open(bindings, &Limits::default(), &surroundings()).unwrap();
        assert_eq!(providers.needs_recipient(Channel::Sms), Some(false));
        assert_eq!(providers.needs_recipient(Channel::Email), None);
        assert!(providers.get(Channel::Push).is_none());
        assert!(providers.uses_dev());
        assert!(!Providers::default().uses_dev());
    }

    #[cfg(feature = "webhook")]
    mod webhook {
        use super::*;

        #[test]
        fn a_webhook_without_its_secret_names_the_setting() {
            let text = Binding::parse("webhook+https://example.com/hook", None).unwrap_err().to_string();
            assert_eq!(text, "webhook+https: needs WEBHOOK_SECRET, which is not set");
            let text = Binding::parse("webhook+http://example.com/hook", Some("whsec_c2hvcnQ=")).unwrap_err().to_string();
            assert_eq!(text, "WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in base64");
        }

        #[test]
        fn a_webhook_url_has_a_host_and_no_fragment() {
            for good in ["webhook+http://localhost:1/", "WebHook+HTTPS://user:pw@example.com/a?b=c", "webhook+http://[::1]:80/x"]
            {
                assert!(Binding::parse(good, Some(SECRET)).is_ok(), "{good}");
            }
            for bad in
                ["webhook+http:", "webhook+http://", "webhook+https:example.com", "webhook+http://a b/", "webhook+http://h/#f"]
            {
                let text = Binding::parse(bad, Some(SECRET)).unwrap_err().to_string();
                assert_eq!(text, "must have the form webhook+http[s]://[user:password@]host[:port][/path][?query]", "{bad}");
            }
        }

        #[test]
        fn no_debug_print_shows_a_url_or_a_secret() {
            let binding = Binding::parse("webhook+https://canary:canary@canary.example/canary?canary", Some(SECRET)).unwrap();
            let providers =
                Providers::open(vec![(Channel::Email, binding.clone())], &Limits::default(), &surroundings()).unwrap();
            let printed = format!("{binding:?} {providers:?}");
            assert!(!printed.contains("canary") && !printed.contains("MfKQ"), "{printed}");
        }

        #[test]
        fn channels_of_the_same_url_share_a_provider() {
            let bound = |url| Binding::parse(url, Some(SECRET)).unwrap();
            let bindings = vec![
                (Channel::Email, bound("webhook+http://localhost:1/a")),
                (Channel::Sms, bound("webhook+http://localhost:1/a")),
                (Channel::Push, bound("webhook+http://localhost:1/b")),
            ];
            let providers = Providers::open(bindings, &Limits::default(), &surroundings()).unwrap();
            let [email, sms, push] = Channel::ALL.map(|channel| providers.get(channel).unwrap());
            assert!(Arc::ptr_eq(email, sms));
            assert!(!Arc::ptr_eq(email, push));
            assert!(!providers.uses_dev());
        }
    }
}
