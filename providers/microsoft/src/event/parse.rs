//! From JSON to the fields of an event, without taking in what else it says.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::GraphEvent;

/// An item of a list of events. What is no event at all is one that says nothing.
#[derive(Clone, Debug)]
pub(crate) struct Listed(pub(crate) GraphEvent);

impl<'de> Deserialize<'de> for GraphEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Item).map(Self)
    }
}

/// Reads the fields of an event by name. Of one that comes twice the last counts.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = GraphEvent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<GraphEvent, A::Error> {
        let mut event = GraphEvent::default();
        while let Some(name) = fields.next_key::<String>()? {
            match event.field(&name) {
                Some(field) => *field = fields.next_value()?,
                None => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(event)
    }
}

/// Reads whatever is in the place of an event.
struct Item;

impl<'de> Visitor<'de> for Item {
    type Value = GraphEvent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<GraphEvent, A::Error> {
        Fields.visit_map(fields)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<GraphEvent, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(GraphEvent::default())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<GraphEvent, E> {
        Ok(GraphEvent::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<GraphEvent, E> {
        Ok(GraphEvent::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<GraphEvent, E> {
        Ok(GraphEvent::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<GraphEvent, E> {
        Ok(GraphEvent::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<GraphEvent, E> {
        Ok(GraphEvent::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<GraphEvent, E> {
        Ok(GraphEvent::default())
    }
}

impl GraphEvent {
    fn field(&mut self, name: &str) -> Option<&mut Value> {
        Some(match name {
            "id" => &mut self.id,
            "@odata.etag" => &mut self.etag,
            "@removed" => &mut self.removed,
            "type" => &mut self.event_type,
            "seriesMasterId" => &mut self.series_master_id,
            "start" => &mut self.start,
            "end" => &mut self.end,
            "isAllDay" => &mut self.is_all_day,
            "isCancelled" => &mut self.is_cancelled,
            "showAs" => &mut self.show_as,
            "responseStatus" => &mut self.response_status,
            "transactionId" => &mut self.transaction_id,
            _ => return None,
        })
    }
}
