// The options of `fastdeepiot compress`, and the search that they ask for.
#pragma once
#include <optional>
#include <string>

#include "cli/options.h"
#include "cli/time_model_choice.h"
#include "compress/search.h"
#include "nn/train_config.h"

namespace CLI {
class App;
}

namespace fdi::cli {

// Short enough for a demonstration. The published recipe is SearchConfig's own; the help says how to ask for it.
compress::SearchConfig short_recipe();

struct CompressFlags {
  CommonOptions common;
  TimingOptions timing;
  std::string model, data = "cifar10", method = "deepiot", out, augment = "on";
  std::string verify;                            // empty: on where the time model is of what times here
  std::string gradient;                          // empty: the method's
  std::optional<int> rounds;                     // none: the method's
  std::optional<double> max_ms, max_mb, lambda;  // none: not given
  std::optional<std::string> size;
  bool resume = false;
  compress::SearchConfig search = short_recipe();
  int epochs = 10, fine_tune_batch = 128;
  double lr = 0.02, validation = 0.1;
  nn::DistillConfig distill;
  int64_t limit = 0;
};
void add_compress_options(CLI::App& command, CompressFlags& flags);

// Throws Error for what cannot be or contradicts itself. `image_size`: see ImageFacts.
compress::SearchConfig search_config(const CompressFlags& flags, int image_size);
// Of the structure that was found. Throws Error for a value out of range.
nn::TrainConfig fine_tune_config(const CompressFlags& flags, const compress::SearchConfig& search);
// "FastDeepIoT" of "fastdeepiot".
std::string method_title(const std::string& method);
// "2 ms", "10% of the parameters and 3 MiB".
std::string target_text(const compress::SearchConfig& config);

}  // namespace fdi::cli
