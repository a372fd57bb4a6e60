//! Typed access to the columns of a row. A value that its type does not allow is [`StoreError::Failed`]: this version
//! does not write it.

use std::str::FromStr;

use uuid::Uuid;

use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::sql::Dialect;

/// A row of a result.
pub(crate) struct Row<D: Dialect>(D::Row);

impl<D: Dialect> Row<D> {
    pub(crate) fn new(row: D::Row) -> Self {
        Self(row)
    }

    pub(crate) fn id<T: From<Uuid>>(&self, column: &str) -> Result<T, StoreError> {
        self.opt_id(column)?.ok_or_else(|| null(column))
    }

    pub(crate) fn opt_id<T: From<Uuid>>(&self, column: &str) -> Result<Option<T>, StoreError> {
        Ok(D::id(&self.0, column)?.map(T::from))
    }

    pub(crate) fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| null(column))
    }

    pub(crate) fn opt_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(D::int(&self.0, column)?)
    }

    /// An integer of a narrower type.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        self.opt_number(column)?.ok_or_else(|| null(column))
    }

    pub(crate) fn opt_number<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.opt_int(column)?
            .map(|int| T::try_from(int).map_err(|_| invalid(column, "out of range")))
            .transpose()
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_millis)
    }

    pub(crate) fn opt_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_millis))
    }

    pub(crate) fn opt_float(&self, column: &str) -> Result<Option<f64>, StoreError> {
        Ok(D::float(&self.0, column)?)
    }

    pub(crate) fn bool(&self, column: &str) -> Result<bool, StoreError> {
        Ok(D::bool(&self.0, column)?)
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        self.str(column).map(str::to_owned)
    }

    pub(crate) fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(self.opt_str(column)?.map(str::to_owned))
    }

    fn str(&self, column: &str) -> Result<&str, StoreError> {
        self.opt_str(column)?.ok_or_else(|| null(column))
    }

    fn opt_str(&self, column: &str) -> Result<Option<&str>, StoreError> {
        Ok(D::text(&self.0, column)?)
    }

    /// Bytes of any length.
    pub(crate) fn blob(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        D::bytes(&self.0, column)?.ok_or_else(|| null(column))
    }

    pub(crate) fn bytes<const N: usize>(&self, column: &str) -> Result<[u8; N], StoreError> {
        self.opt_bytes(column)?.ok_or_else(|| null(column))
    }

    pub(crate) fn opt_bytes<const N: usize>(&self, column: &str) -> Result<Option<[u8; N]>, StoreError> {
        let bytes = D::bytes(&self.0, column)?;
        bytes
            .map(|bytes| bytes.try_into().map_err(|_| invalid(column, "of another length")))
            .transpose()
    }

    /// A text that is parsed into a type.
    pub(crate) fn parse<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.str(column)?
            .parse()
            .map_err(|_| invalid(column, "not of its type"))
    }

    pub(crate) fn opt_parse<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let text = self.opt_str(column)?;
        text.map(|text| text.parse().map_err(|_| invalid(column, "not of its type")))
            .transpose()
    }

    /// A text that is parsed as JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_str(self.str(column)?).map_err(|_| invalid(column, "not of its type"))
    }

    pub(crate) fn opt_json<T: serde::de::DeserializeOwned>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.opt_str(column)?;
        text.map(|text| serde_json::from_str(text).map_err(|_| invalid(column, "not of its type")))
            .transpose()
    }
}

fn null(column: &str) -> StoreError {
    invalid(column, "null")
}

fn invalid(column: &str, what: &str) -> StoreError {
    StoreError::failed(format!("column {column} is {what}"))
}
