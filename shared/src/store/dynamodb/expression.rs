//! The change, spelled out in DynamoDB's language: each [`Guard`] is one condition and each
//! [`Assignment`] one part of an update. No rule is made here.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::fields::{millis, number, seconds, text, token};
use super::{attempts, keys};
use crate::domain::change::{Assignment, Guard};
use crate::domain::{Change, DueShard, NotificationId};

/// Everything that an `UpdateItem` needs.
pub(super) struct Expression {
    pub condition: String,
    pub update: String,
    pub names: HashMap<String, String>,
    pub values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// The change's own guards, behind the one that keeps foreign items untouched. A missing item fails it
    /// too.
    pub(super) fn of(id: NotificationId, change: &Change) -> Self {
        let mut words = Words::default();
        let mut conditions = vec![words.is_ours()];
        conditions.extend(change.guards().iter().map(|guard| words.condition(guard)));
        let mut updates = Updates::default();
        for assignment in change.assignments() {
            words.update(id, &assignment, &mut updates);
        }
        Self { condition: conditions.join(" AND "), update: updates.into_text(), names: words.names, values: words.values }
    }
}

/// Names and values stand behind placeholders throughout: many of the names are DynamoDB's own words.
#[derive(Default)]
struct Words {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

#[derive(Default)]
struct Updates {
    set: Vec<String>,
    remove: Vec<String>,
}

impl Updates {
    fn into_text(self) -> String {
        let part = |word: &str, list: &[String]| (!list.is_empty()).then(|| format!("{word} {}", list.join(", ")));
        [part("SET", &self.set), part("REMOVE", &self.remove)].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl Words {
    fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn compare(&mut self, attribute: &str, operator: &str, value: AttributeValue) -> String {
        format!("{} {operator} {}", self.name(attribute), self.value(value))
    }

    /// Said of an attribute that may be absent, and is then taken to hold.
    fn absent_or(&mut self, attribute: &str, operator: &str, value: AttributeValue) -> String {
        format!("(attribute_not_exists({}) OR {})", self.name(attribute), self.compare(attribute, operator, value))
    }

    fn is_ours(&mut self) -> String {
        let kind = self.compare(keys::KIND, "=", text(keys::NOTIFICATION));
        format!("{kind} AND {}", self.compare(keys::VERSION, "<=", number(keys::NEWEST_VERSION)))
    }

    fn condition(&mut self, guard: &Guard) -> String {
        match guard {
            Guard::StatusIn(statuses) => {
                let list: Vec<String> = statuses.iter().map(|status| self.value(text(status.as_str()))).collect();
                format!("{} IN ({})", self.name(keys::STATUS), list.join(", "))
            }
            Guard::NotBeforeAtMost(at) => self.compare(keys::NOT_BEFORE, "<=", millis(*at)),
            Guard::BudgetLeft => format!("{} < {}", self.name(keys::ATTEMPT), self.name(keys::ATTEMPT_LIMIT)),
            Guard::BudgetSpent => format!("{} >= {}", self.name(keys::ATTEMPT), self.name(keys::ATTEMPT_LIMIT)),
            Guard::NotExpiredAt(now) => self.absent_or(keys::EXPIRES_AT, ">", millis(*now)),
            Guard::ExpiredAt(now) => self.compare(keys::EXPIRES_AT, "<=", millis(*now)),
            Guard::ClaimTokenIs(mine) => self.compare(keys::CLAIM_TOKEN, "=", token(*mine)),
            Guard::ClaimTokenIsNot(mine) => self.absent_or(keys::CLAIM_TOKEN, "<>", token(*mine)),
            Guard::LeaseEndedBefore(at) => self.compare(keys::LEASE_UNTIL, "<", millis(*at)),
            Guard::AttemptIs(attempt) => self.compare(keys::ATTEMPT, "=", number(*attempt)),
            Guard::DueAtIs(seen) => self.compare(keys::DUE_AT, "=", keys::due_at(*seen)),
            Guard::ChannelIs(channel) => self.compare(keys::CHANNEL, "=", text(channel.as_str())),
        }
    }

    fn update(&mut self, id: NotificationId, assignment: &Assignment, updates: &mut Updates) {
        let mut set = |words: &mut Self, attribute: &str, value| {
            updates.set.push(words.compare(attribute, "=", value));
        };
        match assignment {
            Assignment::Status(status) => set(self, keys::STATUS, text(status.as_str())),
            Assignment::UpdatedAt(at) => set(self, keys::UPDATED_AT, millis(*at)),
            Assignment::NextAttempt => {
                let attempt = self.name(keys::ATTEMPT);
                updates.set.push(format!("{attempt} = {attempt} + {}", self.value(number(1))));
            }
            Assignment::AttemptLimit(limit) => set(self, keys::ATTEMPT_LIMIT, number(*limit)),
            Assignment::NotBefore(at) => set(self, keys::NOT_BEFORE, millis(*at)),
            Assignment::ClaimToken(mine) => set(self, keys::CLAIM_TOKEN, token(*mine)),
            Assignment::LeaseUntil(at) => set(self, keys::LEASE_UNTIL, millis(*at)),
            Assignment::Attempts(list) => set(self, keys::ATTEMPTS, attempts::to_list(list)),
            Assignment::Provider(name) => set(self, keys::PROVIDER, text(name)),
            Assignment::ProviderMessageId(name) => set(self, keys::PROVIDER_MESSAGE_ID, text(name)),
            Assignment::SentAt(at) => set(self, keys::SENT_AT, millis(*at)),
            Assignment::FinishedAt(at) => set(self, keys::FINISHED_AT, millis(*at)),
            Assignment::Error(code, message) => {
                set(self, keys::ERROR_CODE, text(code.as_str()));
                set(self, keys::ERROR_MESSAGE, text(message));
            }
            Assignment::DueAt(at) => set(self, keys::DUE_AT, keys::due_at(*at)),
            Assignment::DueShard => set(self, keys::DUE_SHARD, keys::due_shard(DueShard::of(id))),
            Assignment::Ttl(at) => set(self, keys::TTL, seconds(*at)),
            Assignment::RemoveDue => self.remove(&[keys::DUE_AT, keys::DUE_SHARD], updates),
            Assignment::RemoveLease => self.remove(&[keys::LEASE_UNTIL], updates),
            Assignment::RemoveFinish => {
                self.remove(&[keys::TTL, keys::FINISHED_AT, keys::ERROR_CODE, keys::ERROR_MESSAGE], updates);
            }
        }
    }

    fn remove(&mut self, attributes: &[&str], updates: &mut Updates) {
        updates.remove.extend(attributes.iter().map(|attribute| self.name(attribute)));
    }
}
