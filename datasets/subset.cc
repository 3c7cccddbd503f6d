// See the header.
#include "datasets/subset.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "datasets/names.h"

namespace fdi::datasets {
namespace {

class Subset : public Dataset {
 public:
  Subset(DatasetPtr base, std::vector<int64_t> indices, std::string what)
      : base_(std::move(base)), indices_(std::move(indices)), what_(std::move(what)) {}
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  const std::vector<std::string>& classes() const override { return base_->classes(); }
  core::Shape image_shape() const override { return base_->image_shape(); }
  int label(int64_t index) const override { return base_->label(indices_[index]); }
  void image(int64_t index, std::span<uint8_t> out) const override { base_->image(indices_[index], out); }
  std::string name(int64_t index) const override { return base_->name(indices_[index]); }
  std::string source() const override { return fmt::format("{} of {}", what_, base_->source()); }
  std::vector<std::string> warnings() const override { return base_->warnings(); }

 private:
  DatasetPtr base_;
  std::vector<int64_t> indices_;
  std::string what_;
};

class Relabelled : public Dataset {
 public:
  Relabelled(DatasetPtr base, std::vector<std::string> classes) : base_(std::move(base)), classes_(std::move(classes)) {
    for (const std::string& name : base_->classes())
      label_.push_back(static_cast<int>(std::find(classes_.begin(), classes_.end(), name) - classes_.begin()));
  }
  int64_t size() const override { return base_->size(); }
  const std::vector<std::string>& classes() const override { return classes_; }
  core::Shape image_shape() const override { return base_->image_shape(); }
  int label(int64_t index) const override { return label_[static_cast<size_t>(base_->label(index))]; }
  void image(int64_t index, std::span<uint8_t> out) const override { base_->image(index, out); }
  std::string name(int64_t index) const override { return base_->name(index); }
  std::string source() const override { return base_->source(); }
  std::vector<std::string> warnings() const override {
    std::vector<std::string> all = base_->warnings(), missing;
    for (size_t c = 0; c < classes_.size(); ++c)
      if (std::find(label_.begin(), label_.end(), static_cast<int>(c)) == label_.end()) missing.push_back(classes_[c]);
    if (!missing.empty())
      all.push_back(fmt::format("{}: no images of {} of the {} classes ({}); accuracy is that of the others",
                                base_->source(), missing.size(), classes_.size(), list_of(missing)));
    return all;
  }

 private:
  DatasetPtr base_;
  std::vector<std::string> classes_;
  std::vector<int> label_;  // by that of base
};

}  // namespace

void check_known_classes(const std::vector<std::string>& classes, const std::string& where,
                         const std::vector<std::string>& known, const std::string& known_where) {
  for (const std::string& name : classes) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    for (const std::string& other : known)
      if (const std::string why = look_alike(name, other); !why.empty())
        core::fail("class '{}' is in {} but not in {}, which has '{}': {}; rename one", name, where, known_where, other,
                   why);
    core::fail("class '{}' is in {} but not in {}; both must have the same classes", name, where, known_where);
  }
}

DatasetPtr with_classes(DatasetPtr base, const std::vector<std::string>& classes, const std::string& where) {
  if (base->classes() == classes) return base;
  check_known_classes(base->classes(), base->source(), classes, where);
  return std::make_shared<Relabelled>(std::move(base), classes);
}

DatasetPtr make_subset(DatasetPtr base, std::vector<int64_t> indices, std::string what) {
  for (const int64_t i : indices)
    if (i < 0 || i >= base->size())
      core::fail("{}: example {} does not exist; wanted 0 to {}", base->source(), i, base->size() - 1);
  return std::make_shared<Subset>(std::move(base), std::move(indices), std::move(what));
}

std::pair<DatasetPtr, DatasetPtr> split_validation(const DatasetPtr& base, double fraction, uint64_t seed) {
  if (!(fraction > 0 && fraction < 1)) core::fail("validation part {}: wanted a number between 0 and 1", fraction);
  std::vector<std::vector<int64_t>> by_class(base->classes().size());
  for (int64_t i = 0; i < base->size(); ++i) by_class[base->label(i)].push_back(i);
  std::vector<int64_t> train, validation;
  for (size_t c = 0; c < by_class.size(); ++c) {
    auto& of_class = by_class[c];
    core::Rng(seed, core::Stream::kSplit, c).shuffle(of_class.begin(), of_class.end());
    const auto cut = of_class.begin() + std::lround(fraction * static_cast<double>(of_class.size()));
    validation.insert(validation.end(), of_class.begin(), cut);
    train.insert(train.end(), cut, of_class.end());
  }
  if (train.empty() || validation.empty())
    core::fail("{}: {} examples leave nothing for one side at a validation part of {}; use more data or another part",
               base->source(), base->size(), fraction);
  std::sort(train.begin(), train.end());
  std::sort(validation.begin(), validation.end());
  return {make_subset(base, std::move(train), fmt::format("{:g}%", 100 * (1 - fraction))),
          make_subset(base, std::move(validation), fmt::format("{:g}% held back", 100 * fraction))};
}

}  // namespace fdi::datasets
