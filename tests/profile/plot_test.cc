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

}  // namespace
}  // namespace fdi::profile
