//! Opens Redis.

use std::fs;

use voelgoed_scan_core::bus::{RedisConnection, RedisSetupError};

use super::StartError;
use crate::config::{Config, RedisKeys};

/// Redis as it is configured. A server that does not answer may start later; what a node cannot work with is refused.
pub(super) async fn open(config: &Config) -> Result<Option<RedisConnection>, StartError> {
    let ca_error = |reason: String| StartError::RedisCa {
        path: config.redis_ca.clone().unwrap_or_default(),
        reason,
    };
    let ca = config.redis_ca.as_ref().map(fs::read).transpose();
    let ca = ca.map_err(|error| ca_error(error.to_string()))?;
    let Some(url) = config.redis_url.as_deref() else {
        return match ca {
            None => Ok(None),
            Some(_) => Err(ca_error("there is no --redis-url".to_owned())),
        };
    };
    let redis = RedisConnection::new(url, ca.as_deref()).map_err(|error| match error {
        RedisSetupError::InvalidCa | RedisSetupError::CaWithoutTls => ca_error(error.to_string()),
        other => StartError::Redis(other),
    })?;
    redis.check().await?;
    Ok(Some(match config.redis_keys {
        RedisKeys::Own => redis,
        RedisKeys::Platform => redis.with_platform_keys(),
    }))
}
