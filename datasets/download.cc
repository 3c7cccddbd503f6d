// See the header. libcurl fetches, OpenSSL sums. The .part file is kept when the connection breaks, so that the next
// run goes on from there; it is removed only when its contents are wrong.
#include "datasets/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "core/error.h"
#include "core/file.h"

namespace fdi::datasets {
namespace {

namespace fs = std::filesystem;
constexpr auto kSystem = core::ErrorCode::kSystem;

struct Transfer {
  std::string part;
  int fd = -1;
  int64_t start = 0;    // bytes that were there before
  int64_t limit = 0;    // more than this is a wrong file, 0: no limit
  int write_error = 0;  // errno
  bool too_long = false;
  const DownloadProgress* progress = nullptr;
  int64_t written = 0;
  ~Transfer() {
    if (fd >= 0) ::close(fd);
  }
};

size_t on_data(const char* data, size_t, size_t bytes, void* self) {
  auto* t = static_cast<Transfer*>(self);
  if (t->limit > 0 && t->start + t->written + static_cast<int64_t>(bytes) > t->limit) {
    t->too_long = true;
    return 0;
  }
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = ::write(t->fd, data + done, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      t->write_error = errno;
      return 0;
    }
    done += static_cast<size_t>(n);
  }
  t->written += static_cast<int64_t>(bytes);
  return bytes;
}

int on_progress(void* self, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
  const auto* t = static_cast<Transfer*>(self);
  if (*t->progress) (*t->progress)(t->start + now, total > 0 ? t->start + total : t->limit);
  return 0;
}

int64_t size_or_zero(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

// One request, from the end of the .part file on. Returns false where the server cannot resume there: start anew.
bool fetch(const DownloadSource& source, Transfer& t) {
  t.start = size_or_zero(t.part);
  t.written = 0;
  t.fd = ::open(t.part.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (t.fd < 0) core::fail("{}: cannot write: {}; choose another folder", t.part, std::strerror(errno));
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(started == CURLE_OK ? curl_easy_init() : nullptr,
                                                    curl_easy_cleanup);
  if (curl == nullptr) core::fail_as(kSystem, "{}: the network library does not start", source.url);
  char reason[CURL_ERROR_SIZE] = "";
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  set(CURLOPT_URL, source.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "https,http,file");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "https,http");
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, 20L);
  set(CURLOPT_LOW_SPEED_LIMIT, 1024L);  // bytes/s, for ...
  set(CURLOPT_LOW_SPEED_TIME, 30L);     // ... seconds: the connection is dead
  set(CURLOPT_USERAGENT, "fastdeepiot");
  set(CURLOPT_ERRORBUFFER, reason);
  set(CURLOPT_WRITEFUNCTION, on_data);
  set(CURLOPT_WRITEDATA, &t);
  set(CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(t.start));
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, on_progress);
  set(CURLOPT_XFERINFODATA, &t);
  const CURLcode code = curl_easy_perform(curl.get());
  const int closed = ::close(t.fd);
  t.fd = -1;
  if (t.write_error == 0 && closed != 0) t.write_error = errno;
  if (t.write_error != 0)
    core::fail_as(kSystem, "{}: cannot write: {}; {}, then run the command again to go on", t.part,
                  std::strerror(t.write_error), t.write_error == ENOSPC ? "free some space" : "choose another folder");
  if (t.too_long || code == CURLE_OK) return true;  // the caller checks size and sum
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (t.start > 0 && (code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME || status == 416)) return false;
  if (t.start + t.written == 0) ::unlink(t.part.c_str());
  if (code == CURLE_HTTP_RETURNED_ERROR)
    core::fail_as(kSystem, "{}: the server answers {}; check $FASTDEEPIOT_URL or try later", source.url, status);
  if (code == CURLE_FILE_COULDNT_READ_FILE) core::fail("{}: no such file; check $FASTDEEPIOT_URL", source.url);
  const char* text = *reason != '\0' ? reason : curl_easy_strerror(code);
  if (t.written > 0)
    core::fail_as(kSystem, "{}: broken off after {} bytes: {}; run the command again to go on", source.url,
                  t.start + t.written, text);
  core::fail_as(kSystem, "{}: cannot fetch: {}; check the network, or fetch {} by hand and give its folder to --data",
                source.url, text, source.file);
}

}  // namespace

const std::vector<DownloadSource>& download_sources() {
  static const std::vector<DownloadSource> sources{{"cifar10", "cifar-10-binary.tar.gz",
                                                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                                                    "c32a1d4ab5d03f1284b67883e8d87530", 170052171}};
  return sources;
}

DownloadSource find_download(const std::string& name) {
  std::string known;
  for (DownloadSource source : download_sources()) {
    if (source.name == name) {
      if (const char* url = std::getenv("FASTDEEPIOT_URL"); url != nullptr && *url != '\0') source.url = url;
      return source;
    }
    known += (known.empty() ? "" : ", ") + source.name;
  }
  core::fail("data download '{}': unknown set; wanted one of: {}", name, known);
}

std::string default_download_folder(const std::string& name) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') core::fail("HOME is not set; give the folder to download to");
  return fmt::format("{}/.cache/fastdeepiot/{}", home, name);
}

std::string md5_of_file(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) core::fail("{}: cannot read: {}", path, std::strerror(errno));
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) != 1)
    core::fail_as(kSystem, "{}: OpenSSL offers no MD5 here, so the file cannot be checked", path);
  std::array<unsigned char, 64 << 10> buffer;
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get()))
    EVP_DigestUpdate(context.get(), buffer.data(), n);
  if (std::ferror(file.get()) != 0) core::fail("{}: cannot read: {}", path, std::strerror(errno));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &length);
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string download(const DownloadSource& source, const std::string& folder, const DownloadProgress& progress) {
  std::string path = (fs::path(folder) / source.file).string();
  const auto is_there = [&] {
    if (!core::path_exists(path)) return false;
    if (const std::string md5 = md5_of_file(path); md5 != source.md5)
      core::fail("{}: is there with checksum {}, wanted {}; remove it and run the command again", path, md5,
                 source.md5);
    return true;
  };
  if (is_there()) return path;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) core::fail("{}: cannot make this folder: {}; choose another one", folder, error.message());
  const core::FileLock lock(fmt::format("{}/.{}.fastdeepiot-lock", folder, source.file), "fastdeepiot data download");
  if (lock.state() == core::FileLock::State::kBusy)
    core::fail("{}: being downloaded by {}; wait for it to end", path, lock.holder());
  if (is_there()) return path;  // another process was faster
  Transfer t;
  t.part = path + ".part";
  t.limit = source.bytes;
  t.progress = &progress;
  // A complete .part (the run ended before the rename) needs no request at all.
  const bool complete = source.bytes > 0 && size_or_zero(t.part) == source.bytes;
  if (!complete && !fetch(source, t)) {
    ::unlink(t.part.c_str());  // the server cannot go on there: from the start
    if (!fetch(source, t)) core::fail_as(kSystem, "{}: the server refuses the request; try later", source.url);
  }
  const int64_t size = size_or_zero(t.part);
  if (t.too_long || (source.bytes > 0 && size != source.bytes)) {
    ::unlink(t.part.c_str());
    core::fail_as(kSystem, "{}: gave {} {} bytes, wanted {}; the file was removed; check $FASTDEEPIOT_URL", source.url,
                  t.too_long ? "more than" : "only", t.too_long ? source.bytes : size, source.bytes);
  }
  if (const std::string md5 = md5_of_file(t.part); md5 != source.md5) {
    ::unlink(t.part.c_str());
    core::fail_as(kSystem, "{}: the fetched file has checksum {}, wanted {}; it was removed; run the command again",
                  source.url, md5, source.md5);
  }
  fs::rename(t.part, path, error);
  if (error) core::fail_as(kSystem, "{}: cannot rename {} to it: {}", path, t.part, error.message());
  return path;
}

}  // namespace fdi::datasets
