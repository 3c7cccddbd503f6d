// Downloads from file:// and from a small HTTP server in this process: resume, checksums, and what can go wrong.
#include "datasets/download.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include "core/file.h"
#include "tests/datasets/files.h"

namespace fdi::datasets {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Serves one body on 127.0.0.1, answers ranges, one connection a request.
class Server {
 public:
  enum class Manner { kRanges, kNoRanges, kBreakOffHalfWay, kNotFound };
  Server(Bytes body, Manner manner) : body_(std::move(body)), manner_(manner) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listener_, 4);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { run(); });
  }
  ~Server() {
    ::shutdown(listener_, SHUT_RDWR);  // wakes accept()
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/data.bin"; }
  std::atomic<int> requests{0};
  std::atomic<int64_t> first_byte{0};  // of the latest request

 private:
  void run() {
    for (int fd; (fd = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(fd)) {
      std::string request;
      char piece[512];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::recv(fd, piece, sizeof(piece), 0);
        if (n <= 0) break;
        request.append(piece, static_cast<size_t>(n));
      }
      ++requests;
      size_t from = 0;
      if (const size_t range = request.find("Range: bytes="); range != std::string::npos)
        from = std::stoul(request.substr(range + 13));
      first_byte = static_cast<int64_t>(from);
      std::string head = "HTTP/1.1 200 OK\r\n";
      if (manner_ == Manner::kNoRanges) from = 0;
      if (from > 0)
        head = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + std::to_string(from) + "-" +
               std::to_string(body_.size() - 1) + "/" + std::to_string(body_.size()) + "\r\n";
      if (from >= body_.size()) head = "HTTP/1.1 416 Range Not Satisfiable\r\n", from = body_.size();
      if (manner_ == Manner::kNotFound) head = "HTTP/1.1 404 Not Found\r\n", from = body_.size();
      head += "Content-Length: " + std::to_string(body_.size() - from) + "\r\nConnection: close\r\n\r\n";
      size_t end = body_.size();
      if (manner_ == Manner::kBreakOffHalfWay) end = from + (end - from) / 2;
      ::send(fd, head.data(), head.size(), MSG_NOSIGNAL);
      ::send(fd, body_.data() + from, end - from, MSG_NOSIGNAL);
    }
  }
  Bytes body_;
  Manner manner_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::jthread thread_;
};

class DownloadTest : public DatasetFiles {
 protected:
  void SetUp() override {
    DatasetFiles::SetUp();
    for (int i = 0; i < 100000; ++i) body_.push_back(static_cast<uint8_t>(i * 7 + i / 251));
    source_ = {"set", "data.bin", "file://" + write("origin.bin", body_), "", static_cast<int64_t>(body_.size())};
    source_.md5 = md5_of_file(path("origin.bin"));
  }
  std::string run() { return download(source_, path("cache")); }
  std::string failure() {
    return message_of([&] { run(); });
  }
  Bytes first(size_t n) const { return {body_.begin(), body_.begin() + static_cast<long>(n)}; }
  Bytes body_;
  DownloadSource source_;
};

TEST_F(DownloadTest, Md5IsTheUsualOne) {
  EXPECT_EQ(md5_of_file(write("abc", {'a', 'b', 'c'})), "900150983cd24fb0d6963f7d28e17f72");
}

TEST_F(DownloadTest, FetchesOnceAndReportsProgress) {
  int64_t last = 0;
  EXPECT_EQ(download(source_, path("cache"), [&](int64_t now, int64_t) { last = now; }), path("cache/data.bin"));
  EXPECT_EQ(last, 100000);
  EXPECT_EQ(read_bytes(path("cache/data.bin")), body_);
  EXPECT_FALSE(fs::exists(path("cache/data.bin.part")));
  source_.url = "file:///nowhere";
  EXPECT_EQ(run(), path("cache/data.bin")) << "what is there is kept";
}

TEST_F(DownloadTest, GoesOnFromThePartialFile) {
  write("cache/data.bin.part", first(60000));
  run();
  EXPECT_EQ(read_bytes(path("cache/data.bin")), body_);
  Server server(body_, Server::Manner::kRanges);
  source_.url = server.url();
  fs::remove(path("cache/data.bin"));
  write("cache/data.bin.part", first(70000));
  run();
  EXPECT_EQ(server.first_byte, 70000);
  EXPECT_EQ(read_bytes(path("cache/data.bin")), body_);
}

TEST_F(DownloadTest, ABrokenConnectionKeepsWhatCame) {
  Server server(body_, Server::Manner::kBreakOffHalfWay);
  source_.url = server.url();
  EXPECT_THAT(failure(), AllOf(HasSubstr(server.url()), HasSubstr("broken off after 50000 bytes"),
                               HasSubstr("run the command again to go on")));
  EXPECT_EQ(read_bytes(path("cache/data.bin.part")), first(50000));
  EXPECT_THAT(failure(), HasSubstr("broken off after 75000 bytes"));
  EXPECT_FALSE(fs::exists(path("cache/data.bin")));
}

TEST_F(DownloadTest, AServerWithoutRangesStartsAnew) {
  Server server(body_, Server::Manner::kNoRanges);
  source_.url = server.url();
  write("cache/data.bin.part", first(30000));
  run();
  EXPECT_EQ(read_bytes(path("cache/data.bin")), body_);
  EXPECT_EQ(server.requests, 2);
}

TEST_F(DownloadTest, ACompletePartIsOnlyChecked) {
  write("cache/data.bin.part", body_);
  source_.url = "file:///nowhere";
  run();
  EXPECT_EQ(read_bytes(path("cache/data.bin")), body_);
}

TEST_F(DownloadTest, AWrongChecksumRemovesTheFile) {
  Bytes wrong = first(60000);
  wrong[100] ^= 1;
  write("cache/data.bin.part", wrong);
  EXPECT_THAT(failure(), AllOf(HasSubstr("has checksum"), HasSubstr("wanted " + source_.md5), HasSubstr("was removed"),
                               HasSubstr("run the command again")));
  EXPECT_FALSE(fs::exists(path("cache/data.bin.part")));
  EXPECT_FALSE(fs::exists(path("cache/data.bin")));
  run();  // the second attempt starts from nothing
  write("cache/data.bin", first(10));
  EXPECT_THAT(failure(), AllOf(HasSubstr("cache/data.bin: is there with checksum"), HasSubstr("remove it")));
  EXPECT_EQ(read_bytes(path("cache/data.bin")).size(), 10u) << "a file of the user's is not removed";
}

TEST_F(DownloadTest, AWrongSizeIsNoticed) {
  source_.bytes = 90000;
  EXPECT_THAT(failure(), AllOf(HasSubstr("gave more than 90000 bytes"), HasSubstr("was removed")));
  source_.bytes = 110000;
  EXPECT_THAT(failure(), AllOf(HasSubstr("gave only 100000 bytes, wanted 110000")));
  EXPECT_FALSE(fs::exists(path("cache/data.bin.part")));
}

TEST_F(DownloadTest, ServersThatAreNotThere) {
  {
    Server server(body_, Server::Manner::kNotFound);
    source_.url = server.url();
    EXPECT_THAT(failure(),
                AllOf(HasSubstr(source_.url), HasSubstr("the server answers 404"), HasSubstr("$FASTDEEPIOT_URL")));
  }
  EXPECT_THAT(failure(), AllOf(HasSubstr(source_.url + ": cannot fetch"), HasSubstr("check the network"),
                               HasSubstr("--data")));  // its port is closed now
  EXPECT_FALSE(fs::exists(path("cache/data.bin.part"))) << "no empty leftover";
  source_.url = "file://" + path("none");
  EXPECT_THAT(failure(), HasSubstr("none: "));
  source_.url = "ftp://127.0.0.1/x";
  EXPECT_THAT(failure(), HasSubstr("cannot fetch"));
}

TEST_F(DownloadTest, AFullDiskIsAnErrorThatKeepsThePart) {
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 40000;  // a write past this fails like one on a full disk
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = failure();
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message,
              AllOf(HasSubstr("data.bin.part: cannot write: File too large"), HasSubstr("run the command again")));
  EXPECT_EQ(read_bytes(path("cache/data.bin.part")), first(40000));
  run();
  EXPECT_EQ(read_bytes(path("cache/data.bin")), body_);
}

TEST_F(DownloadTest, OneProcessAtATime) {
  fs::create_directories(path("cache"));
  {
    const core::FileLock other(path("cache/.data.bin.fastdeepiot-lock"), "fastdeepiot data download");
    EXPECT_THAT(failure(), AllOf(HasSubstr("cache/data.bin: being downloaded by process "), HasSubstr("wait for it")));
  }
  run();
  EXPECT_FALSE(fs::exists(path("cache/.data.bin.fastdeepiot-lock")));
  const core::FileLock other(path("cache/.data.bin.fastdeepiot-lock"), "fastdeepiot data download");
  EXPECT_EQ(run(), path("cache/data.bin")) << "what is there needs no lock";
}

TEST_F(DownloadTest, FoldersThatCannotBeMadeAndUnknownNames) {
  write("cache", {});  // a file stands in the way
  EXPECT_THAT(failure(), AllOf(HasSubstr("cache: "), HasSubstr("folder")));
  EXPECT_THAT(message_of([] { find_download("mnist"); }),
              AllOf(HasSubstr("'mnist'"), HasSubstr("wanted one of: cifar10")));
  ::setenv("FASTDEEPIOT_URL", "file:///mirror", 1);
  EXPECT_EQ(find_download("cifar10").url, "file:///mirror");
  ::unsetenv("FASTDEEPIOT_URL");
  EXPECT_EQ(find_download("cifar10").md5.size(), 32u);
}

}  // namespace
}  // namespace fdi::datasets
