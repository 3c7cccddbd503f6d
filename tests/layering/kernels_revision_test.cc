// The reminder beside kKernelsRevision (device/version.h): tests/layering/kernels_confirmed.txt holds a hash of each
// source that decides how long inference takes, as of the revision in its first line. The hashes are of contents alone,
// without comments, spaces, includes and namespaces, and in no order but their own: a file may be moved or renamed, and
// two branches that change different files merge line by line.
// With FASTDEEPIOT_CONFIRM_KERNELS=1 the test writes the file instead.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "device/version.h"

namespace {

namespace fs = std::filesystem;

// All of kernels/ and nn/, and of core/ what binds threads and places memory; a new file counts until it is named here.
bool decides_times(const std::string& file) {
  static const std::regex no_part(
      "core/(error|file|progress|restart|rng|text)\\..*|"
      "nn/(batch_source|builder|checkpoint|distill|evaluate|loss|model_file|optimizer|schedule|spec_json|summary|"
      "train_config|trainer|unit_groups|zoo)\\..*");
  return !std::regex_match(file, no_part);
}

std::string without_noise(const std::string& source) {
  static const std::regex noise("#include[^\n]*|//[^\n]*|(using )?namespace [^\n;{]*[;{]");
  std::string text = std::regex_replace(source, noise, ""), out;
  std::ranges::copy_if(text, std::back_inserter(out), [](unsigned char c) { return std::isspace(c) == 0; });
  out.erase(out.find_last_not_of('}') + 1);  // the namespaces' ends
  return out;
}

std::string hash_of(const std::string& source) {  // FNV-1a
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : without_noise(source)) hash = (hash ^ c) * 0x100000001b3;
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, hash);
  return text;
}

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(KernelsRevision, OnlyWhatMayChangeTimesCounts) {
  const std::string source =
      "// A kernel.\n#include \"a/b.h\"\nnamespace fdi::a {\nint f() { return 1; }\n}  // namespace\n";
  EXPECT_EQ(hash_of(source),
            hash_of("#include \"c/b.h\"\nnamespace fdi::c {\n\nint f() {\n  return 1;  // one\n}\n}\n"));
  EXPECT_NE(hash_of(source), hash_of("namespace fdi::a {\nint f() { return 2; }\n}\n"));
  EXPECT_TRUE(decides_times("nn/network.cc") && decides_times("nn/new_layer.cc") && decides_times("core/threads.cc"));
  EXPECT_FALSE(decides_times("nn/trainer.cc") || decides_times("core/file.h"));
}

TEST(KernelsRevision, IsConfirmedForTheSources) {
  const fs::path root = FDI_SOURCE_DIR, list = root / "tests/layering/kernels_confirmed.txt";
  const std::string first = "revision " + std::to_string(fdi::device::kKernelsRevision);
  std::vector<std::pair<std::string, std::string>> sources;  // hash, file
  for (const char* folder : {"core", "kernels", "nn"})
    for (const auto& entry : fs::directory_iterator(root / folder)) {
      const std::string file = entry.path().lexically_relative(root).generic_string();
      if ((file.ends_with(".cc") || file.ends_with(".h")) && decides_times(file))
        sources.emplace_back(hash_of(read(entry.path())), file);
    }
  ASSERT_GT(sources.size(), 40U);
  std::ranges::sort(sources);
  if (const char* confirm = std::getenv("FASTDEEPIOT_CONFIRM_KERNELS"); confirm != nullptr) {
    std::ofstream out(list);
    out << first << '\n';
    for (const auto& [hash, file] : sources) out << hash << '\n';
    return;
  }
  std::istringstream in(read(list));
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(line, first);
  std::multiset<std::string> confirmed;
  while (std::getline(in, line)) confirmed.insert(line);
  std::string changed;
  for (const auto& [hash, file] : sources)
    if (const auto found = confirmed.find(hash); found != confirmed.end())
      confirmed.erase(found);
    else
      changed += " " + file;
  EXPECT_TRUE(changed.empty() && confirmed.empty())
      << "changed since " << first << " was confirmed:" << changed << " (" << confirmed.size()
      << " confirmed sources are no more)\nIf a network may take another time now, add 1 to kKernelsRevision in "
         "device/version.h: stored readings and models then count as those of other kernels. In either case confirm:\n"
         "  FASTDEEPIOT_CONFIRM_KERNELS=1 build/tests/fdi_layering_tests --gtest_filter='KernelsRevision.*'";
}

}  // namespace
