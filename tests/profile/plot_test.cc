// The scripts that gnuplot is given, and that it draws what they say.
#include "profile/plot.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "core/file.h"
#include "tests/temp_folder.h"

namespace fdi::profile {
namespace {

using ::testing::HasSubstr;

class Plot : public ::testing::Test, public TempFolder {};

// A title may hold what a device calls itself: gnuplot would run what stands in backquotes within double quotes.
TEST_F(Plot, TitlesAreTextAndNothingElse) {
  const Figure figure{
      .title = "a `touch ran` \"b\" \\ it's\nsecond line", .x = "x", .y = "y", .curves = {{"c", {{1, 2}, {3, 4}}}}};
  const Plotted plotted = plot(path("p"), {figure});
  EXPECT_THAT(core::read_file(path("p.gp")),
              HasSubstr("set title 'a `touch ran` \"b\" \\ it''s'.\"\\n\".'second line'\n"));
  EXPECT_FALSE(std::filesystem::exists(path("ran")));
  EXPECT_EQ(core::read_file(path("p.plot.csv")), "x,c\n1,2\n3,4\n");
  if (plotted.missing.empty()) {
    const std::string svg = core::read_file(path("p.svg"));
    EXPECT_THAT(svg, HasSubstr("`touch ran`"));
    EXPECT_THAT(svg, HasSubstr("second line"));
  }
}

// Axes end near the data: 128 channels are not drawn from -20 to 140.
TEST_F(Plot, AxesEndNearTheData) {
  Figure figure{.title = "t", .x = "x", .y = "y", .curves = {{"c", {{1, 2}, {101, 4}}}}};
  plot(path("p"), {figure});
  EXPECT_THAT(core::read_file(path("p.gp")), HasSubstr("set xrange [-1:103]\n"));
  figure.x_from_zero = true;
  plot(path("p"), {figure});
  EXPECT_THAT(core::read_file(path("p.gp")), HasSubstr("set xrange [0:*]\n"));
}

TEST_F(Plot, AChannelAxisHasTicksWhereEnginesStep) {
  const Figure figure{.title = "t", .x = "x", .y = "y", .curves = {{"c", {{1, 2}, {128, 4}}}}, .x_tick = 16};
  plot(path("p"), {figure});
  EXPECT_THAT(core::read_file(path("p.gp")), HasSubstr("set xtics norotate 16\n"));
}

// A band between two edges, and what follows it has its column behind both.
TEST_F(Plot, FillsBetweenTwoEdges) {
  const Figure figure{
      .title = "t",
      .x = "x",
      .y = "y",
      .curves = {{.name = "band", .points = {{1, 5}, {2, 6}}, .mark = Mark::kFilled, .from = {{1, 3}, {2, 4}}},
                 {.name = "line", .points = {{1, 7}}, .in_key = false}},
      .x_from_zero = true,
      .x_most = 8};
  const Plotted plotted = plot(path("p"), {figure});
  EXPECT_EQ(core::read_file(path("p.plot.csv")), "x,band,band: from,line\n1,5,3,7\n2,6,4,\n");
  const std::string script = core::read_file(path("p.gp"));
  EXPECT_THAT(script, HasSubstr("using 1:2:3 skip 1 with filledcurves title 'band'"));
  EXPECT_THAT(script, HasSubstr("using 1:4 skip 1 with linespoints lw 1.5 pt 7 ps 0.3 title ''"));
  EXPECT_THAT(script, HasSubstr("set xrange [0:8]"));
  EXPECT_EQ(std::filesystem::exists(path("p.svg")), plotted.missing.empty());
}

}  // namespace
}  // namespace fdi::profile
