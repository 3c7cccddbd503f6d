// What SQLite refuses, as a cause and a remedy.
#include <cstring>

#include "core/file.h"
#include "profile/store_statement.h"

namespace fdi::profile {
namespace {

// SQLite takes a disk that knows no locks for a file that somebody else has locked.
bool knows_locks(const std::string& path) {
  try {
    return core::FileLock(path + ".lock-test", "").state() != core::FileLock::State::kUnsupported;
  } catch (const core::Error&) {
    return true;  // a folder that may not be written tells nothing
  }
}

[[noreturn]] void fail_without_locks(const std::string& path, const std::string& reason) {
  core::fail_as(
      core::ErrorCode::kSystem,
      "{}: this disk gives no file locks, or no memory shared between processes{}, like many network disks, and a "
      "database needs both: give a file on a local disk with --db or FASTDEEPIOT_DB",
      path, reason);
}

}  // namespace

void Store::fail(int code) {
  using core::ErrorCode;
  const int extended = db_ == nullptr ? code : sqlite3_extended_errcode(db_);
  const int error = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
  const std::string reason = error == 0 ? "" : fmt::format(" ({})", std::strerror(error));
  switch (extended) {
    case SQLITE_IOERR_WRITE:  // a quota or a limit on the size of files
      code = SQLITE_FULL;
      break;
    case SQLITE_IOERR_LOCK:
    case SQLITE_IOERR_RDLOCK:
    case SQLITE_IOERR_UNLOCK:
    case SQLITE_IOERR_CHECKRESERVEDLOCK:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMMAP:
    case SQLITE_IOERR_SHMLOCK:
      fail_without_locks(path_, reason);
    default:
      break;
  }
  switch (code & 0xFF) {
    case SQLITE_PROTOCOL:  // shared memory that does not hold what was just written to it
      fail_without_locks(path_, reason);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      if (!knows_locks(path_)) fail_without_locks(path_, reason);
      core::fail_as(ErrorCode::kSystem,
                    "{}: locked by another process for more than {} s; let it end, or give another file with --db",
                    path_, wait_seconds_);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      core::fail(
          "{}: damaged, or no SQLite database; it was left as it is: rename it and start a new one, or restore a copy "
          "(`sqlite3 FILE .recover` may save what it holds)",
          path_);
    case SQLITE_FULL:
      core::fail_as(
          ErrorCode::kSystem,
          "{}: the disk or a quota is full; what was measured is kept: make room and give the same command again",
          path_);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      if (access_ == Access::kRead && has_log())
        core::fail(
            "{}: cannot be read where it is: a part of it is in {}-wal, which SQLite reads in a folder that may be "
            "written; copy both to one, and name the copy with --db",
            path_, path_);
      if (access_ == Access::kRead) core::fail("{}: cannot be read{}; give another file with --db", path_, reason);
      core::fail("{}: cannot be opened for writing{}; give another file with --db", path_, reason);
    default:
      core::fail_as(ErrorCode::kSystem,
                    "{}: the database fails: {}{}; see whether its disk is well, or give another "
                    "file with --db",
                    path_, db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_), reason);
  }
}

}  // namespace fdi::profile
