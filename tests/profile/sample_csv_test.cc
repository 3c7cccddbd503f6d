// Samples as CSV: everything comes back as it was, and each kind of bad row is refused with its number.
#include <gmock/gmock.h>

#include "core/error.h"
#include "tests/profile/samples.h"

namespace fdi::profile {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Sample sample(const device::Component& component, double us) {
  return {component, {us * 0.9, us, us * 1.1, 0.0123456789, 21}, {us, us * 1.01, us / 3}};
}

SampleSet every_kind() {
  using nn::Op;
  SampleSet set{test_device(), {}};
  set.samples.push_back(sample(conv(24, 3, 64), 12.5));
  device::Component strided = conv(31, 7, 5);
  strided.layer.attr.stride = {2, 1};
  strided.layer.attr.kernel = {2, 3};
  strided.layer.attr.padding = nn::Padding::kValid;
  strided.layer.attr.bias = false;
  set.samples.push_back(sample(strided, 1e-3));
  set.samples.push_back(sample(component(Op::kFc, {{4096}}, 10), 1.0 / 3));
  set.samples.push_back(sample(component(Op::kFc, {{20, 120}}, 6), 3));
  device::Component gru = component(Op::kGru, {{20, 64}}, 120);
  gru.layer.attr.reset_after = false;
  set.samples.push_back(sample(gru, 1e7));
  set.samples.push_back(sample(component(Op::kLstm, {{8, 1}}, 1), 40));
  set.samples.push_back(sample(component(Op::kAdd, {{8, 8, 16}, {8, 8, 16}}), 5));
  device::Component concat = component(Op::kConcat, {{2, 8, 8, 16}, {2, 8, 8, 3}, {2, 8, 8, 1}});
  concat.layer.attr.axis = 3;
  set.samples.push_back(sample(concat, 6));
  device::Component norm = component(Op::kBatchNorm, {{8, 8, 16}});
  norm.layer.attr.epsilon = 1e-3F;
  set.samples.push_back(sample(norm, 7));
  set.samples.push_back(sample(component(Op::kTimeMean, {{8, 16}}), 7.5));
  return set;
}

TEST(SampleCsv, EverythingComesBack) {
  const SampleSet set = every_kind();
  const SampleSet back = parse_samples_csv(format_samples_csv(set), "f.csv");
  EXPECT_EQ(back.device, set.device);
  ASSERT_EQ(back.samples.size(), set.samples.size());
  for (size_t i = 0; i < set.samples.size(); ++i) {
    SCOPED_TRACE(i);
    const Sample &a = set.samples[i], &b = back.samples[i];
    EXPECT_EQ(a.component, b.component);
    EXPECT_EQ(a.time.median_us, b.time.median_us);
    EXPECT_EQ(a.time.mean_us, b.time.mean_us);
    EXPECT_EQ(a.time.min_us, b.time.min_us);
    EXPECT_EQ(a.time.rel_mad, b.time.rel_mad);
    EXPECT_EQ(a.time.runs, b.time.runs);
    EXPECT_EQ(a.pass_us, b.pass_us);
  }
}

TEST(SampleCsv, TheHeaderNamesEveryField) {
  const std::string text = format_samples_csv(every_kind());
  for (const char* name : {"op", "step", "in_height", "in_width", "in_channel", "out_channel", "kernel_height",
                           "kernel_width", "stride_height", "stride_width", "padding", "network_bytes", "median_us",
                           "mean_us", "min_us", "rel_mad", "runs"})
    EXPECT_THAT("," + text.substr(0, text.find('\n')) + ",", HasSubstr(std::string(",") + name + ","));
}

// The table as cells, so that a test changes one of them.
class Table {
 public:
  Table() {
    SampleSet set{test_device("plain"), {}};
    for (const int width : {16, 17, 18}) set.samples.push_back(sample(conv(24, 3, width), width));
    const std::string text = format_samples_csv(set);
    for (size_t at = 0; at < text.size();) {
      rows.emplace_back();
      for (const size_t end = text.find('\n', at); at <= end;) {
        const size_t stop = std::min(text.find(',', at), end);
        rows.back().push_back(text.substr(at, stop - at));
        at = stop + 1;
      }
    }
  }
  size_t column(const std::string& name) const {
    return static_cast<size_t>(std::find(rows[0].begin(), rows[0].end(), name) - rows[0].begin());
  }
  Table& set(size_t row, const std::string& name, const std::string& value) {
    rows[row - 1].at(column(name)) = value;
    return *this;
  }
  Table& drop(const std::string& name) {
    const auto at = static_cast<std::ptrdiff_t>(column(name));
    for (auto& row : rows) row.erase(row.begin() + at);
    return *this;
  }
  std::string text(const std::string& end = "\n") const {
    std::string out;
    for (const auto& row : rows) {
      for (const std::string& cell : row) out += (&cell == row.data() ? "" : ",") + cell;
      out += end;
    }
    return out;
  }
  std::vector<std::vector<std::string>> rows;
};

std::string refusal(const std::string& text) {
  try {
    parse_samples_csv(text, "f.csv");
  } catch (const core::Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(SampleCsv, BadRowsAreNamed) {
  const auto refused = [](const Table& table) { return refusal(table.text()); };
  EXPECT_EQ(refused(Table()), "accepted");
  for (const char* time : {"median_us", "mean_us", "min_us"})
    for (const char* bad : {"nan", "NaN", "0", "-1", "inf", "", "12 us", "0x10", "1e999"})
      EXPECT_THAT(refused(Table().set(3, time, bad)), AllOf(HasSubstr("f.csv: row 3: "), HasSubstr(time)));
  EXPECT_THAT(refused(Table().set(2, "min_us", "100")), HasSubstr("row 2: min_us 100 is above median_us"));
  EXPECT_THAT(refused(Table().set(4, "pass_us", "1;0")), HasSubstr("row 4: pass_us is '0'"));
  EXPECT_THAT(refused(Table().set(4, "pass_us", "1;")), HasSubstr("row 4: pass_us is ''"));
  EXPECT_THAT(refused(Table().set(2, "rel_mad", "-0.1")), HasSubstr("row 2: rel_mad"));
  EXPECT_THAT(refused(Table().set(2, "runs", "0")), HasSubstr("row 2: runs"));
  EXPECT_THAT(refused(Table().set(2, "op", "conv3d")), HasSubstr("row 2: op is 'conv3d'"));
  EXPECT_THAT(refused(Table().set(2, "in_channel", "0")), HasSubstr("row 2: in_channel is '0'"));
  EXPECT_THAT(refused(Table().set(2, "in_channel", "")), HasSubstr("row 2: in_channel"));
  EXPECT_THAT(refused(Table().set(2, "in_channel", "3;3")), HasSubstr("row 2: in_height has 1 numbers, in_channel 2"));
  EXPECT_THAT(refused(Table().set(2, "in_height", "99999999999999999999")), HasSubstr("row 2: in_height"));
  EXPECT_THAT(refused(Table().set(2, "kernel_width", "")), HasSubstr("row 2: kernel_width is empty"));
  EXPECT_THAT(refused(Table().set(2, "kernel_width", "x")), HasSubstr("row 2"));
  EXPECT_THAT(refused(Table().set(2, "axis", "1")), HasSubstr("row 2: axis is '1', but conv2d has none"));
  EXPECT_THAT(refused(Table().set(2, "padding", "full")), HasSubstr("row 2"));
  EXPECT_THAT(refused(Table().set(2, "network_bytes", "-5")), HasSubstr("row 2"));
  EXPECT_THAT(refused(Table().set(2, "kernel_height", "30").set(2, "padding", "valid")), HasSubstr("row 2"));
  EXPECT_THAT(refused(Table().set(4, "cpu", "other")), HasSubstr("row 4: is of another device"));
  EXPECT_THAT(refused(Table().set(4, "threads", "2")), HasSubstr("row 4: is of another device"));
  EXPECT_THAT(refused(Table().set(4, "threads", "many")), HasSubstr("row 4"));
}

// A network may have the same layer several times.
TEST(SampleCsv, EqualLayersAreSeveralSamples) {
  const SampleSet set = parse_samples_csv(Table().set(4, "out_channel", "16").text(), "f.csv");
  ASSERT_EQ(set.samples.size(), 3U);
  EXPECT_EQ(set.samples[0].component, set.samples[2].component);
  EXPECT_NE(set.samples[0].time.median_us, set.samples[2].time.median_us);
}

TEST(SampleCsv, BadTablesAreNamed) {
  EXPECT_THAT(refusal(""), HasSubstr("f.csv: is empty"));
  EXPECT_THAT(refusal("\n\n"), HasSubstr("f.csv: is empty"));
  EXPECT_THAT(refusal("name,age\nx,1\n"), HasSubstr("row 1: is no header of a table of samples (it begins 'name')"));
  EXPECT_THAT(refusal(Table().drop("rel_mad").drop("stride_width").text()),
              HasSubstr("f.csv: row 1: the header lacks stride_width, rel_mad"));
  EXPECT_THAT(refusal(Table().set(1, "in_width", "in_height").text()), HasSubstr("names in_height twice"));
  Table only_header;
  only_header.rows.resize(1);
  EXPECT_THAT(refusal(only_header.text()), HasSubstr("no samples"));
  Table ragged;
  ragged.rows[2].pop_back();
  EXPECT_THAT(refusal(ragged.text()), HasSubstr("row 3: has "));
  EXPECT_THAT(refusal(Table().set(2, "cpu", "\"open").text()), HasSubstr("row 2: a quote is not closed"));
  EXPECT_THAT(refusal(Table().set(2, "cpu", "\"a\"b").text()), HasSubstr("row 2: text behind a closed quote"));
}

TEST(SampleCsv, WhatSpreadsheetsDoIsFine) {
  const SampleSet plain = parse_samples_csv(Table().text(), "f.csv");
  EXPECT_EQ(parse_samples_csv("\xEF\xBB\xBF" + Table().text("\r\n"), "f.csv").samples.size(), 3U);
  Table more;  // a column of one's own, cells in quotes
  for (size_t i = 0; i < more.rows.size(); ++i)
    more.rows[i].insert(more.rows[i].begin(), i == 0 ? "note" : "\"a,\"\"b\"");
  const SampleSet back = parse_samples_csv(more.text(), "f.csv");
  ASSERT_EQ(back.samples.size(), 3U);
  EXPECT_EQ(back.samples[2].component, plain.samples[2].component);
  const SampleSet no_passes = parse_samples_csv(Table().drop("pass_us").text(), "f.csv");
  EXPECT_TRUE(no_passes.samples[0].pass_us.empty());
  EXPECT_EQ(no_passes.samples[0].time.median_us, 16);
}

}  // namespace
}  // namespace fdi::profile
