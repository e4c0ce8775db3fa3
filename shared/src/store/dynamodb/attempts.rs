//! The attempts as a list of maps. Its names are short, for it is the part of a record that grows.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;
use super::fields::{Fields, millis, number, required, text, token, unreadable};
use super::keys::ATTEMPTS;
use crate::domain::attempt::Detail;
use crate::domain::{Attempt, Channel, ErrorCode, Outcome};
use crate::store::Error;

const NUMBER: &str = "n";
const STARTED_AT: &str = "s";
const FINISHED_AT: &str = "f";
const CHANNEL: &str = "ch";
const PROVIDER: &str = "p";
const OUTCOME: &str = "o";
const CODE: &str = "c";
const DETAIL: &str = "d";
const TOKEN: &str = "t";

pub(super) fn to_list(attempts: &[Attempt]) -> AttributeValue {
    AttributeValue::L(attempts.iter().map(|attempt| AttributeValue::M(to_map(attempt))).collect())
}

pub(super) fn from_list(list: &[AttributeValue]) -> Result<Vec<Attempt>, Error> {
    let attempt = |entry: &AttributeValue| entry.as_m().ok().and_then(|map| from_map(map).ok());
    list.iter().map(|entry| attempt(entry).ok_or_else(|| unreadable(ATTEMPTS))).collect()
}

fn to_map(attempt: &Attempt) -> Item {
    let always = [
        (NUMBER, number(attempt.number)),
        (STARTED_AT, millis(attempt.started_at)),
        (FINISHED_AT, millis(attempt.finished_at)),
        (CHANNEL, text(attempt.channel.as_str())),
        (OUTCOME, text(attempt.outcome.as_str())),
        (TOKEN, token(attempt.token)),
    ];
    let sometimes = [
        (PROVIDER, attempt.provider.as_deref()),
        (CODE, attempt.code.map(ErrorCode::as_str)),
        (DETAIL, attempt.detail.as_ref().map(Detail::as_str)),
    ];
    let sometimes = sometimes.into_iter().filter_map(|(name, value)| Some((name, text(value?))));
    always.into_iter().chain(sometimes).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn from_map(map: &Item) -> Result<Attempt, Error> {
    let fields = Fields(map);
    Ok(Attempt {
        number: required(NUMBER, fields.number(NUMBER)?)?,
        started_at: required(STARTED_AT, fields.millis(STARTED_AT)?)?,
        finished_at: required(FINISHED_AT, fields.millis(FINISHED_AT)?)?,
        channel: required(CHANNEL, fields.parsed(CHANNEL, Channel::parse)?)?,
        provider: fields.text(PROVIDER)?.map(str::to_owned),
        outcome: required(OUTCOME, fields.parsed(OUTCOME, Outcome::parse)?)?,
        code: fields.parsed(CODE, ErrorCode::parse)?,
        detail: fields.text(DETAIL)?.map(Detail::cut),
        token: required(TOKEN, fields.token(TOKEN)?)?,
    })
}
