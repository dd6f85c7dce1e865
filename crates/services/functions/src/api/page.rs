//! Pages of lists: `Marker`, `MaxItems`, `NextMarker`.
//!
//! A marker names the last item shown, so that a page goes on in the right place although items came and went.
//! A marker that this list did not give out is refused.

use lambent_wire::paginate;

use super::Call;
use super::check::Check;
use crate::error::Error;

/// API, ListFunctions and its like: "returns a maximum of 50 items in each response, even if you set the
/// number higher".
const ITEMS_MAX: usize = 50;

pub struct Page {
    /// The item that the last page ended with.
    pub after: Option<String>,
    pub limit: usize,
    /// The list: another's markers are refused.
    scope: &'static str,
}

impl Page {
    /// Reads the query; `max` is what the model lets MaxItems be.
    pub fn read(call: &Call<'_>, check: &mut Check, max: i64) -> Result<Self, Error> {
        let limit = match call.request.query_value("MaxItems") {
            None => ITEMS_MAX,
            Some(text) => {
                let number: i64 = text.parse().map_err(|_| Error::Serialization {
                    detail: format!("'{text}' can not be converted to an Integer"),
                })?;
                check.number("maxItems", number, 1, max);
                usize::try_from(number).unwrap_or(1).min(ITEMS_MAX)
            }
        };
        let scope = call.operation.name;
        let after = match call.request.query_value("Marker") {
            None | Some("") => None,
            Some(marker) => Some(paginate::decode(scope, marker).map_err(|_| Error::BadMarker)?),
        };
        Ok(Self { after, limit, scope })
    }

    /// The page of items that are at hand in their order, and the marker of the next one.
    pub fn cut<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let mut items = items.into_iter();
        let page: Vec<T> = items.by_ref().take(self.limit).collect();
        let more = items.next().is_some();
        let next = page.last().filter(|_| more).map(|last| paginate::encode(self.scope, &name(last)));
        (page, next)
    }
}
