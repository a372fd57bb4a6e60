//! What a route reads from the body of a request.

use std::future::Future;

use schemars::JsonSchema;

use super::{BodyKind, RawBody, schema_of};
use crate::body::Lines;
use crate::json::{JsonBody, SchemaValidator};
use crate::problem::{Code, Problem};

/// A type that is read from the body of a request.
pub(crate) trait FromBody: Sized + Send + Sync + 'static {
    /// The kind of body that the route declares.
    const KIND: BodyKind;

    /// Parses the body, or reads nothing yet where the body is a stream.
    fn from_body(raw: RawBody, validator: &SchemaValidator) -> Result<Self, Problem>;

    /// Reads and discards the rest of the body, so that the client reads the response.
    fn discard(self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

impl FromBody for () {
    const KIND: BodyKind = BodyKind::Empty;

    fn from_body(_: RawBody, _: &SchemaValidator) -> Result<Self, Problem> {
        Ok(())
    }
}

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: JsonBody> FromBody for Json<T> {
    const KIND: BodyKind = BodyKind::Json(schema_of::<T::Schema>, T::MAX_BYTES);

    fn from_body(raw: RawBody, validator: &SchemaValidator) -> Result<Self, Problem> {
        match raw {
            RawBody::Full(bytes) => validator.parse(&bytes).map(Self),
            RawBody::Stream(_) => Err(Code::Internal.into()),
        }
    }
}

impl<S: JsonSchema + 'static> FromBody for Lines<S> {
    const KIND: BodyKind = BodyKind::Lines(schema_of::<S>);

    fn from_body(raw: RawBody, _: &SchemaValidator) -> Result<Self, Problem> {
        match raw {
            RawBody::Full(_) => Err(Code::Internal.into()),
            RawBody::Stream(body) => Ok(Self::new(body)),
        }
    }

    async fn discard(self) {
        self.discard_rest().await;
    }
}
