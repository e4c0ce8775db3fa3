//! The schemas of single values, built from the domain's own lists and limits.

use serde_json::Value;
use utoipa::openapi::schema::{AdditionalProperties, AnyOf, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::domain::why::{Cause, What};
use crate::domain::{Channel, ErrorCode, Metadata, Outcome, Status};
use crate::http::cursor as position;

fn one_of(values: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values.into_iter().map(Value::from))).build()
}

pub(crate) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// `null` means absent.
pub(crate) fn optional(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null]))
}

pub(crate) fn instant() -> Option<SchemaFormat> {
    Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))
}

pub(crate) fn status() -> Object {
    one_of(Status::ALL.map(Status::as_str))
}

pub(crate) fn outcome() -> Object {
    one_of(Outcome::ALL.map(Outcome::as_str))
}

pub(crate) fn error_code() -> Object {
    one_of(ErrorCode::ALL.map(ErrorCode::as_str))
}

pub(crate) fn cause() -> Object {
    one_of(Cause::ALL.map(Cause::as_str))
}

pub(crate) fn what_comes_next() -> Object {
    one_of(What::ALL.map(What::as_str))
}

/// As answers write it: in lower case.
pub(crate) fn channel_shown() -> Object {
    one_of(Channel::ALL.map(Channel::as_str))
}

/// As requests may write it: in any letter case. None: any of the channels.
pub(crate) fn channel_asked(only: Option<Channel>) -> ObjectBuilder {
    let any_case = |channel: Channel| {
        let letters = channel.as_str().chars().map(|letter| format!("[{letter}{}]", letter.to_ascii_uppercase()));
        letters.collect::<String>()
    };
    let names: Vec<String> = Channel::ALL.into_iter().filter(|c| only.is_none_or(|only| only == *c)).map(any_case).collect();
    string().pattern(Some(format!("^({})$", names.join("|")))).examples([only.unwrap_or(Channel::Email).as_str()])
}

/// The address of a channel, as requests and answers have it.
pub(crate) fn address(channel: Channel) -> Object {
    let member = match channel {
        Channel::Email => ("email", string().format(Some(SchemaFormat::Custom("email".to_owned()))).examples(["a@example.com"])),
        Channel::Sms => ("phone", string().pattern(Some("^\\+[1-9][0-9]{1,14}$")).examples(["+43660123456"])),
        Channel::Push => ("deviceToken", string().min_length(Some(1)).max_length(Some(2048))),
    };
    let (name, schema) = member;
    let object = ObjectBuilder::new().property(name, schema).required(name);
    let object = match channel {
        Channel::Email | Channel::Sms => object,
        Channel::Push => object.property(
            "platform",
            ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null])).enum_values(Some([
                Value::from("fcm"),
                Value::from("apns"),
                Value::Null,
            ])),
        ),
    };
    object.additional_properties(Some(AdditionalProperties::FreeForm(false))).build()
}

pub(crate) fn address_shown() -> Schema {
    let mut any = AnyOf::new();
    any.items.extend(Channel::ALL.map(|channel| RefOr::T(Schema::Object(address(channel)))));
    any.description = Some("The address, in the shape of its channel.".to_owned());
    Schema::AnyOf(any)
}

fn metadata(object: ObjectBuilder) -> Object {
    object
        .description(Some("Stored and given back, never sent to a provider."))
        .max_properties(Some(Metadata::MOST))
        .property_names(Some(Schema::Object(string().min_length(Some(1)).max_length(Some(40)).build())))
        .additional_properties(Some(string().max_length(Some(255))))
        .build()
}

pub(crate) fn metadata_asked() -> Object {
    metadata(optional(Type::Object))
}

pub(crate) fn metadata_shown() -> Object {
    metadata(ObjectBuilder::new())
}

pub(crate) fn data_shown() -> Object {
    ObjectBuilder::new()
        .description(Some("The template's variables, as they were sent, digit for digit."))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

pub(crate) fn cursor() -> Object {
    string().pattern(Some(position::PATTERN)).build()
}

pub(crate) fn user_id() -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(100)).pattern(Some("^[^\\u0000-\\u001f\\u007f-\\u009f]*$")).examples(["user-17"])
}

/// Each segment has something besides dots, or at least three of them.
pub(crate) const TEMPLATE: &str = "^(\\.*[A-Za-z0-9_-][A-Za-z0-9._-]*|\\.{3,})(/(\\.*[A-Za-z0-9_-][A-Za-z0-9._-]*|\\.{3,}))*$";

pub(crate) const KEY: &str = "^[ -~]{1,255}$";

/// Bare, or in quotes with its quotes and backslashes escaped.
pub(crate) const KEY_HEADER: &str = "^([!#-~]([ -~]{0,253}[!-~])?|\"([ !#-\\[\\]-~]|\\\\[\"\\\\]){1,255}\")$";

pub(crate) fn ok() -> Object {
    one_of(["ok"])
}

pub(crate) fn readiness() -> Object {
    one_of(["ready", "not-ready"])
}

pub(crate) fn mode() -> Object {
    one_of(["async", "sync"])
}

pub(crate) fn check() -> Object {
    one_of(["up", "down"])
}

pub(crate) fn provider_check() -> Object {
    one_of(["up", "full", "left-alone"])
}
