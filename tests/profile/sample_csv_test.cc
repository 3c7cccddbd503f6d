// Samples as CSV: everything comes back as it was, and each kind of bad row is refused with its number.
#include <gmock/gmock.h>

#include "core/error.h"
#include "profile/csv.h"
#include "tests/message_of.h"
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
  return message_of([&] { parse_samples_csv(text, "f.csv"); });
}

TEST(SampleCsv, BadRowsAreNamed) {
  const auto refused = [](const Table& table) { return refusal(table.text()); };
  EXPECT_EQ(refused(Table()), "");
  for (const char* time : {"median_us", "mean_us", "min_us"})
    for (const char* bad : {"0", "-1", "inf", "12 us", "0x10", "1e999", "\"1,5\""})
      EXPECT_THAT(refused(Table().set(3, time, bad)), AllOf(HasSubstr("f.csv: row 3: "), HasSubstr(time)));
  for (const char* bad : {"nan", "NaN", ""})
    EXPECT_THAT(refused(Table().set(3, "median_us", bad)), HasSubstr("f.csv: row 3: median_us is ''"));
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
  EXPECT_THAT(refused(Table().set(2, "kernel_height", "")), HasSubstr("row 2: kernel_height is empty"));
  EXPECT_THAT(refused(Table().set(2, "stride_width", "")), HasSubstr("row 2: stride_width is empty"));
  EXPECT_THAT(refused(Table().set(2, "stride_height", "")), HasSubstr("row 2: stride_width is given"));
  EXPECT_THAT(refused(Table().set(2, "kernel_width", "x")), HasSubstr("row 2"));
  EXPECT_THAT(refused(Table().set(2, "in_channel", "3.5")), HasSubstr("row 2: in_channel is '3.5'"));
  EXPECT_THAT(refused(Table().set(2, "bias", "perhaps")), HasSubstr("row 2: "));
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
  EXPECT_THAT(refusal(Table().drop("in_channel").drop("median_us").text()),
              HasSubstr("f.csv: row 1: the header lacks in_channel, median_us"));
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

TEST(SampleCsv, WhatIsNoTextIsNamed) {
  using namespace std::string_literals;
  EXPECT_THAT(refusal("\x1f\x8b\x08\0\0"s),
              HasSubstr("f.csv: is compressed (gzip); unpack it, or give `--samples <(zcat"));
  EXPECT_THAT(refusal("PK\x03\x04 and more"), HasSubstr("f.csv: is a spreadsheet's own file"));
  for (const std::string& mark : {"\xff\xfe"s, "\xfe\xff"s})
    EXPECT_THAT(refusal(mark + "o\0p\0"s), HasSubstr("f.csv: is UTF-16; save it as UTF-8"));
}

// Each kind of file that people have made of a table is the same samples.
TEST(SampleCsv, HoweverItIsWritten) {
  const SampleSet plain = parse_samples_csv(Table().text(), "f.csv");
  const auto same = [&](const std::string& text) {
    std::vector<std::string> notes;
    const SampleSet back = parse_samples_csv(text, "f.csv", &notes);
    EXPECT_THAT(notes, ::testing::IsEmpty());
    EXPECT_EQ(format_samples_csv(back), format_samples_csv(plain)) << text.substr(0, 300);
  };
  const auto replaced = [](std::string text, char from, char to) {
    std::ranges::replace(text, from, to);
    return text;
  };
  // Lists of passes in quotes, where the separator is that of the list.
  const auto with = [](char separator, bool decimal_comma) {
    std::string out;
    const Table table;
    for (const auto& row : table.rows) {
      for (size_t i = 0; i < row.size(); ++i) {
        std::string cell = row[i];
        if (double number = 0; decimal_comma && read_number(cell, false, number))
          std::ranges::replace(cell, '.', ',');
        else if (decimal_comma && cell.find(';') != std::string::npos)
          std::ranges::replace(cell, '.', ',');
        if (cell.find(separator) != std::string::npos) cell = '"' + cell + '"';
        out += (i == 0 ? "" : std::string(1, separator)) + cell;
      }
      out += "\r\n";
    }
    return out;
  };
  std::string dimensions = Table().text();
  for (const auto& [from, to] : {std::pair(",in_channel", ",in_dim"), std::pair(",out_channel", ",Out_Dim")})
    dimensions.replace(dimensions.find(from), std::string(from).size(), to);
  same(dimensions);
  same(with(';', false));
  same("\xEF\xBB\xBF" + with(';', true));
  same(with('\t', false));
  same(with('\t', true));
  same("sep=,\r\n" + Table().text());
  same("sep=;\r\n" + with(';', true));
  same(replaced(Table().text(), '\n', '\r'));
  same("\n" + Table().text() + std::string(plain.samples.size(), ',') + "\n\n");
  same(Table().set(2, "bias", "TRUE").set(3, "bias", "True").set(4, "bias", "1").set(4, "boost", "FALSE").text());
  same(Table().set(2, "runs", "21.0").set(2, "in_channel", "3.0").set(3, "kernel_width", "3.0").text());
  same(Table().set(2, "axis", "nan").set(3, "reset_after", "NaN").set(4, "begin", "#N/A").text());
  same(Table().set(3, "op", "  conv2d").set(1, "op", "OP").set(1, "median_us", " Median_us ").text());
  Table index;  // pandas' own
  for (size_t i = 0; i < index.rows.size(); ++i)
    index.rows[i].insert(index.rows[i].begin(), i == 0 ? "" : std::to_string(i - 1));
  same(index.text());
  Table wider;
  for (auto& row : wider.rows) row.insert(row.end(), {"", ""});
  same(wider.text());
}

TEST(SampleCsv, OnlyWhatDescribesALayerIsNeeded) {
  std::vector<std::string> notes;
  const SampleSet set = parse_samples_csv(
      "op,in_height,in_width,in_channel,out_channel,kernel_height,kernel_width,median_us,colour\n"
      "conv2d,24,24,3,64,3,3,12.5,red\nfc,,,100,10,,,1.5,\n",
      "f.csv", &notes);
  ASSERT_EQ(set.samples.size(), 2U);
  device::Component conv = profile::conv(24, 3, 64);
  conv.network_bytes = 0;
  conv.layer.attr.relu = false;
  EXPECT_EQ(set.samples[0].component.in, conv.in);
  EXPECT_EQ(set.samples[0].component.layer.attr, conv.layer.attr);
  EXPECT_EQ(set.samples[0].time.median_us, 12.5);
  EXPECT_EQ(set.samples[0].time.mean_us, 12.5);
  EXPECT_EQ(set.samples[0].time.min_us, 12.5);
  EXPECT_EQ(set.samples[0].time.runs, 1);
  EXPECT_TRUE(set.samples[0].pass_us.empty());
  EXPECT_EQ(set.device.cpu, "unknown");
  EXPECT_EQ(set.device.threads, 1);
  EXPECT_THAT(notes, ::testing::ElementsAre("f.csv: columns that no sample has are left out: colour"));
  EXPECT_THAT(refusal("op,in_channel,median_us\nfc,100,1.5\n"), HasSubstr("row 2: out_channel is empty, fc needs it"));
}

// Two tables put together are not twice as many samples.
TEST(SampleCsv, RowsThatAreThereAlreadyCountOnce) {
  const std::string text = Table().text();
  const std::string rows = text.substr(text.find('\n') + 1);
  for (const std::string& twice : {text + text, "\xEF\xBB\xBF" + text + "\xEF\xBB\xBF" + text, text + rows}) {
    std::vector<std::string> notes;
    EXPECT_EQ(parse_samples_csv(twice, "f.csv", &notes).samples.size(), 3U);
    EXPECT_THAT(notes, ::testing::ElementsAre("f.csv: 3 rows are there already, and count once"));
  }
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
