// A database in a folder of its own, and what the tests put in.
#pragma once
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "profile/store.h"
#include "tests/message_of.h"
#include "tests/profile/samples.h"
#include "tests/temp_folder.h"

namespace fdi::profile {

class StoreFile : public ::testing::Test, public TempFolder {
 protected:
  void SetUp() override { path_ = (dir_ / "deep/er/f.db").string(); }
  std::string path_;
};

inline PassReading reading(size_t job, int pass, double us = 10) {
  PassReading r{job, pass, {}};
  r.reading.total = {us * 0.9, us, us * 1.1, 0.01, 20};
  r.reading.layers = {r.reading.total};
  r.reading.reference_us = 100.25;
  r.reading.cpu_share = 0.99;
  return r;
}

inline bool same(const PassReading& a, const PassReading& b) {
  return a.job == b.job && a.pass == b.pass && device::reading_to_json(a.reading) == device::reading_to_json(b.reading);
}

inline const nlohmann::json kRequest = {{"samples", 3}, {"seed", 1}};
// Jobs.
inline const std::vector<device::Job>& three() {
  static const std::vector<device::Job> jobs = [] {
    std::vector<device::Job> list;
    for (const device::Component& c : {conv(24, 3, 64), conv(24, 64, 7), conv(12, 1, 1)})
      list.push_back(device::job_of(std::span(&c, 1)));
    return list;
  }();
  return jobs;
}

}  // namespace fdi::profile
