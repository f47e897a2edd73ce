//! Lists strangers send, bounded in number as bodies are in bytes: a few megabytes of empty objects unfold to a hundred times
//! as much.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// At most so many items. A longer list is refused while it is read, before it takes room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtMost<T, const MAX: usize>(pub Vec<T>);

impl<T, const MAX: usize> Default for AtMost<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for AtMost<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
    type Value = AtMost<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            items.push(item);
        }
        Ok(AtMost(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_list_is_refused() {
        let check = |text: &str, expected: Option<Vec<u8>>| {
            let read = serde_json::from_str::<AtMost<u8, 3>>(text);
            assert_eq!(read.ok().map(|list| list.0), expected, "{text}");
        };
        check("[]", Some(vec![]));
        check("[1,2,3]", Some(vec![1, 2, 3]));
        check("[1,2,3,4]", None);
        check("{}", None);
        check("[1,2,\"x\"]", None);
    }
}
