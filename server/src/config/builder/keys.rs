//! The keys of a table as methods: each is called what the file calls it.

/// `kind name;` with a doc comment is the method `name`, which sets the key `name` to a value of that kind.
macro_rules! keys {
    ($($(#[$doc:meta])* $kind:ident $name:ident;)+) => {
        $(keys!(@ $kind $(#[$doc])* $name);)+

        /// Sets a key by its name, whatever it is: for one that has no method. Of one that has, the later counts.
        pub fn with_key(mut self, name: &str, value: impl Into<$crate::config::builder::Value>) -> Self {
            self.0.set(name, value);
            self
        }
    };
    (@ count $(#[$doc:meta])* $name:ident) => { keys!(@@ $(#[$doc])* $name u32); };
    (@ duration $(#[$doc:meta])* $name:ident) => { keys!(@@ $(#[$doc])* $name std::time::Duration); };
    (@ flag $(#[$doc:meta])* $name:ident) => { keys!(@@ $(#[$doc])* $name bool); };
    (@ size $(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub fn $name(mut self, bytes: u64) -> Self {
            self.0.set(stringify!($name), $crate::config::builder::Value::size(bytes));
            self
        }
    };
    (@ ratio $(#[$doc:meta])* $name:ident) => { keys!(@@ $(#[$doc])* $name f64); };
    (@ secret $(#[$doc:meta])* $name:ident) => { keys!(@@ $(#[$doc])* $name $crate::config::Secret); };
    (@ text $(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub fn $name(mut self, text: impl Into<String>) -> Self {
            self.0.set(stringify!($name), text.into());
            self
        }
    };
    (@ texts $(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub fn $name<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
            self.0.set(stringify!($name), $crate::config::builder::Value::texts(texts));
            self
        }
    };
    (@@ $(#[$doc:meta])* $name:ident $type:ty) => {
        $(#[$doc])*
        pub fn $name(mut self, value: $type) -> Self {
            self.0.set(stringify!($name), value);
            self
        }
    };
}

pub(super) use keys;
