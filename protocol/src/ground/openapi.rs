//! How the JSON forms of this crate's types are described in OpenAPI: by `utoipa`, from the types that serde writes.
//!
//! A record derives `ToSchema` beside `Serialize`, so its description has the fields that it has. What writes itself as
//! text or as a number says here what that looks like.

use crate::ground::ids::wide::EXACT;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, SchemaFormat,
        schema::{Schema, SchemaType, Type},
    },
};

/// A number of 64 bits, as [`crate::ground::ids::wide`] reads it. There is no value of it: it stands in descriptions only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {}

impl PartialSchema for Wide {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0))
            .maximum(Some(EXACT));
        let digits = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).pattern(Some("^[0-9]+$"));
        OneOfBuilder::new()
            .description(Some("A whole number from 0 on; a string of its digits where it is larger than 2^53."))
            .item(number)
            .item(digits)
            .into()
    }
}

impl ToSchema for Wide {}

/// A text that is read by a rule of its own.
pub(crate) fn text(description: &str, pattern: Option<&str>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .description(Some(description))
        .pattern(pattern)
        .into()
}

/// Describes a type that writes itself as text.
macro_rules! described_as_text {
    ($name:ident, $description:literal, $pattern:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                crate::ground::openapi::text($description, $pattern)
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use described_as_text;
