//! How a caller may say who it is. The server takes API keys, by either header; an API on AWS takes tokens as
//! `Authorization: Bearer` or signatures, as its authorizer wants it.

use utoipa::openapi::ComponentsBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::http::access::API_KEY;

/// Their names in the document.
pub(super) const SCHEMES: [&str; 3] = [BEARER, KEY, SIGNATURE];

const BEARER: &str = "bearer";
const KEY: &str = "apiKey";
const SIGNATURE: &str = "awsSignature";

pub(super) fn schemes(components: ComponentsBuilder) -> ComponentsBuilder {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key of the server, or a JWT where the API on AWS asks for one."));
    let key = ApiKeyValue::with_description(API_KEY.as_str(), "An API key of the server.");
    let signature = ApiKeyValue::with_description("Authorization", "AWS Signature Version 4, where the API on AWS asks for IAM.");
    components
        .security_scheme(BEARER, SecurityScheme::Http(bearer.build()))
        .security_scheme(KEY, SecurityScheme::ApiKey(ApiKey::Header(key)))
        .security_scheme(SIGNATURE, SecurityScheme::ApiKey(ApiKey::Header(signature)))
}
