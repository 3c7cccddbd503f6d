// Shape and View: the extents of a row-major array, and a pointer with a shape that owns nothing.
// Images are (height, width, channel), sequences (time, feature), vectors (feature); a batch adds a leading axis.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "core/check.h"

namespace fdi::core {

struct Shape {
  static constexpr int kMaxRank = 5;
  std::array<int, kMaxRank> dim{};
  int rank = 0;

  Shape() = default;
  Shape(std::initializer_list<int> extents) {
    CHECK(extents.size() <= kMaxRank);
    for (int e : extents) dim[rank++] = e;
  }
  int operator[](int axis) const {
    DCHECK(axis >= 0 && axis < rank);
    return dim[axis];
  }
  int& operator[](int axis) {
    DCHECK(axis >= 0 && axis < rank);
    return dim[axis];
  }
  int back() const { return (*this)[rank - 1]; }
  int64_t size() const {  // number of elements; 1 for rank 0
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dim[i];
    return n;
  }
  bool operator==(const Shape& other) const = default;  // unused extents are always 0
};

// "(32, 32, 3)"
std::string to_string(const Shape& shape);
// (n, dims of shape...); throws Error where the rank would pass kMaxRank.
Shape with_batch(int n, const Shape& shape);

template <class T>
struct View {
  T* data = nullptr;
  Shape shape;
  int64_t size() const { return shape.size(); }
  std::span<T> span() const { return {data, static_cast<size_t>(size())}; }
};
using Tensor = View<float>;
using ConstTensor = View<const float>;

}  // namespace fdi::core
