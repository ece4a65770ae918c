//! `[store]`.

use crate::config::schema::store::Store;
use crate::config::settings::StoreSettings;

pub(super) fn compile(store: Option<&Store>) -> StoreSettings {
    let url = store.and_then(|store| store.url.get()).map_or("memory", |url| url.value);
    StoreSettings { url: url.to_owned() }
}
