// A file system without locks, e.g. NFS without a lock daemon: preloaded by tests/cli/run_folder_test.cc.
#include <cerrno>

extern "C" int flock(int, int) {
  errno = ENOLCK;
  return -1;
}
