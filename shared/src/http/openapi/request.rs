//! The schema of a create request: one property for each [`Field`] that the parser knows.

use utoipa::openapi::schema::{AdditionalProperties, AllOf, AnyOf, ObjectBuilder, OneOf, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::schema;
use crate::domain::Channel;
use crate::http::request::Field;

/// What the parser of `http::request` takes.
#[derive(Debug)]
pub(super) struct CreateRequest;

impl ToSchema for CreateRequest {}

impl PartialSchema for CreateRequest {
    fn schema() -> RefOr<Schema> {
        let mut fields = ObjectBuilder::new().required(Field::Channel.name()).required(Field::Template.name());
        for field in Field::ALL {
            fields = fields.property(field.name(), property(field));
        }
        fields = fields
            .property(Field::ALIAS, schema::user_id().description(Some("Another name of userId; one of the two is given.")))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));

        let mut user = OneOf::new();
        user.items.extend([Field::UserId.name(), Field::ALIAS].map(|name| anything().required(name).into()));
        let mut fit = AnyOf::new();
        fit.items.extend(Channel::ALL.map(|channel| {
            let mut to = AnyOf::new();
            to.items.push(schema::address(channel).into());
            to.items.push(ObjectBuilder::new().schema_type(Type::Null).into());
            anything()
                .property(Field::Channel.name(), schema::channel_asked(Some(channel)))
                .property(Field::To.name(), Schema::AnyOf(to))
                .into()
        }));

        let mut all = AllOf::new();
        all.items.extend([fields.into(), Schema::OneOf(user).into(), Schema::AnyOf(fit).into()]);
        Schema::AllOf(all).into()
    }
}

/// A schema that says something about an object without saying that it is one.
fn anything() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue)
}

fn property(field: Field) -> RefOr<Schema> {
    match field {
        Field::UserId => schema::user_id().description(Some("Whose notification it is.")).into(),
        Field::Channel => schema::channel_asked(None).description(Some("email, sms or push, in any letter case.")).into(),
        Field::Template => schema::string()
            .description(Some("Names the template; it may be a path."))
            .max_length(Some(100))
            .pattern(Some(schema::TEMPLATE))
            .examples(["account/welcome"])
            .into(),
        Field::Data => schema::optional(Type::Object)
            .description(Some(
                "The template's variables: at most 64 KiB written compactly, at most 16 objects and arrays deep, no key twice.",
            ))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into(),
        Field::To => schema::optional(Type::Object)
            .description(Some("The address, in the shape of the channel; a provider may need one."))
            .into(),
        Field::Metadata => schema::metadata_asked().into(),
        Field::IdempotencyKey => schema::optional(Type::String)
            .description(Some("The same as the header Idempotency-Key; both and different is a fault."))
            .pattern(Some(schema::KEY))
            .into(),
        Field::ScheduledAt => schema::optional(Type::String)
            .description(Some("Not before this instant; at most 1 year ahead, a past one means now."))
            .format(schema::instant())
            .into(),
        Field::ExpiresAt => schema::optional(Type::String)
            .description(Some("No attempt starts after this instant; after scheduledAt."))
            .format(schema::instant())
            .into(),
    }
}
