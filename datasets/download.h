// Downloads a data set from its authors: resumes what an earlier run left, checks size and checksum, and only then
// gives the file its name. Called by `fastdeepiot data download`.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fdi::datasets {

struct DownloadSource {
  std::string name;  // "cifar10"
  std::string file;  // "cifar-10-binary.tar.gz"
  std::string url;
  std::string md5;    // 32 hexadecimal digits, as the authors publish it
  int64_t bytes = 0;  // 0: not known beforehand
};

const std::vector<DownloadSource>& download_sources();
// Throws Error that lists the known names. $FASTDEEPIOT_URL, where set, replaces the address (a mirror).
DownloadSource find_download(const std::string& name);

// (bytes so far, bytes in all or 0 where not known yet), several times a second.
using DownloadProgress = std::function<void(int64_t, int64_t)>;

// Fetches into `folder`/<file>, by way of <file>.part; returns the path. A file that is there with the right checksum
// is kept. Throws Error for no network, an HTTP error, a full disk, a wrong size or checksum (the file is removed
// then).
std::string download(const DownloadSource& source, const std::string& folder, const DownloadProgress& progress = {});

std::string default_download_folder(const std::string& name);  // ~/.cache/fastdeepiot/<name>
std::string md5_of_file(const std::string& path);              // 32 hexadecimal digits

}  // namespace fdi::datasets
