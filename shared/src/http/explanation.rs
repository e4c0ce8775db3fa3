//! Why a notification is where it is, as a client sees it: one sentence, and the facts that it is made of.

use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::schema;
use crate::domain::why::{LastAttempt, Next};
use crate::domain::{ErrorCode, Explanation, NotificationId};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationView {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(schema_with = schema::status)]
    pub status: &'static str,
    /// One sentence for a person. Its words may change; the facts are for programs.
    #[schema(pattern = r"\.$")]
    pub why: String,
    pub facts: FactsView,
}

/// All from the record; never an address, data or metadata.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Facts)]
pub struct FactsView {
    /// When it came into this status.
    #[schema(format = "date-time")]
    pub since: String,
    /// What brought it into this status.
    #[schema(schema_with = schema::cause)]
    pub cause: &'static str,
    /// Attempts begun over the whole life; one that is under way is counted.
    #[schema(minimum = 0)]
    pub attempts_made: u32,
    /// Of its budget; only while it is not final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub attempts_left: Option<u32>,
    /// How many of the last 20 ended unknown: each may have reached the provider.
    #[schema(minimum = 0, maximum = 20)]
    pub attempts_unknown: u32,
    /// How many attempts came before the last 20 and are not kept any more.
    #[schema(minimum = 0)]
    pub attempts_forgotten: u32,
    /// The last one that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_attempt: Option<LastAttemptView>,
    /// How often redrive has looked after what is to come next, looks at one that a worker held included; only while
    /// it is not final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub redriven: Option<u32>,
    /// Only while it is not final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next: Option<NextView>,
}

/// How the last attempt ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LastAttempt)]
pub struct LastAttemptView {
    /// Counted from 1 over the whole life.
    #[schema(minimum = 1)]
    pub number: u32,
    #[schema(schema_with = schema::outcome)]
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::error_code)]
    pub code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider: Option<String>,
    #[schema(format = "date-time")]
    pub finished_at: String,
}

/// What comes next. `attempt`: one begins at that instant or soon after. `redrive`: one is due, a worker may
/// begin it at any moment, and redrive looks after it then. `finish`: the one under way ends by then, unless its
/// worker is lost or held up. `take-over`, `give-up`: its worker's lease ran out, and unless it still finishes,
/// redrive has another made, or ends it as `Failed`, from then on. `expire`: redrive ends it as `Expired`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Next)]
pub struct NextView {
    #[schema(schema_with = schema::what_comes_next)]
    pub what: &'static str,
    /// One that has passed means: as soon as somebody comes to it.
    #[schema(format = "date-time")]
    pub at: String,
}

impl ExplanationView {
    #[must_use]
    pub fn of(id: NotificationId, explanation: &Explanation) -> Self {
        Self {
            id: id.to_string(),
            status: explanation.status.as_str(),
            why: explanation.sentence(),
            facts: FactsView::from(explanation),
        }
    }
}

impl From<&Explanation> for FactsView {
    fn from(explanation: &Explanation) -> Self {
        Self {
            since: explanation.since.to_string(),
            cause: explanation.cause.as_str(),
            attempts_made: explanation.attempts_made,
            attempts_left: explanation.attempts_left,
            attempts_unknown: explanation.attempts_unknown,
            attempts_forgotten: explanation.attempts_forgotten,
            last_attempt: explanation.last_attempt.as_ref().map(LastAttemptView::from),
            redriven: explanation.redriven,
            next: explanation.next.as_ref().map(NextView::from),
        }
    }
}

impl From<&LastAttempt> for LastAttemptView {
    fn from(last: &LastAttempt) -> Self {
        Self {
            number: last.number,
            outcome: last.outcome.as_str(),
            code: last.code.map(ErrorCode::as_str),
            provider: last.provider.clone(),
            finished_at: last.finished_at.to_string(),
        }
    }
}

impl From<&Next> for NextView {
    fn from(next: &Next) -> Self {
        Self { what: next.what.as_str(), at: next.at.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::why::{Cause, What};

    #[test]
    fn each_word_has_its_row_and_each_row_its_word() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/why.md")).unwrap();
        let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let facts = FactsView {
            since: String::new(),
            cause: "",
            attempts_made: 0,
            attempts_left: Some(0),
            attempts_unknown: 0,
            attempts_forgotten: 0,
            last_attempt: Some(LastAttemptView {
                number: 1,
                outcome: "",
                code: None,
                provider: None,
                finished_at: String::new(),
            }),
            redriven: Some(0),
            next: Some(NextView { what: "", at: String::new() }),
        };
        let facts = serde_json::to_value(&facts).unwrap();
        let (of_facts, words) = rows.split_at(facts.as_object().unwrap().len());
        assert!(of_facts.iter().all(|name| facts.get(*name).is_some()), "{of_facts:?}");
        let expected: Vec<&str> = Cause::ALL.map(Cause::as_str).into_iter().chain(What::ALL.map(What::as_str)).collect();
        assert_eq!(words, expected);
    }
}
