//! The conditional writes: one call each. The SDK may deliver a call twice; the second then fails its own
//! condition, and the item that comes back tells whether the first was ours.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::expression::Expression;
use super::fields::required;
use super::item::{self, Stored};
use super::{DynamoDb, keys};
use crate::domain::{Change, Notification, NotificationId};
use crate::store::{Applied, Created, Error};

impl DynamoDb {
    pub(super) async fn put(&self, notification: &Notification) -> Result<Created, Error> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item::write(notification)?))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", keys::ID)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(failed) = put.send().await else { return Ok(Created::New) };
        let Some(PutItemError::ConditionalCheckFailedException(condition)) = failed.as_service_error() else {
            return Err(self.failure(&failed));
        };
        // It failed because there is an item; a store that does not bring it back is none for us.
        match item::read(required(keys::ID, condition.item())?)? {
            Stored::Foreign => Ok(Created::Foreign),
            Stored::Ours(stored) if stored.create_token == notification.create_token => Ok(Created::New),
            Stored::Ours(stored) => Ok(Created::Existing(stored)),
        }
    }

    pub(super) async fn update(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        let expression = Expression::of(id, change);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(keys::ID, keys::id(id))
            .condition_expression(expression.condition)
            .update_expression(expression.update)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(Some(expression.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let failed = match update.send().await {
            Ok(output) => {
                return Ok(match item::read(required(keys::ID, output.attributes())?)? {
                    Stored::Ours(stored) => Applied::Done(stored),
                    Stored::Foreign => Applied::Foreign,
                });
            }
            Err(failed) => failed,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(condition)) = failed.as_service_error() else {
            // All that our updates ask for fits every item of ours: one that does not take it is damaged, and the
            // store is well.
            let damaged = failed.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ValidationException");
            let what = || "it does not take the write (ValidationException)".to_owned();
            return Err(if damaged { Error::Unreadable { what: what() } } else { self.failure(&failed) });
        };
        let Some(found) = condition.item() else { return Ok(Applied::Missing) };
        Ok(match item::read(found)? {
            Stored::Foreign => Applied::Foreign,
            Stored::Ours(stored) if change.is_recorded_in(&stored) => Applied::Done(stored),
            Stored::Ours(stored) => Applied::Refused(stored),
        })
    }
}
