//! JSON without ambiguity.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep arrays and objects may lie in each other, the outermost counted.
const MAX_DEPTH: u8 = 32;

/// The object that all of `text` is; none when it is anything else, has a name twice at any level (two readers could
/// each take another one; RFC 8725, section 2.4), or is too deep.
pub(super) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    // Twice over the text, and not once with a visitor that also builds the values: how a number reaches a visitor
    // depends on features of serde_json that any crate of a build can switch on.
    let mut parser = serde_json::Deserializer::from_slice(text);
    Unambiguous { depth: MAX_DEPTH }.deserialize(&mut parser).ok()?;
    serde_json::from_slice(text).ok()
}

/// Walks over a value, keeps nothing, and fails where it is not what it should be.
#[derive(Clone, Copy)]
struct Unambiguous {
    /// How many levels there may be from here on.
    depth: u8,
}

impl Unambiguous {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON whose names are unique")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        while items.next_element_seed(deeper)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name is given twice"));
            }
            members.next_value_seed(deeper)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
