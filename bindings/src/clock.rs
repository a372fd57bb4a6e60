//! Reads the device's clocks. No other file of the bindings does, and apps do not pass the time.
//!
//! The wall clock may be set while the app runs. The monotonic clock counts on through sleep and cannot be set; it starts
//! anew with each boot, which has an id of its own.

use std::time::SystemTime;

use voelgoed_scan_core::client::Clock;

use crate::Timestamp;

/// The clocks of the platform.
pub(crate) struct PlatformClock;

impl Clock for PlatformClock {
    fn now(&self) -> Timestamp {
        now()
    }

    fn monotonic_ms(&self) -> Option<u64> {
        monotonic_ms()
    }

    fn boot_id(&self) -> Option<String> {
        boot_id()
    }
}

/// Returns the current time of the device's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the clock"
)]
pub(crate) fn now() -> Timestamp {
    crate::custom_types::timestamp(SystemTime::now())
}

/// Returns the milliseconds since the boot, with the time in which the device slept. `None` where there is no such clock.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn monotonic_ms() -> Option<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is valid for the call, and the call writes only to it.
    if unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) } != 0 {
        return None;
    }
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let millis = u64::try_from(time.tv_nsec / 1_000_000).ok()?;
    seconds.checked_mul(1000)?.checked_add(millis)
}

/// Returns the id of this boot.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// Returns the milliseconds since the boot, with the time in which the device slept.
#[cfg(target_vendor = "apple")]
fn monotonic_ms() -> Option<u64> {
    #[repr(C)]
    struct Timebase {
        numerator: u32,
        denominator: u32,
    }
    unsafe extern "C" {
        fn mach_continuous_time() -> u64;
        fn mach_timebase_info(info: *mut Timebase) -> libc::c_int;
    }
    let mut timebase = Timebase {
        numerator: 0,
        denominator: 0,
    };
    // SAFETY: the pointer is valid for the call, and the call writes only to it.
    if unsafe { mach_timebase_info(&raw mut timebase) } != 0 || timebase.denominator == 0 {
        return None;
    }
    // SAFETY: the function takes nothing and only reads a clock.
    let ticks = u128::from(unsafe { mach_continuous_time() });
    let nanos = ticks * u128::from(timebase.numerator) / u128::from(timebase.denominator);
    u64::try_from(nanos / 1_000_000).ok()
}

/// Returns the id of this boot.
#[cfg(target_vendor = "apple")]
fn boot_id() -> Option<String> {
    let mut bytes = [0_u8; 64];
    let mut length = bytes.len();
    // SAFETY: the name ends with a zero byte, and both pointers are valid for the call, which writes at most `length`
    // bytes.
    let result = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            bytes.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    let text = bytes.get(..length).filter(|_| result == 0)?;
    let text = std::str::from_utf8(text).ok()?.trim_end_matches('\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns nothing: this platform has no clock that counts through sleep.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn monotonic_ms() -> Option<u64> {
    None
}

/// Returns nothing: this platform has no id of the boot.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn boot_id() -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back_and_the_boot_has_one_id() {
        let first = monotonic_ms().expect("a monotonic clock");
        let second = monotonic_ms().expect("a monotonic clock");
        assert!(first > 0 && second >= first);
        let uptime = std::fs::read_to_string("/proc/uptime").expect("the uptime");
        let hundredths = uptime
            .split(' ')
            .next()
            .expect("the first number")
            .replace('.', "");
        let uptime_ms = hundredths.parse::<u64>().expect("a number") * 10;
        let third = monotonic_ms().expect("a monotonic clock");
        assert!(
            uptime_ms + 10 >= second && uptime_ms <= third,
            "{second} ms, {uptime_ms} ms, {third} ms"
        );
        let id = boot_id().expect("a boot id");
        assert_eq!(id.len(), 36, "a UUID");
        assert_eq!(Some(id), boot_id());
    }
}
