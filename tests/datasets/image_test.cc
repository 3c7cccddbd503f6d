// JPEG and PNG to RGB: every colour form by hand-made files, and every kind of damage as a one-line error.
#include "datasets/image.h"

#include <algorithm>
#include <cstring>

#include "tests/datasets/files.h"

namespace fdi::datasets {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kJpegTolerance = 6;  // quality 98 with halved chroma, on smooth ramps

Image decode(const Bytes& bytes, int min_side = 0) { return decode_image(bytes, "set/cat/1", min_side); }
std::string damage(const Bytes& bytes) {
  return message_of([&] { decode(bytes); });
}

void expect_near(const Image& image, const Bytes& rgb, int tolerance) {
  ASSERT_EQ(image.bytes(), static_cast<int64_t>(rgb.size()));
  int worst = 0;
  for (size_t i = 0; i < rgb.size(); ++i) worst = std::max(worst, std::abs(int{image.rgb[i]} - int{rgb[i]}));
  EXPECT_LE(worst, tolerance);
}

Bytes to_rgb(const Bytes& values, size_t channels, const std::function<std::array<int, 3>(const uint8_t*)>& convert) {
  Bytes rgb;
  for (size_t i = 0; i < values.size(); i += channels)
    for (const int v : convert(&values[i])) rgb.push_back(static_cast<uint8_t>(v));
  return rgb;
}

TEST(Jpeg, ColourGreyAndCmykBecomeRgb) {
  const Bytes rgb = ramp(9, 14, 3), grey = ramp(9, 14, 1), cmyk = ramp(9, 14, 4);
  const Image image = decode(make_jpeg(9, 14, rgb));
  EXPECT_EQ(image.height, 9);
  EXPECT_EQ(image.width, 14);
  expect_near(image, rgb, 3 * kJpegTolerance);  // three different ramps: chroma is halved
  expect_near(decode(make_jpeg(9, 14, grey, JCS_GRAYSCALE)),
              to_rgb(grey, 1,
                     [](const uint8_t* p) {
                       return std::array<int, 3>{p[0], p[0], p[0]};
                     }),
              kJpegTolerance);
  // libjpeg writes an Adobe marker with CMYK; such files store 255 - ink.
  expect_near(decode(make_jpeg(9, 14, cmyk, JCS_CMYK)),
              to_rgb(cmyk, 4,
                     [](const uint8_t* p) {
                       return std::array<int, 3>{p[0] * p[3] / 255, p[1] * p[3] / 255, p[2] * p[3] / 255};
                     }),
              kJpegTolerance);
}

TEST(Jpeg, ProgressiveIsTheSameAsBaseline) {
  const Bytes rgb = ramp(20, 20, 3);
  const Image a = decode(make_jpeg(20, 20, rgb)), b = decode(make_jpeg(20, 20, rgb, JCS_RGB, {}, true));
  EXPECT_EQ(std::memcmp(a.rgb.get(), b.rgb.get(), 1200), 0);
}

TEST(Jpeg, LargeOnesAreDecodedAtReducedScaleButNeverTooSmall) {
  const Bytes jpeg = make_jpeg(256, 400, ramp(256, 400, 3));
  EXPECT_EQ(decode(jpeg, 32).height, 32);
  EXPECT_EQ(decode(jpeg, 33).height, 64);
  EXPECT_EQ(decode(jpeg, 64).width, 100);
  EXPECT_EQ(decode(jpeg, 129).height, 256);
  EXPECT_EQ(decode(jpeg).height, 256);
}

TEST(Jpeg, ExifOrientationIsApplied) {
  // A 2x3 grid of 16x16 tiles of different grey; the upper left one is the brightest.
  const int tile[2][3] = {{250, 30, 60}, {90, 120, 150}};
  Bytes grey;
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 48; ++x) grey.push_back(static_cast<uint8_t>(tile[y / 16][x / 16]));
  const auto tiles = [&](int orientation, bool little) {
    Bytes exif{'E', 'x', 'i', 'f', 0, 0};
    const auto add = [&](unsigned value, int bytes) {
      for (int i = 0; i < bytes; ++i) exif.push_back(static_cast<uint8_t>(value >> 8 * (little ? i : bytes - 1 - i)));
    };
    exif.insert(exif.end(), 2, little ? 'I' : 'M');
    add(42, 2), add(8, 4), add(1, 2);                                                 // one entry at 8
    add(0x0112, 2), add(3, 2), add(1, 4), add(orientation, 2), add(0, 2), add(0, 4);  // a short
    const Image image = decode(make_jpeg(32, 48, grey, JCS_GRAYSCALE, exif));
    std::vector<int> centres;
    for (int y = 8; y < image.height; y += 16)
      for (int x = 8; x < image.width; x += 16) centres.push_back((image.rgb[3 * (y * image.width + x)] + 5) / 10);
    return centres;
  };
  using V = std::vector<int>;
  const V upright{25, 3, 6, 9, 12, 15};
  EXPECT_EQ(tiles(1, true), upright);
  EXPECT_EQ(tiles(2, true), (V{6, 3, 25, 15, 12, 9}));   // mirrored left-right
  EXPECT_EQ(tiles(3, false), (V{15, 12, 9, 6, 3, 25}));  // upside down
  EXPECT_EQ(tiles(4, true), (V{9, 12, 15, 25, 3, 6}));   // mirrored top-bottom
  EXPECT_EQ(tiles(5, true), (V{25, 9, 3, 12, 6, 15}));   // transposed
  EXPECT_EQ(tiles(6, false), (V{9, 25, 12, 3, 15, 6}));  // to be turned clockwise
  EXPECT_EQ(tiles(7, true), (V{15, 6, 12, 3, 9, 25}));
  EXPECT_EQ(tiles(8, true), (V{6, 15, 3, 12, 25, 9}));  // to be turned counter-clockwise
  EXPECT_EQ(tiles(9, true), upright);                   // nonsense counts as upright
}

TEST(Jpeg, TruncationAnywhereIsAnError) {
  const Bytes jpeg = make_jpeg(40, 40, ramp(40, 40, 3));
  for (size_t n = 3; n + 2 < jpeg.size(); n += 7) {  // the end mark itself carries no pixels
    const std::string message = damage({jpeg.begin(), jpeg.begin() + static_cast<long>(n)});
    ASSERT_THAT(message,
                AllOf(HasSubstr("set/cat/1: damaged JPEG near byte"), HasSubstr("fetch it again or remove it")))
        << "cut at " << n << " of " << jpeg.size();
  }
}

// A progressive file that ends between two scans shows all of the image, but not all that was stored.
TEST(Jpeg, TruncationOfAProgressiveOneIsAnError) {
  const Bytes jpeg = make_jpeg(40, 40, ramp(40, 40, 3), JCS_RGB, {}, true);
  for (size_t n = 3; n + 2 < jpeg.size(); ++n)
    ASSERT_THAT(damage({jpeg.begin(), jpeg.begin() + static_cast<long>(n)}), HasSubstr("damaged JPEG near byte"))
        << "cut at " << n << " of " << jpeg.size();
}

TEST(Jpeg, AMissingEndMarkIsToldWhereAllPixelsAreThere) {
  const Bytes rgb = ramp(40, 40, 3);
  for (const bool progressive : {false, true}) {
    Bytes jpeg = make_jpeg(40, 40, rgb, JCS_RGB, {}, progressive);
    const Image whole = decode(jpeg);
    EXPECT_FALSE(whole.no_end_mark);
    for (int cut = 1; cut <= 2; ++cut) {
      jpeg.pop_back();
      const Image image = decode(jpeg);
      EXPECT_TRUE(image.no_end_mark);
      EXPECT_EQ(std::memcmp(image.rgb.get(), whole.rgb.get(), static_cast<size_t>(whole.bytes())), 0);
    }
  }
}

TEST(Jpeg, FlippedBitsAreErrorsOrDecodeInFull) {
  const Bytes jpeg = make_jpeg(64, 64, ramp(64, 64, 3));
  int refused = 0;
  for (size_t at = 2; at < jpeg.size(); ++at) {
    Bytes bad = jpeg;
    bad[at] ^= 0x10;
    refused += !damage(bad).empty();  // JPEG has no checksum: other flips only change colours; none may crash
  }
  EXPECT_GT(refused, 100);
}

TEST(Jpeg, BombsAreRefusedByTheirHeader) {
  Bytes jpeg = make_jpeg(16, 16, ramp(16, 16, 3));
  size_t sof = 2;
  while (!(jpeg[sof] == 0xFF && jpeg[sof + 1] == 0xC0)) ++sof;
  for (size_t i = 5; i < 9; ++i) jpeg[sof + i] = 0xFF;  // height and width 65535, which libjpeg itself refuses
  EXPECT_THAT(damage(jpeg), AllOf(HasSubstr("set/cat/1"), HasSubstr("Maximum supported image dimension")));
  for (const size_t i : {5, 7}) jpeg[sof + i] = 0xEA, jpeg[sof + i + 1] = 0x60;  // 60000
  EXPECT_THAT(damage(jpeg),
              AllOf(HasSubstr("set/cat/1: claims 60000 x 60000 pixels"), HasSubstr("remove or shrink it")));
}

TEST(Png, EveryColourFormBecomesRgb) {
  const Bytes rgb = ramp(5, 6, 3), grey = ramp(5, 6, 1), rgba = ramp(5, 6, 4), grey_alpha = ramp(5, 6, 2);
  expect_near(decode(make_png(5, 6, rgb)), rgb, 0);
  expect_near(decode(make_png(5, 6, rgb, PNG_COLOR_TYPE_RGB, 8, true)), rgb, 0);
  expect_near(decode(make_png(5, 6, grey, PNG_COLOR_TYPE_GRAY)),
              to_rgb(grey, 1,
                     [](const uint8_t* p) {
                       return std::array<int, 3>{p[0], p[0], p[0]};
                     }),
              0);
  expect_near(decode(make_png(5, 6, grey, PNG_COLOR_TYPE_PALETTE)),
              to_rgb(grey, 1,
                     [](const uint8_t* p) {
                       return std::array<int, 3>{p[0], 255 - p[0], 7};
                     }),
              0);
  const auto on_white = [](int value, int alpha) { return (value * alpha + 255 * (255 - alpha) + 127) / 255; };
  expect_near(decode(make_png(5, 6, rgba, PNG_COLOR_TYPE_RGB_ALPHA)),
              to_rgb(rgba, 4,
                     [&](const uint8_t* p) {
                       return std::array<int, 3>{on_white(p[0], p[3]), on_white(p[1], p[3]), on_white(p[2], p[3])};
                     }),
              0);
  expect_near(decode(make_png(5, 6, grey_alpha, PNG_COLOR_TYPE_GRAY_ALPHA)),
              to_rgb(grey_alpha, 2,
                     [&](const uint8_t* p) {
                       const int v = on_white(p[0], p[1]);
                       return std::array<int, 3>{v, v, v};
                     }),
              0);
  Bytes wide;  // 16 bits, value * 257
  for (const uint8_t v : rgb) wide.insert(wide.end(), 2, v);
  expect_near(decode(make_png(5, 6, wide, PNG_COLOR_TYPE_RGB, 16)), rgb, 0);
}

TEST(Png, TruncationAnywhereIsAnError) {
  const Bytes png = make_png(30, 30, ramp(30, 30, 3));
  for (size_t n = 4; n < png.size(); n += 3)
    ASSERT_THAT(damage({png.begin(), png.begin() + static_cast<long>(n)}),
                AllOf(HasSubstr("set/cat/1: damaged PNG near byte"), HasSubstr("fetch it again or remove it")))
        << "cut at " << n << " of " << png.size();
}

TEST(Png, FlippedBitsAreFoundByTheChecksums) {
  const Bytes png = make_png(30, 30, ramp(30, 30, 3));
  for (size_t at = 4; at < png.size(); ++at) {
    Bytes bad = png;
    bad[at] ^= 0x04;
    ASSERT_NE(damage(bad), "") << "byte " << at << " of " << png.size();
  }
}

// A PNG header of this size with a correct checksum, and nothing behind it.
Bytes png_header(uint32_t height, uint32_t width) {
  Bytes png = make_png(1, 1, {0, 0, 0});
  for (int i = 0; i < 4; ++i) {
    png[16 + i] = static_cast<uint8_t>(width >> (24 - 8 * i));
    png[20 + i] = static_cast<uint8_t>(height >> (24 - 8 * i));
  }
  uint32_t crc = ~0U;
  for (size_t i = 12; i < 29; ++i) {
    crc ^= png[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
  }
  for (int i = 0; i < 4; ++i) png[29 + i] = static_cast<uint8_t>(~crc >> (24 - 8 * i));
  return png;
}

TEST(Png, BombsAreRefusedByTheirHeader) {
  EXPECT_THAT(damage(png_header(50000, 50000)),
              AllOf(HasSubstr("set/cat/1: claims 50000 x 50000 pixels"), HasSubstr("at most 67 million")));
  EXPECT_THAT(damage(png_header(8000, 8000)), AllOf(HasSubstr("claims 8000 x 8000 pixels"), HasSubstr("cannot hold")));
  EXPECT_NE(damage(png_header(0, 5)), "");
}

TEST(Image, OtherContentsAreRefused) {
  EXPECT_THAT(damage({'G', 'I', 'F', '8', '9', 'a'}),
              AllOf(HasSubstr("set/cat/1: is neither JPEG nor PNG"), HasSubstr("remove or convert it")));
  EXPECT_THAT(damage({}), HasSubstr("(0 bytes"));
}

TEST(Image, FitKeepsFlatColoursAndTheCentre) {
  Image image = new_image(20, 40, "x");
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 40; ++x) {
      uint8_t* p = &image.rgb[3 * (y * 40 + x)];
      const bool centre = x >= 10 && x < 30;  // what a 1:1 crop keeps
      p[0] = centre ? 200 : 0, p[1] = 77, p[2] = 255;
    }
  Bytes out(10 * 10 * 3);
  fit_image(image, 10, 10, out);
  for (int y = 0; y < 10; ++y)
    for (int x = 1; x < 9; ++x) {
      EXPECT_EQ(out[3 * (y * 10 + x)], 200);
      EXPECT_EQ(out[3 * (y * 10 + x) + 1], 77);
      EXPECT_EQ(out[3 * (y * 10 + x) + 2], 255);
    }
  out.assign(60 * 60 * 3, 0);  // enlarging
  fit_image(image, 60, 60, out);
  EXPECT_EQ(out[3 * (30 * 60 + 30)], 200);
  EXPECT_EQ(out[3 * (30 * 60 + 30) + 1], 77);
}

TEST(Image, ShrinkingAveragesInsteadOfSkipping) {
  Image image = new_image(64, 64, "x");  // a checkerboard of single pixels averages to grey
  for (int i = 0; i < 64 * 64; ++i) std::memset(&image.rgb[3 * i], (i / 64 + i) % 2 == 0 ? 0 : 255, 3);
  Bytes out(8 * 8 * 3);
  fit_image(image, 8, 8, out);
  for (const uint8_t v : out) EXPECT_NEAR(v, 127, 6);
}

TEST(Image, FitSurvivesOddSizes) {
  for (const int h : {1, 2, 7, 500})
    for (const int w : {1, 3, 64}) {
      Image image = new_image(h, w, "x");
      std::memset(image.rgb.get(), 9, static_cast<size_t>(image.bytes()));
      Bytes out(5 * 7 * 3);
      fit_image(image, 5, 7, out);
      EXPECT_THAT(out, ::testing::Each(9));
    }
}

}  // namespace
}  // namespace fdi::datasets
