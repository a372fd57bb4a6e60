//! A statement with its bound values, and how it is run.

use sqlx::error::BoxDynError;
use uuid::Uuid;

use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::sql::bulk::BulkRow;
use crate::store::sql::{Dialect, Row};

/// A value to be bound. The variant is its type, so that a null has a type too.
pub(crate) enum Value<'a> {
    Id(Option<Uuid>),
    Int(Option<i64>),
    Float(Option<f64>),
    Bool(bool),
    Text(Option<&'a str>),
    Bytes(Option<&'a [u8]>),
}

/// A statement with its values.
pub(crate) struct Query<D: Dialect> {
    sql: &'static str,
    arguments: Result<D::Arguments, BoxDynError>,
}

/// A statement without values.
pub(crate) fn query<D: Dialect>(sql: &'static str) -> Query<D> {
    Query {
        sql,
        arguments: Ok(D::Arguments::default()),
    }
}

impl<D: Dialect> Query<D> {
    fn bind(mut self, value: Value<'_>) -> Self {
        self.arguments = self.arguments.and_then(|mut arguments| {
            D::bind(&mut arguments, value)?;
            Ok(arguments)
        });
        self
    }

    pub(crate) fn id(self, id: &Uuid) -> Self {
        self.bind(Value::Id(Some(*id)))
    }

    pub(crate) fn opt_id(self, id: Option<&Uuid>) -> Self {
        self.bind(Value::Id(id.copied()))
    }

    pub(crate) fn int(self, int: i64) -> Self {
        self.bind(Value::Int(Some(int)))
    }

    pub(crate) fn opt_int(self, int: Option<i64>) -> Self {
        self.bind(Value::Int(int))
    }

    pub(crate) fn time(self, time: Timestamp) -> Self {
        self.int(time.as_millis())
    }

    pub(crate) fn opt_time(self, time: Option<Timestamp>) -> Self {
        self.opt_int(time.map(Timestamp::as_millis))
    }

    pub(crate) fn opt_float(self, float: Option<f64>) -> Self {
        self.bind(Value::Float(float))
    }

    pub(crate) fn bool(self, bool: bool) -> Self {
        self.bind(Value::Bool(bool))
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bind(Value::Text(Some(text)))
    }

    pub(crate) fn opt_text(self, text: Option<&str>) -> Self {
        self.bind(Value::Text(text))
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.bind(Value::Bytes(Some(bytes)))
    }

    pub(crate) fn opt_bytes(self, bytes: Option<&[u8]>) -> Self {
        self.bind(Value::Bytes(bytes))
    }

    /// Binds a value as JSON text.
    pub(crate) fn json<T: serde::Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => self.text(&text),
            Err(error) => {
                self.arguments = Err(error.into());
                self
            }
        }
    }

    /// Binds rows as the last parameters.
    pub(crate) fn rows<R: BulkRow>(mut self, rows: &[R]) -> Self {
        self.arguments = self.arguments.and_then(|mut arguments| {
            D::bind_rows(&mut arguments, rows)?;
            Ok(arguments)
        });
        self
    }

    /// Binds a value as JSON text, or null.
    pub(crate) fn opt_json<T: serde::Serialize>(self, value: Option<&T>) -> Self {
        match value {
            Some(value) => self.json(value),
            None => self.opt_text(None),
        }
    }

    /// Runs the statement and returns how many rows it changed.
    pub(crate) async fn execute(self, connection: &mut D::Connection) -> Result<u64, StoreError> {
        let arguments = self.arguments.map_err(sqlx::Error::Encode)?;
        Ok(D::execute(connection, self.sql, arguments).await?)
    }

    /// Runs the statement and returns all rows.
    pub(crate) async fn fetch_all(self, connection: &mut D::Connection) -> Result<Vec<Row<D>>, StoreError> {
        let arguments = self.arguments.map_err(sqlx::Error::Encode)?;
        let rows = D::fetch_all(connection, self.sql, arguments).await?;
        Ok(rows.into_iter().map(Row::new).collect())
    }

    /// Runs the statement and returns its first row.
    pub(crate) async fn fetch_optional(
        self,
        connection: &mut D::Connection,
    ) -> Result<Option<Row<D>>, StoreError> {
        Ok(self.fetch_all(connection).await?.into_iter().next())
    }
}
