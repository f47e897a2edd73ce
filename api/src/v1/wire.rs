//! Fields of bodies that may be absent, and schemas that follow from them.

use agentcal_engine::model::Account;
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// A field that may be absent, but not null. Use with `#[serde(default)]`.
#[derive(Clone, Debug)]
pub(super) struct Sent<T>(pub(super) Option<T>);

impl<T> Default for Sent<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sent<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

impl<T: Serialize> Serialize for Sent<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A field that may be absent (leave it), null (clear it) or sent (set it). Use with `#[serde(default,
/// skip_serializing_if = "Change::is_keep")]`, so that the request's fingerprint tells absent from null.
#[derive(Clone, Debug, Default)]
pub(super) enum Change<T> {
    /// Absent.
    #[default]
    Keep,
    /// Null.
    Clear,
    /// Sent.
    Set(T),
}

impl<T> Change<T> {
    pub(super) fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// What stands after the change.
    pub(super) fn onto<U>(&self, present: Option<U>, read: impl FnOnce(&T) -> U) -> Option<U> {
        match self {
            Self::Keep => present,
            Self::Clear => None,
            Self::Set(value) => Some(read(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.map_or(Self::Clear, Self::Set))
    }
}

impl<T: Serialize> Serialize for Change<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Clear => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

/// The schema of a change, as that of a new thing: these fields must be there.
pub(super) fn requiring(schema: RefOr<Schema>, fields: &[&str], description: &str) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(description.trim().to_owned());
            object.required.extend(fields.iter().map(|&field| field.to_owned()));
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}

/// Declares the body that makes a thing: the body that changes it, with fields that must be there.
macro_rules! new_body {
    ($(#[doc = $doc:literal])* $new:ident = $patch:ident requires $fields:expr) => {
        $(#[doc = $doc])*
        #[derive(Debug, serde::Deserialize, serde::Serialize)]
        #[serde(transparent)]
        pub(super) struct $new(pub(super) $patch);

        impl utoipa::PartialSchema for $new {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                let schema = <$patch as utoipa::PartialSchema>::schema();
                $crate::v1::wire::requiring(schema, $fields, concat!($($doc),*))
            }
        }

        impl utoipa::ToSchema for $new {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($new).into()
            }

            fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
                <$patch as utoipa::ToSchema>::schemas(schemas);
            }
        }
    };
}

pub(super) use new_body;

/// The zone an account's instants are answered in.
pub(super) fn zone_of(account: &Account) -> Tz {
    account.timezone.unwrap_or(Tz::UTC)
}
