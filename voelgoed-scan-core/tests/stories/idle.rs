//! Keeps virtual time still while a database thread works.
//!
//! The runtime of a story has a paused clock: as soon as it has nothing to run, it advances to the next timer. But sqlx
//! runs each SQLite connection on a thread of its own, which the runtime does not know. Without this module a timeout would
//! end while the database answers. The runtime calls [`wait_for_databases`] before it parks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use parking_lot::Mutex;

/// The threads of this process, by their ids.
#[derive(Default)]
pub(crate) struct Threads(Mutex<HashMap<String, Thread>>);

/// The files of a thread in `/proc`.
struct Thread {
    stat: File,
    /// What the thread waits for in the kernel. Absent where the system does not tell.
    wchan: Option<File>,
}

impl Threads {
    /// Returns as soon as every thread waits for its next command. What it answered has then woken the runtime.
    ///
    /// A thread that waits for a lock sleeps, too, and its holder may have gone to sleep by the time at which it is looked
    /// at. So all of them must sleep twice in a row.
    pub(crate) fn wait_for_databases(&self) {
        let own = own_thread();
        let mut quiet = 0;
        while quiet < 2 {
            if self.is_any_at_work(own.as_deref()) {
                quiet = 0;
                std::thread::yield_now();
            } else {
                quiet += 1;
            }
        }
    }

    fn is_any_at_work(&self, own: Option<&str>) -> bool {
        let mut threads = self.0.lock();
        let Ok(listed) = std::fs::read_dir("/proc/self/task") else {
            panic!("the stories need /proc, to know whether a database thread works");
        };
        let ids: Vec<String> = listed
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        threads.retain(|id, _| ids.contains(id));
        for id in ids {
            if let Entry::Vacant(place) = threads.entry(id) {
                let directory = PathBuf::from("/proc/self/task").join(place.key());
                if let Ok(stat) = File::open(directory.join("stat")) {
                    let wchan = File::open(directory.join("wchan")).ok();
                    place.insert(Thread { stat, wchan });
                }
            }
        }
        // Any thread: one that only frees memory may hold a lock that a database thread waits for.
        let others = threads.iter().filter(|(id, _)| Some(id.as_str()) != own);
        others
            .filter_map(|(_, thread)| is_asleep(thread))
            .any(|asleep| !asleep)
    }
}

/// The id of the calling thread.
fn own_thread() -> Option<String> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}

/// Whether a thread waits. `None` if it has ended.
fn is_asleep(thread: &Thread) -> Option<bool> {
    // Such as `1234 (sqlx-sqlite-wor) S 1 ...`.
    let stat = read(&thread.stat)?;
    let (_, rest) = stat.rsplit_once(") ")?;
    // SQLite sleeps for a moment where another connection still has the file.
    let is_pausing = || {
        let wchan = thread.wchan.as_ref().and_then(read);
        wchan.is_some_and(|wchan| wchan.contains("nanosleep"))
    };
    Some(rest.starts_with('S') && !is_pausing())
}

fn read(file: &File) -> Option<String> {
    let mut bytes = [0; 96];
    let length = file.read_at(&mut bytes, 0).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}
