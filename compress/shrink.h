// shrink: a physically smaller, dense network of the units that stay, with the outputs of the original whose other
// units are masked. widen: its reverse. Called by `fastdeepiot shrink` and `expand`, and at the end of every
// compression.
#pragma once
#include <span>

#include "compress/keep.h"
#include "nn/model_file.h"

namespace fdi::compress {

// Columns, rows and running statistics of the units that go are left out; the metadata is carried over. Throws Error
// that names the layer where a group would be empty.
nn::Model shrink(const nn::Model& model, const nn::UnitGroups& groups, const Keep& keep);
// Units added behind each group's own, with zero weights in and out: equal outputs, and training keeps the added ones
// as they are. `widths` by group, none below its own.
nn::Model widen(const nn::Model& model, const nn::UnitGroups& groups, std::span<const int> widths);
// The original with what reads the other units set to 0: what the smaller one must equal.
nn::Model masked(const nn::Model& model, const nn::UnitGroups& groups, const Keep& keep);

nn::Parameters copy_of(const nn::Model& model);

// Largest difference between the outputs of two networks of one input and output shape, on `examples` random inputs
// (standard normal, whole sequences), as inference runs them; NaN or infinite where an output is no finite number.
double max_output_difference(const nn::Model& a, const nn::Model& b, int examples, uint64_t seed);

}  // namespace fdi::compress
