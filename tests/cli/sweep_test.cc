// What a sweep shows of planted times, which sizes it understands, and that its files do not depend on the terminal.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/sweep_picture.h"
#include "tests/cli/profiling_program.h"
#include "tests/message_of.h"
#include "tests/profile/samples.h"

namespace fdi::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Times of `us(layer)`.
Swept swept_of(nn::Op op, const std::vector<std::string>& varies, const std::function<double(const SweptLayer&)>& us) {
  Swept swept{.op = op, .varies = {}, .layers = {}, .times = {}, .device = profile::test_device()};
  for (const std::string& vary : varies) swept.varies.push_back(read_vary(vary, op));
  swept.layers = combine_sizes(swept.varies, {});
  for (const SweptLayer& layer : swept.layers) {
    const double time = us(layer);
    swept.times.push_back({time, time, time, 0.01, 20});
  }
  return swept;
}

TEST(Sweep, RowsNameTheSizesThatVary) {
  const Swept kernels = swept_of(nn::Op::kConv2d, {"kernel_height,kernel_width=1..3"},
                                 [](const SweptLayer& l) { return 10.0 * l.kernel_height; });
  EXPECT_THAT(sweep_rows(kernels), AllOf(HasSubstr("kernel_height    1  kernel_width    1  "),
                                         HasSubstr("kernel_height    3  kernel_width    3  "), Not(HasSubstr("out"))));
  const Swept steps = swept_of(nn::Op::kGru, {"step=8..10"}, [](const SweptLayer& l) { return 1.0 * l.step; });
  EXPECT_THAT(sweep_rows(steps), HasSubstr("step   10  "));
  // 2 * 4 * 4 operations, with the bias' 4.
  const Swept small = swept_of(nn::Op::kFc, {"in_dim,out_dim=4..8:4"}, [](const SweptLayer&) { return 2.0; });
  EXPECT_THAT(sweep_rows(small), AllOf(HasSubstr(" 0.0000"), Not(HasSubstr(" 0.000 MFLOP")), HasSubstr("ns/kFLOP"),
                                       HasSubstr("spread 1.0%")));
}

TEST(Sweep, ThePictureTellsTheLayerAndTheSteps) {
  Swept swept = swept_of(nn::Op::kConv2d, {"in_channel,out_channel=1..128"},
                         [](const SweptLayer& l) { return 1.0 * ((l.out_channel + 15) / 16 * 16); });
  swept.device.machine = "unknown";
  const std::vector<profile::Figure> figures = sweep_figures(swept);
  ASSERT_EQ(figures.size(), 1U);
  EXPECT_THAT(figures[0].title, ::testing::StartsWith("conv2d 3x3 of 24x24, stride 1, same padding\n"));
  EXPECT_THAT(figures[0].title, Not(HasSubstr("unknown")));
  EXPECT_EQ(figures[0].x, "in_channel = out_channel");
  EXPECT_EQ(figures[0].x_tick, 16);
  ASSERT_EQ(figures[0].curves.size(), 2U);
  EXPECT_EQ(figures[0].curves[0].points[64], (std::pair<double, double>{65, 80}));
  const profile::Curve& flops = figures[0].curves[1];
  EXPECT_EQ(flops.name, "in proportion to FLOPs");
  EXPECT_EQ(flops.points.back(), (std::pair<double, double>{128, 128}));  // touches at the most
  EXPECT_LT(flops.points[64].second, 40);                                 // about a quarter of the work
}

TEST(Sweep, TheKeyNamesADozenCurvesAtMost) {
  const Swept swept =
      swept_of(nn::Op::kConv2d, {"kernel_height,kernel_width=1..6", "stride=1..6", "out_channel=8..16:8"},
               [](const SweptLayer&) { return 1.0; });
  EXPECT_EQ(curves_of(swept), 36U);
  const profile::Figure figure = sweep_figures(swept)[0];
  ASSERT_EQ(figure.curves.size(), 36U);
  EXPECT_EQ(std::ranges::count(figure.curves, true, &profile::Curve::in_key), 12);
  EXPECT_EQ(figure.curves[7].name, "kernel_height = kernel_width 2, stride 2");
  EXPECT_EQ(figure.curves[7].points.size(), 2U);
}

TEST(Sweep, LayersOfTheirOwnAreBars) {
  Swept swept{.op = nn::Op::kConv2d, .varies = {}, .layers = {}, .times = {}, .device = profile::test_device()};
  for (const auto& [in, out] : {std::pair(8, 32), {32, 8}}) {
    swept.layers.push_back({.in_height = 224, .in_width = 224, .in_channel = in, .out_channel = out});
    swept.times.push_back({100.0 * in, 100.0 * in, 100.0 * in, 0, 20});
  }
  const std::vector<profile::Figure> figures = sweep_figures(swept);
  ASSERT_EQ(figures.size(), 2U);
  for (const profile::Figure& figure : figures) {
    EXPECT_THAT(figure.labels, ElementsAre("8 to 32", "32 to 8"));
    EXPECT_EQ(figure.curves[0].mark, profile::Mark::kBars);
  }
  EXPECT_EQ(figures[0].curves[0].points[1].second, 3200);
  EXPECT_NEAR(figures[1].curves[0].points[0].second, 231, 3);  // MFLOP, of both alike
  EXPECT_NEAR(figures[1].curves[0].points[1].second, 231, 3);
  EXPECT_THAT(sweep_rows(swept), HasSubstr("in_channel   32  out_channel    8  "));
}

TEST(Sweep, SizesThatAnOpLacksAreToldFromThoseThatItHas) {
  const auto said = [](const char* text, nn::Op op) { return message_of([&] { read_vary(text, op); }); };
  EXPECT_THAT(said("out-channel=1..3", nn::Op::kConv2d),
              HasSubstr("conv2d has no size 'out-channel'; did you mean out_channel? it has in_height, in_width, "));
  EXPECT_THAT(said("kernel=1..7", nn::Op::kConv2d), HasSubstr("did you mean kernel_height,kernel_width? it has"));
  EXPECT_THAT(said("channels=1..7", nn::Op::kConv2d), HasSubstr("did you mean in_channel,out_channel? it has"));
  EXPECT_THAT(said("out_channel=1..7", nn::Op::kGru),
              HasSubstr("gru has no size 'out_channel'; did you mean out_dim? it has in_dim, out_dim, step"));
  EXPECT_THAT(said("out_chanel=1..7", nn::Op::kConv2d), HasSubstr("did you mean out_channel? it has"));
  EXPECT_THAT(said("colour=1..7", nn::Op::kFc), HasSubstr("fc has no size 'colour'; it has in_dim, out_dim"));
  EXPECT_THAT(said("out_channel=1..7", nn::Op::kMaxPool), HasSubstr("max_pool has no size 'out_channel'"));
  EXPECT_THAT(said("in_dim=1..7", nn::Op::kAdd), HasSubstr("sweep knows conv2d, fc, gru"));
}

// `sweep ... | head`: the reader goes, the picture and the table are there.
TEST_F(Profiling, ASweepIntoAClosedPipeIsDrawn) {
  const std::string command = "cd '" + dir_.string() +
                              "' && { '" FDI_PROGRAM
                              "' sweep --op fc --vary in_dim=4..8:4 --passes 2 --svg s.svg --csv s.csv --json s.json "
                              "2>err; echo $? >rc; } | true";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(core::read_file(path("rc")), "1\n");
  EXPECT_THAT(core::read_file(path("err")), ::testing::Not(HasSubstr("fastdeepiot:")));
  EXPECT_THAT(core::read_file(path("s.csv")), HasSubstr("\nfc,"));
  EXPECT_EQ(json::parse(core::read_file(path("s.json"))).size(), 2U);
  EXPECT_THAT(core::read_file(path("s.gp")), HasSubstr("set title 'fc, out_dim 64"));
}

}  // namespace
}  // namespace fdi::cli
