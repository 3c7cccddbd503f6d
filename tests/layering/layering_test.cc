// Who may include whom: scans every `#include "` line of the tree against the design's table, because a shared include
// root alone does not police it. A folder that is missing here is a folder that the design does not have.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Folders = std::set<std::string>;

const std::map<std::string, Folders>& allowed() {
  static const std::map<std::string, Folders> table = {
      {"core", {}},
      {"kernels", {"core"}},
      {"nn", {"core", "kernels"}},
      {"datasets", {"core"}},
      {"device", {"core", "kernels", "nn"}},
      {"profile", {"core", "nn", "device"}},
      {"compress", {"core", "nn", "device", "profile"}},
      {"bench", {"core", "kernels", "nn", "datasets", "device", "profile", "compress"}},
      {"cli", {"core", "kernels", "nn", "datasets", "device", "profile", "compress", "bench"}},
      // A test may use everything; bench is left to the tests of bench and of the program (below).
      {"tests", {"core", "kernels", "nn", "datasets", "device", "profile", "compress", "cli"}},
  };
  return table;
}

// What is wrong with one include of a file of `folder`; empty when nothing is.
std::string violation(const std::string& file, const std::string& include) {
  const std::string folder = file.substr(0, file.find('/'));
  if (include.find("..") != std::string::npos) return "a relative path; includes start at the root of the tree";
  const size_t slash = include.find('/');
  if (slash == std::string::npos) return "no folder; includes start at the root of the tree";
  const std::string target = include.substr(0, slash);
  const auto row = allowed().find(folder);
  if (row == allowed().end()) return "the folder " + folder + " has no row in the table";
  if (target == folder || row->second.contains(target)) return "";
  if (target == "bench" && file.starts_with("tests/bench/")) return "";
  return folder + " may not include " + target;
}

// Names between the quotes of all `#include "..."` lines.
std::vector<std::string> quoted_includes(std::istream& in) {
  std::vector<std::string> names;
  for (std::string line; std::getline(in, line);) {
    const size_t start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line[start] != '#') continue;
    const size_t word = line.find_first_not_of(" \t", start + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
    const size_t open = line.find('"', word);
    if (open == std::string::npos) continue;
    const size_t close = line.find('"', open + 1);
    if (close != std::string::npos) names.push_back(line.substr(open + 1, close - open - 1));
  }
  return names;
}

TEST(Layering, TheCheckSeesWhatIsWrong) {
  EXPECT_EQ(violation("nn/conv2d.cc", "kernels/conv.h"), "");
  EXPECT_EQ(violation("nn/conv2d.cc", "nn/layer.h"), "");
  EXPECT_NE(violation("kernels/conv.cc", "nn/layer.h"), "");
  EXPECT_NE(violation("core/file.cc", "kernels/isa.h"), "");
  EXPECT_NE(violation("nn/conv2d.cc", "../kernels/conv.h"), "");
  EXPECT_NE(violation("nn/conv2d.cc", "layer.h"), "");
  EXPECT_NE(violation("profile/measure.cc", "bench/gemm.h"), "");
  EXPECT_EQ(violation("cli/bench.cc", "bench/gemm.h"), "");
  EXPECT_EQ(violation("tests/bench/gemm_test.cc", "bench/gemm.h"), "");
  EXPECT_NE(violation("tests/nn/network_test.cc", "bench/gemm.h"), "");
  EXPECT_NE(violation("util/all.cc", "core/file.h"), "");

  std::istringstream text(
      "#include <vector>\n#include \"a/b.h\"\n  #  include \"c/d.h\"  // why\n// #include \"e/f.h\"\n");
  EXPECT_EQ(quoted_includes(text), (std::vector<std::string>{"a/b.h", "c/d.h"}));
}

TEST(Layering, TheTreeKeepsIt) {
  const fs::path root = FDI_SOURCE_DIR;
  int files = 0;
  for (const auto& [folder, may] : allowed()) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      ++files;
      const std::string file = entry.path().lexically_relative(root).generic_string();
      std::ifstream in(entry.path());
      for (const std::string& include : quoted_includes(in))
        EXPECT_EQ(violation(file, include), "") << file << " includes \"" << include << "\"";
    }
  }
  EXPECT_GT(files, 20);
}

}  // namespace
